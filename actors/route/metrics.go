package route

import "github.com/prometheus/client_golang/prometheus"

var (
	attemptsDesc = prometheus.NewDesc("rouse_route_attempts_total",
		"Attempts to reach the leader of a shard on another node, and those that went through a third node, were redirected, late or undelivered.", []string{"event"}, nil)
	refusedDesc = prometheus.NewDesc("rouse_route_refused_total",
		"Requests that were not answered by a shard: too many under way, or the deadline was over.", []string{"reason"}, nil)
	underWayDesc = prometheus.NewDesc("rouse_route_under_way",
		"Requests without an answer: in flight to another node, or waiting until their shard has a leader.", []string{"state"}, nil)
)

// Describe is part of prometheus.Collector.
func (r *Router) Describe(c chan<- *prometheus.Desc) {
	c <- attemptsDesc
	c <- refusedDesc
	c <- underWayDesc
}

// Collect is part of prometheus.Collector.
func (r *Router) Collect(c chan<- prometheus.Metric) {
	r.mu.Lock()
	n, pending, parked := r.state.counts, len(r.state.pending), r.state.parked
	r.mu.Unlock()
	total := func(d *prometheus.Desc, v uint64, label string) {
		c <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), label)
	}
	total(attemptsDesc, n.sent, "sent")
	total(attemptsDesc, n.relayed, "relayed")
	total(attemptsDesc, n.redirected, "redirected")
	total(attemptsDesc, n.late, "late")
	total(attemptsDesc, n.undelivered, "undelivered")
	total(refusedDesc, n.refused, "overloaded")
	total(refusedDesc, n.expired, "deadline")
	c <- prometheus.MustNewConstMetric(underWayDesc, prometheus.GaugeValue, float64(pending-parked), "in_flight")
	c <- prometheus.MustNewConstMetric(underWayDesc, prometheus.GaugeValue, float64(parked), "waiting")
}
