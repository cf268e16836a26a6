package bubble

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/rouse-im/rouse/simulations"
)

// Plan of one seed: how many nodes there are, whether they grow, and what breaks.
type Plan struct {
	Nodes  int
	Grow   bool
	Faults []simulations.Fault
	// Limits of credentials, by name.
	Limits map[string]Limit
}

// NewPlan draws up to four faults of nodes and vendors that begin after warmup
// and end before the end.
func NewPlan(seed uint64, warmup, end time.Duration, vendors []string) Plan {
	r := rand.New(rand.NewPCG(seed, 0xfa17))
	p := Plan{Nodes: []int{1, 3, 3, 3, 3, 5}[r.IntN(6)]}
	p.Grow = p.Nodes > 1 && r.IntN(4) == 0
	if p.Grow {
		warmup += 15 * time.Second
	}
	kinds := []simulations.FaultKind{
		simulations.Kill, simulations.Kill, simulations.PowerLoss, simulations.Pause, simulations.Partition, simulations.OneWay, simulations.Clog,
		simulations.Latency, simulations.Loss, simulations.DiskSlow, simulations.DiskError, simulations.Drain,
		simulations.VendorDown, simulations.VendorThrottle, simulations.VendorSlow, simulations.VendorCut, simulations.VendorHang, simulations.VendorExpire,
	}
	for range 1 + r.IntN(4) {
		f := simulations.Fault{Kind: kinds[r.IntN(len(kinds))]}
		f.At = simulations.At(warmup) + simulations.Offset(r.Int64N(int64(simulations.At(end-warmup))))
		p.fill(&f, r, vendors)
		p.Faults = append(p.Faults, f)
	}
	p.number()
	return p
}

// number the faults in order of time.
func (p *Plan) number() {
	slices.SortFunc(p.Faults, func(a, b simulations.Fault) int { return int(a.At - b.At) })
	for i := range p.Faults {
		p.Faults[i].N = uint64(i + 1)
	}
}

// WithClocks has up to four clocks jump besides, by minutes or hours, each from
// where the last jump left it.
func (p Plan) WithClocks(seed uint64, warmup, end time.Duration) Plan {
	r := rand.New(rand.NewPCG(seed, 0xc10c))
	p.Faults = slices.Clone(p.Faults)
	for range 1 + r.IntN(4) {
		by := []time.Duration{time.Minute, 10 * time.Minute, time.Hour, 7 * time.Hour}[r.IntN(4)]
		if r.IntN(2) == 0 {
			by = -by
		}
		p.Faults = append(p.Faults, simulations.Fault{
			Kind: simulations.ClockJump, Nodes: []int{r.IntN(p.Nodes)}, Delay: simulations.At(by),
			At: simulations.At(warmup) + simulations.Offset(r.Int64N(int64(simulations.At(end-warmup)))),
		})
	}
	p.number()
	return p
}

func (p *Plan) fill(f *simulations.Fault, r *rand.Rand, vendors []string) {
	between := func(from, to time.Duration) simulations.Offset {
		return simulations.At(from) + simulations.Offset(r.Int64N(int64(simulations.At(to-from))))
	}
	f.For = between(time.Second, 25*time.Second)
	switch f.Kind {
	case simulations.VendorDown, simulations.VendorThrottle, simulations.VendorSlow, simulations.VendorCut, simulations.VendorHang, simulations.VendorExpire:
		f.Vendor = vendors[r.IntN(len(vendors))]
	default:
		f.Nodes = []int{r.IntN(p.Nodes)}
	}
	switch f.Kind {
	case simulations.Pause:
		if p.Nodes == 1 { // its timers go on, so leases would run out that nobody can renew
			f.For = min(f.For, simulations.At(8*time.Second))
		}
	case simulations.Latency:
		f.Delay = between(20*time.Millisecond, 200*time.Millisecond)
	case simulations.DiskSlow:
		f.Delay = between(20*time.Millisecond, 3*time.Second)
	case simulations.VendorSlow:
		f.Delay = between(100*time.Millisecond, 4*time.Second)
	case simulations.VendorThrottle:
		f.Delay = 1000 * simulations.Offset(1+r.IntN(5))
	case simulations.Loss:
		f.Rate = 0.01 + 0.3*r.Float64()
	case simulations.VendorCut:
		f.Rate = 1
	case simulations.VendorExpire:
		f.For = 0
	}
}
