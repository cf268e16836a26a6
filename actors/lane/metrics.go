package lane

import (
	"github.com/prometheus/client_golang/prometheus"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/vendors"
)

// metrics of all lanes. app and notifier are chosen by the operator and go when
// the lane is removed. outcome is one of accepted, token_invalid, token_replaced,
// throttled, quota_exhausted, transient, rejected, credential_bad, unknown,
// no_answer, timeout, panic. status and reason are the names of the enums of the
// public contract. level is call, im, badge, system or marketing; class the same
// without badge.
type metrics struct {
	answers *prometheus.CounterVec   // app, notifier, outcome
	latency *prometheus.HistogramVec // app, notifier
	retries *prometheus.CounterVec   // app, notifier
	ended   *prometheus.CounterVec   // status, reason
}

var (
	laneLabels  = []string{"app", "notifier"}
	levelNames  = [levels]string{"call", "im", "badge", "system", "marketing"}
	queuedDesc  = prometheus.NewDesc("rouse_lane_queued", "Pushes that wait in the lane.", append([]string{"level"}, laneLabels...), nil)
	flyingDesc  = prometheus.NewDesc("rouse_lane_in_flight", "Requests that wait for the vendor's answer.", laneLabels, nil)
	reservDesc  = prometheus.NewDesc("rouse_lane_reserved", "Pushes admitted and not yet ended.", laneLabels, nil)
	breakerDesc = prometheus.NewDesc("rouse_lane_breaker", "Breaker: 0 closed, 1 open, 2 probing.", laneLabels, nil)

	classNames  = [classes]string{"call", "im", "system", "marketing"}
	quotaLabels = append([]string{"class"}, laneLabels...)
	usedDesc    = prometheus.NewDesc("rouse_lane_quota_used", "Pushes of the vendor's day.", quotaLabels, nil)
	limitDesc   = prometheus.NewDesc("rouse_lane_quota_limit", "Bound of the vendor's day, of classes with one.", quotaLabels, nil)
	spentDesc   = prometheus.NewDesc("rouse_lane_quota_exhausted", "1 while the class waits for its quota to be renewed.", quotaLabels, nil)
)

func newMetrics() *metrics {
	return &metrics{
		answers: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rouse_lane_answers_total", Help: "Pushes sent, by what came of each.",
		}, append([]string{"outcome"}, laneLabels...)),
		latency: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "rouse_lane_send_seconds", Help: "Time from the start of a request to its answer or end.",
			Buckets: []float64{.002, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 15},
		}, laneLabels),
		retries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rouse_lane_retries_total", Help: "Pushes that went back to the queue after a send.",
		}, laneLabels),
		ended: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rouse_lane_ended_total", Help: "Pushes that ended, by verdict.",
		}, []string{"status", "reason"}),
	}
}

// forget drops the series of a removed lane.
func (m *metrics) forget(l *Lane) {
	labels := prometheus.Labels{"app": l.App, "notifier": l.Notifier}
	m.answers.DeletePartialMatch(labels)
	m.latency.Delete(labels)
	m.retries.Delete(labels)
}

// Describe is part of prometheus.Collector.
func (d *Directory) Describe(c chan<- *prometheus.Desc) {
	for _, v := range d.metrics.vectors() {
		v.Describe(c)
	}
	for _, desc := range []*prometheus.Desc{queuedDesc, flyingDesc, reservDesc, breakerDesc, usedDesc, limitDesc, spentDesc} {
		c <- desc
	}
}

// Collect is part of prometheus.Collector.
func (d *Directory) Collect(c chan<- prometheus.Metric) {
	for _, v := range d.metrics.vectors() {
		v.Collect(c)
	}
	gauge := func(desc *prometheus.Desc, v int, labels ...string) {
		c <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, float64(v), labels...)
	}
	now := d.now()
	for _, l := range d.All() {
		s := l.Stats()
		for i, n := range s.Queued {
			gauge(queuedDesc, n, levelNames[i], l.App, l.Notifier)
		}
		gauge(flyingDesc, s.InFlight, l.App, l.Notifier)
		gauge(reservDesc, s.Reserved, l.App, l.Notifier)
		gauge(breakerDesc, int(s.Breaker), l.App, l.Notifier)
		for class, q := range s.Quotas {
			gauge(usedDesc, int(q.Used), classNames[class], l.App, l.Notifier)
			gauge(spentDesc, btoi(now.Before(q.ExhaustedUntil)), classNames[class], l.App, l.Notifier)
			if q.Limit > 0 {
				gauge(limitDesc, int(q.Limit), classNames[class], l.App, l.Notifier)
			}
		}
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (m *metrics) vectors() []prometheus.Collector {
	return []prometheus.Collector{m.answers, m.latency, m.retries, m.ended}
}

// laneMetrics are the metrics of one lane, looked up once; for its actor alone.
type laneMetrics struct {
	all           *metrics
	app, notifier string
	answers       [len(outcomeNames)]prometheus.Counter
	ended         map[verdict]prometheus.Counter
	latency       prometheus.Observer
	retries       prometheus.Counter
}

type verdict struct {
	status rousev1.OutcomeStatus
	reason rousev1.Reason
}

func (m *metrics) of(l *Lane) *laneMetrics {
	return &laneMetrics{
		all: m, app: l.App, notifier: l.Notifier,
		ended:   map[verdict]prometheus.Counter{},
		latency: m.latency.WithLabelValues(l.App, l.Notifier),
		retries: m.retries.WithLabelValues(l.App, l.Notifier),
	}
}

// outcomeNames has the vendors' outcomes by number, 0 for those not known here,
// and then the ways to have no answer.
var outcomeNames = [...]string{
	0:                        "unknown",
	vendors.Accepted:         "accepted",
	vendors.TokenInvalid:     "token_invalid",
	vendors.TokenReplaced:    "token_replaced",
	vendors.Throttled:        "throttled",
	vendors.QuotaExhausted:   "quota_exhausted",
	vendors.Transient:        "transient",
	vendors.Rejected:         "rejected",
	vendors.CredentialBad:    "credential_bad",
	silent + int(unanswered): "no_answer",
	silent + int(timedOut):   "timeout",
	silent + int(panicked):   "panic",
}

const silent = int(vendors.CredentialBad)

func outcomeOf(a *answer) int {
	switch {
	case a.kind != answered:
		return silent + int(a.kind)
	case a.res.Outcome > vendors.CredentialBad:
		return 0
	}
	return int(a.res.Outcome)
}

func (m *laneMetrics) answer(a *answer) {
	c := &m.answers[outcomeOf(a)]
	if *c == nil {
		*c = m.all.answers.WithLabelValues(outcomeNames[outcomeOf(a)], m.app, m.notifier)
	}
	(*c).Inc()
}

func (m *laneMetrics) end(status rousev1.OutcomeStatus, reason rousev1.Reason) {
	v := verdict{status, reason}
	c := m.ended[v]
	if c == nil {
		c = m.all.ended.WithLabelValues(status.String(), reason.String())
		m.ended[v] = c
	}
	c.Inc()
}
