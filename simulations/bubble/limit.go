package bubble

import (
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
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
func (e *Engine) limits(l *checker.Limits) {
	l.Rates, l.Quotas = map[string]checker.Rate{}, map[string]uint64{}
	for name, limit := range e.o.Limits {
		if limit.PerSecond > 0 {
			l.Rates[name] = checker.Rate{PerSecond: float64(limit.PerSecond), Burst: float64(e.o.Nodes) + 1}
		}
		if limit.Daily > 0 {
			l.Quotas[name] = limit.Daily
		}
	}
}
