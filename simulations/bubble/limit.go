package bubble

import (
	"slices"
	"strings"
	"time"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/simulations"
	"github.com/rouse-im/rouse/simulations/checker"
)

// Limit of a credential; 0 = none.
type Limit struct {
	// PerSecond is what all nodes together may send.
	PerSecond uint32
	// Daily are pushes that the vendor takes in a day, calls left out.
	Daily uint64
}

func (l Limit) set(c *rousev1.Credential) {
	if l.PerSecond > 0 {
		c.RatePerSecond = l.PerSecond
	}
	if l.Daily > 0 {
		c.DailyQuota = &rousev1.DailyQuota{Im: l.Daily}
	}
}

// limits that the judge holds the cluster to. Each run of a node may send one at
// once beside its part of the rate.
func (e *Engine) limits(h *checker.History) {
	l := &h.Limits
	l.Rates, l.Quotas = map[string]checker.Rate{}, map[string]uint64{}
	for name, limit := range e.o.Limits {
		if limit.PerSecond > 0 {
			l.Rates[name] = checker.Rate{PerSecond: float64(limit.PerSecond), Burst: float64(e.o.Nodes) + 1}
		}
		if limit.Daily > 0 {
			l.Quotas[name] = limit.Daily * e.days(h)
		}
	}
}

// vendorDays are the zones in which vendors begin their days.
var vendorDays = []string{"UTC", "Asia/Shanghai"}

// days are how often a vendor's day may have begun in the run: it does by the clock
// of the node that leads the meta group, and again where one whose clock jumped over
// midnight, or is ahead of the last, comes to lead.
func (e *Engine) days(h *checker.History) (most uint64) {
	for _, name := range vendorDays {
		zone, err := time.LoadLocation(name)
		if err != nil {
			continue // then no node knows it either
		}
		days, last := uint64(1), e.o.Start.In(zone).YearDay()
		for _, lead := range h.Leads {
			if lead.Shard != 0 {
				continue
			}
			for _, at := range append([]simulations.Offset{lead.From}, e.jumpsOf(h, lead)...) {
				day := e.o.Start.Add((at + e.ahead(h, lead.By, at)).Duration()).In(zone).YearDay()
				if day > last {
					days++
				}
				last = day
			}
		}
		most = max(most, days)
	}
	return most
}

// jumpsOf are when the clock jumped of who led, meanwhile.
func (e *Engine) jumpsOf(h *checker.History, lead checker.Lead) (all []simulations.Offset) {
	for i := range h.Faults {
		if f := &h.Faults[i]; e.jumps(f, lead.By) && f.At >= lead.From-checker.LeadSlack && f.At <= lead.To+checker.LeadSlack {
			all = append(all, f.At)
		}
	}
	return all
}

// ahead is how far a run's clock was at a time.
func (e *Engine) ahead(h *checker.History, run string, at simulations.Offset) (sum simulations.Offset) {
	for i := range h.Faults {
		if f := &h.Faults[i]; e.jumps(f, run) && f.At <= at {
			sum += f.Delay
		}
	}
	return sum
}

// jumps tells whether a fault is a jump of the clock of a run's machine.
func (e *Engine) jumps(f *simulations.Fault, run string) bool {
	name, _, _ := strings.Cut(run, "/")
	return f.Kind == simulations.ClockJump && slices.ContainsFunc(e.hit(f), func(m *machine) bool { return m.name == name })
}
