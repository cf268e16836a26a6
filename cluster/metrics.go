package cluster

import (
	"github.com/prometheus/client_golang/prometheus"
)

var (
	membersDesc = prometheus.NewDesc("rouse_gossip_members", "Nodes that are taken for alive, with this one; known is false for those of a release that cannot be read.", []string{"known"}, nil)
	healthDesc  = prometheus.NewDesc("rouse_gossip_health_score", "How late this node itself is with probes and answers: 0 is well.", nil, nil)
)

// metrics of the membership. change is joined, left or updated.
type metrics struct {
	changes   *prometheus.CounterVec // change
	rejoins   prometheus.Counter
	epochs    prometheus.Counter
	conflicts prometheus.Counter
	dropped   prometheus.Counter
}

func newMetrics() *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	return &metrics{
		changes:   prometheus.NewCounterVec(prometheus.CounterOpts{Name: "rouse_gossip_changes_total", Help: "Changes of the members, by kind."}, []string{"change"}),
		rejoins:   counter("rouse_gossip_rejoins_total", "Attempts to reach a seed or a lost member."),
		epochs:    counter("rouse_gossip_epochs_total", "How often this node took another id because others had given it up."),
		conflicts: counter("rouse_gossip_conflicts_total", "Signs of two nodes with one name."),
		dropped:   counter("rouse_gossip_notes_dropped_total", "Notes between nodes that were dropped because too many waited or they could not be read."),
	}
}

// count says what is different; both lists are sorted by name.
func (m *metrics) count(before, now []Member) {
	for len(before) > 0 || len(now) > 0 {
		switch {
		case len(now) == 0 || len(before) > 0 && before[0].Name < now[0].Name:
			m.changes.WithLabelValues("left").Inc()
			before = before[1:]
		case len(before) == 0 || now[0].Name < before[0].Name:
			m.changes.WithLabelValues("joined").Inc()
			now = now[1:]
		default:
			if !before[0].equal(now[0]) {
				m.changes.WithLabelValues("updated").Inc()
			}
			before, now = before[1:], now[1:]
		}
	}
}

func (m *metrics) all() []prometheus.Collector {
	return []prometheus.Collector{m.changes, m.rejoins, m.epochs, m.conflicts, m.dropped}
}

// Describe is of prometheus.Collector.
func (m *Membership) Describe(c chan<- *prometheus.Desc) {
	c <- membersDesc
	c <- healthDesc
	for _, v := range m.metrics.all() {
		v.Describe(c)
	}
}

// Collect is of prometheus.Collector.
func (m *Membership) Collect(c chan<- prometheus.Metric) {
	known, unknown := 0, 0
	for _, member := range m.Members() {
		if member.Unknown {
			unknown++
		} else {
			known++
		}
	}
	c <- prometheus.MustNewConstMetric(membersDesc, prometheus.GaugeValue, float64(known), "true")
	c <- prometheus.MustNewConstMetric(membersDesc, prometheus.GaugeValue, float64(unknown), "false")
	c <- prometheus.MustNewConstMetric(healthDesc, prometheus.GaugeValue, float64(m.list.GetHealthScore()))
	for _, v := range m.metrics.all() {
		v.Collect(c)
	}
}
