package transport

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	received, sent, long, panics prometheus.Counter
	dropped                      *prometheus.CounterVec
	streams                      prometheus.Gauge
}

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	m := &metrics{
		received: counter("rouse_transport_received_total", "Actor messages of other nodes that were let through."),
		sent:     counter("rouse_transport_sent_total", "Actor messages that were written to connections of other nodes."),
		long:     counter("rouse_transport_too_long_total", "Actor messages that were not sent because of their length."),
		panics:   counter("rouse_transport_panics_total", "Streams of other nodes that ended with a panic here."),
		dropped: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rouse_transport_dropped_total", Help: "Actor messages of others that were not let through, by why.",
		}, []string{"reason"}),
		streams: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "rouse_transport_streams", Help: "Streams that others have open to this node's actors.",
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
	return []prometheus.Collector{m.received, m.sent, m.long, m.panics, m.dropped, m.streams}
}

func (m *metrics) unregister(r prometheus.Registerer) {
	if r == nil {
		return
	}
	for _, c := range m.all() {
		r.Unregister(c)
	}
}
