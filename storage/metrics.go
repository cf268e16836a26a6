package storage

import (
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/prometheus/client_golang/prometheus"
)

// metrics has no labels: the number of series is fixed.
type metrics struct {
	entries  prometheus.Histogram
	bytes    prometheus.Histogram
	seconds  prometheus.Histogram
	refused  prometheus.Counter
	diskSlow prometheus.Counter
	stalls   prometheus.Counter
}

func newMetrics() *metrics {
	histogram := func(name, help string, buckets []float64) prometheus.Histogram {
		return prometheus.NewHistogram(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets})
	}
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	return &metrics{
		entries: histogram("rouse_storage_commit_entries", "Entries in one synced commit.",
			prometheus.ExponentialBuckets(1, 2, 14)),
		bytes: histogram("rouse_storage_commit_bytes", "Bytes of one synced commit.",
			prometheus.ExponentialBuckets(256, 4, 10)),
		seconds: histogram("rouse_storage_commit_seconds", "Time to write and sync one commit.",
			prometheus.ExponentialBuckets(100e-6, 2, 18)),
		refused:  counter("rouse_storage_refused_total", "Entries refused before they were written."),
		diskSlow: counter("rouse_storage_disk_slow_total", "Reports of a disk operation that took too long."),
		stalls:   counter("rouse_storage_write_stalls_total", "Times writes waited for flushes or compactions."),
	}
}

func (m *metrics) observeCommit(entries, bytes int, took time.Duration) {
	m.entries.Observe(float64(entries))
	m.bytes.Observe(float64(bytes))
	m.seconds.Observe(took.Seconds())
}

func (m *metrics) own() []prometheus.Collector {
	return []prometheus.Collector{m.entries, m.bytes, m.seconds, m.refused, m.diskSlow, m.stalls}
}

// collector adds what the database knows at the time of the scrape.
type collector struct {
	s       *Store
	samples []sample
}

type sample struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
	read func(*pebble.Metrics) float64
}

func newCollector(s *Store) *collector {
	const gauge, counter = prometheus.GaugeValue, prometheus.CounterValue
	of := func(kind prometheus.ValueType, name, help string, read func(*pebble.Metrics) float64) sample {
		return sample{prometheus.NewDesc(name, help, nil, nil), kind, read}
	}
	return &collector{s: s, samples: []sample{
		of(gauge, "rouse_storage_disk_bytes", "Bytes of all files of the store.",
			func(m *pebble.Metrics) float64 { return float64(m.DiskSpaceUsage()) }),
		of(gauge, "rouse_storage_compaction_debt_bytes", "Bytes to compact until the tables are in order.",
			func(m *pebble.Metrics) float64 { return float64(m.Compact.EstimatedDebt) }),
		of(gauge, "rouse_storage_read_amplification", "Tables that a read may have to look into.",
			func(m *pebble.Metrics) float64 { return float64(m.ReadAmp()) }),
		of(counter, "rouse_storage_cache_hits_total", "Block cache hits since the store was opened.",
			func(m *pebble.Metrics) float64 { return float64(m.BlockCache.Hits) }),
		of(counter, "rouse_storage_cache_misses_total", "Block cache misses since the store was opened.",
			func(m *pebble.Metrics) float64 { return float64(m.BlockCache.Misses) }),
	}}
}

func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, m := range c.s.metrics.own() {
		m.Describe(ch)
	}
	for _, x := range c.samples {
		ch <- x.desc
	}
}

func (c *collector) Collect(ch chan<- prometheus.Metric) {
	for _, m := range c.s.metrics.own() {
		m.Collect(ch)
	}
	if c.s.users.enter() != nil {
		return
	}
	defer c.s.users.leave()
	m := c.s.db.Metrics()
	for _, x := range c.samples {
		ch <- prometheus.MustNewConstMetric(x.desc, x.kind, x.read(m))
	}
}
