package replica

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics has no labels: the number of series is fixed.
type metrics struct {
	led       prometheus.Gauge
	lost      prometheus.Counter
	stood     prometheus.Counter
	refused   prometheus.Counter
	dropped   prometheus.Counter
	malformed prometheus.Counter
	unsent    prometheus.Counter
	rounds    prometheus.Counter
	snapshots prometheus.Counter
	losses    prometheus.Counter
	renounced prometheus.Counter
	lacking   prometheus.Gauge

	snapshotSent, snapshotReceived, resumed prometheus.Counter
	receiving, snapshotLimit                prometheus.Gauge
}

func newMetrics() *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	return &metrics{
		led:       prometheus.NewGauge(prometheus.GaugeOpts{Name: "rouse_replica_led_groups", Help: "Groups that this node leads."}),
		lost:      counter("rouse_replica_lost_leaderships_total", "Leaderships that ended without being handed over in order: this node was not heard in time, or cut off, or its disk was slow."),
		stood:     counter("rouse_replica_standstills_total", "Times that this node stood still for as long as an election takes: its process was stopped, or the machine gave it no time."),
		refused:   counter("rouse_replica_refused_total", "Proposals that were not written."),
		dropped:   counter("rouse_replica_dropped_frames_total", "Frames of other nodes for which there was no room."),
		malformed: counter("rouse_replica_malformed_frames_total", "Frames of other nodes that cannot be read."),
		unsent:    counter("rouse_replica_unsent_frames_total", "Frames that could not be sent."),
		rounds:    counter("rouse_replica_confirmations_total", "Times that the voters of a group were asked whether this node still leads, before reads were answered."),
		snapshots: counter("rouse_replica_snapshots_total", "Groups that were sent whole."),

		losses:    counter("rouse_replica_losses_total", "Times that a replica of this node lacked entries that it had acknowledged: its disk or its directory is not what it was."),
		renounced: counter("rouse_replica_renounced_leaderships_total", "Leaderships that were ended because another node had lost entries that it had acknowledged."),
		lacking:   prometheus.NewGauge(prometheus.GaugeOpts{Name: "rouse_replica_lacking_groups", Help: "Groups that this node is given anew, because entries are lost that it had acknowledged."}),

		snapshotSent:     counter("rouse_replica_snapshot_sent_bytes_total", "Bytes sent of groups that are sent whole."),
		snapshotReceived: counter("rouse_replica_snapshot_received_bytes_total", "Bytes received of groups that are sent whole."),
		resumed:          counter("rouse_replica_snapshots_resumed_total", "Times that a broken stream of a group went on."),
		receiving:        prometheus.NewGauge(prometheus.GaugeOpts{Name: "rouse_replica_receiving_groups", Help: "Groups that arrive as a whole."}),
		snapshotLimit: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "rouse_replica_snapshot_limit_bytes", Help: "Bytes a second that this node may send of groups that are sent whole.",
		}),
	}
}

func (m *metrics) register(r prometheus.Registerer) (release func(), err error) {
	all := []prometheus.Collector{m.led, m.lost, m.stood, m.refused, m.dropped, m.malformed, m.unsent, m.rounds, m.snapshots, m.losses, m.renounced, m.lacking, m.snapshotSent, m.snapshotReceived, m.resumed, m.receiving, m.snapshotLimit}
	release = func() {
		for _, c := range all {
			if r != nil {
				r.Unregister(c)
			}
		}
	}
	if r == nil {
		return release, nil
	}
	for _, c := range all {
		if err := r.Register(c); err != nil {
			release()
			return nil, fmt.Errorf("replica: register metrics: %w", err)
		}
	}
	return release, nil
}
