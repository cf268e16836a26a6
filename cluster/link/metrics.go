package link

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// Why a frame was dropped; the set is closed.
const (
	dropDown   = "down"   // not connected
	dropFull   = "full"   // the queue to the peer is full
	dropBroken = "broken" // it waited when the connection broke
)

// metrics have no label for peers, so that their number does not grow with the
// cluster. Refused connections are told by verdict, or as tls or hello.
type metrics struct {
	frames, bytes    *prometheus.CounterVec
	flushes          prometheus.Counter
	dropped, refused *prometheus.CounterVec
	peers            prometheus.Gauge
}

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	vec := func(name, help, label string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{label})
	}
	m := &metrics{
		frames: vec("rouse_link_frames_total", "Frames between nodes.", "direction"),
		bytes:  vec("rouse_link_bytes_total", "Bytes of frames between nodes.", "direction"),
		flushes: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "rouse_link_flushes_total", Help: "Writes of frames to connections; each may carry many frames.",
		}),
		dropped: vec("rouse_link_dropped_total", "Frames that were not sent to their node.", "reason"),
		refused: vec("rouse_link_refused_total", "Connections of others that were refused.", "reason"),
		peers: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "rouse_link_peers", Help: "Nodes that are connected in both directions.",
		}),
	}
	if r == nil {
		return m, nil
	}
	var errs []error
	for _, c := range m.all() {
		errs = append(errs, r.Register(c))
	}
	return m, errors.Join(errs...)
}

func (m *metrics) all() []prometheus.Collector {
	return []prometheus.Collector{m.frames, m.bytes, m.flushes, m.dropped, m.refused, m.peers}
}

func (m *metrics) unregister(r prometheus.Registerer) {
	if r == nil {
		return
	}
	for _, c := range m.all() {
		r.Unregister(c)
	}
}

func (m *metrics) wrote(frames, bytes int) {
	if frames == 0 {
		return
	}
	m.frames.WithLabelValues("out").Add(float64(frames))
	m.bytes.WithLabelValues("out").Add(float64(bytes))
	m.flushes.Inc()
}

func (m *metrics) received(bytes int) {
	m.frames.WithLabelValues("in").Inc()
	m.bytes.WithLabelValues("in").Add(float64(bytes))
}
