package gateway

import (
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

// metrics of calls. Labels: method is one of the API's or "unknown", code is
// "OK" or the name of a rouse.v1.ErrorCode, status that of an ItemStatus.
type metrics struct {
	calls   *prometheus.CounterVec
	seconds *prometheus.HistogramVec
	items   map[rousev1.ItemStatus]prometheus.Counter
	refused map[rousev1.ErrorCode]prometheus.Counter
	streams prometheus.Gauge
	// hooks counts the calls before pushes by result: answered or failed.
	hooks *prometheus.CounterVec
}

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	items := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "rouse_ingest_items_total", Help: "Events answered, by status.",
	}, []string{"status"})
	refused := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "rouse_ingest_refused_total", Help: "Events refused, by error code.",
	}, []string{"code"})
	m := &metrics{
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rouse_rpc_total", Help: "Calls ended, by method and error code.",
		}, []string{"method", "code"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "rouse_rpc_seconds", Help: "Duration of unary calls.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 5, 30},
		}, []string{"method"}),
		streams: prometheus.NewGauge(prometheus.GaugeOpts{Name: "rouse_ingest_streams", Help: "Open Ingest streams."}),
		hooks: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rouse_before_push_total", Help: "Calls of apps' hooks before pushes, by result: answered or failed.",
		}, []string{"result"}),
		items:   make(map[rousev1.ItemStatus]prometheus.Counter),
		refused: make(map[rousev1.ErrorCode]prometheus.Counter),
	}
	for n, name := range rousev1.ItemStatus_name {
		m.items[rousev1.ItemStatus(n)] = items.WithLabelValues(strings.TrimPrefix(name, "ITEM_STATUS_"))
	}
	for n := range rousev1.ErrorCode_name {
		m.refused[rousev1.ErrorCode(n)] = refused.WithLabelValues(codeName(rousev1.ErrorCode(n)))
	}
	for _, c := range []prometheus.Collector{m.calls, m.seconds, m.streams, m.hooks, items, refused} {
		if err := r.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// ended counts a call; code 0 is OK.
func (m *metrics) ended(method string, code rousev1.ErrorCode, took time.Duration) {
	if _, ok := methods[method]; !ok {
		method = "unknown"
	}
	m.calls.WithLabelValues(method, codeName(code)).Inc()
	if method != rousev1.IntakeService_Ingest_FullMethodName {
		m.seconds.WithLabelValues(method).Observe(took.Seconds())
	}
}

// answered counts the result of an event.
func (m *metrics) answered(r *rousev1.ItemResult) {
	m.items[r.GetStatus()].Inc()
	if r.GetError() == nil {
		return
	}
	if c, known := m.refused[r.GetError().GetCode()]; known {
		c.Inc()
	}
}

func codeName(code rousev1.ErrorCode) string {
	if code == rousev1.ErrorCode_ERROR_CODE_UNSPECIFIED {
		return "OK"
	}
	if _, known := rousev1.ErrorCode_name[int32(code)]; !known {
		code = rousev1.ErrorCode_ERROR_CODE_INTERNAL
	}
	return strings.TrimPrefix(code.String(), "ERROR_CODE_")
}
