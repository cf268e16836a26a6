package placement

import "github.com/prometheus/client_golang/prometheus"

// step is a kind of what a Conductor does; the names are those of metrics.
type step int

const (
	stepChange step = iota
	stepTransfer
	stepRemove
	steps
)

var stepNames = [steps]string{"change", "transfer", "remove"}

// counts since the start.
type counts struct {
	moves        uint64 // groups whose replicas came to be where they shall be
	done, failed [steps]uint64
}

func (c *counts) end(what step, err error) {
	if err != nil {
		c.failed[what]++
		return
	}
	c.done[what]++
}

var (
	movingGroups = prometheus.NewDesc("rouse_placement_moving_groups", "Groups led by this node whose replicas are not yet where they shall be.", nil, nil)
	moves        = prometheus.NewDesc("rouse_placement_moves_total", "Groups led by this node whose replicas came to be where they shall be.", nil, nil)
	stepsEnded   = prometheus.NewDesc("rouse_placement_steps_total", "Changes of configurations, transfers of leaderships and removals of replicas that this node began, by end: done or failed.", []string{"step", "end"}, nil)
	wanted       = prometheus.NewDesc("rouse_placement_leaders_wanted", "Groups that this node shall lead.", nil, nil)
	kept         = prometheus.NewDesc("rouse_placement_leaders_held", "Groups that this node shall lead and leads.", nil, nil)
)

// Describe is part of prometheus.Collector.
func (*Conductor) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{movingGroups, moves, stepsEnded, wanted, kept} {
		ch <- d
	}
}

// Collect is part of prometheus.Collector.
func (c *Conductor) Collect(ch chan<- prometheus.Metric) {
	shall, does := 0, 0
	for group, record := range c.Roster.View().Placements() {
		if record.Leader != c.Self {
			continue
		}
		shall++
		if _, leads := c.Leads(group); leads {
			does++
		}
	}
	c.mu.Lock()
	moving, count := len(c.why), c.count
	c.mu.Unlock()
	gauge := func(d *prometheus.Desc, n int) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(n))
	}
	counter := func(d *prometheus.Desc, n uint64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), labels...)
	}
	gauge(movingGroups, moving)
	gauge(wanted, shall)
	gauge(kept, does)
	counter(moves, count.moves)
	for what, name := range stepNames {
		counter(stepsEnded, count.done[what], name, "done")
		counter(stepsEnded, count.failed[what], name, "failed")
	}
}
