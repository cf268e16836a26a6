package bubble

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/rouse-im/rouse/simulations"
)

// HarshLease is the lease of IM nodes in harsh plans: sessions of those that die
// end while much is told.
const HarshLease = 5 * time.Second

// NewHarshPlan draws the faults of the scenario "harsh": what hits the leader of
// the meta group (at first node 0), what makes pushes wait, and what moves shards
// meanwhile; at last a node is cut off. Of three credentials one has a rate that binds, and one a quota.
func NewHarshPlan(seed uint64, vendors []string, credentials []string) Plan {
	r := rand.New(rand.NewPCG(seed, 0x4a12))
	p := Plan{Nodes: []int{3, 3, 3, 5}[r.IntN(4)], Limits: map[string]Limit{}}
	for i, j := range r.Perm(len(credentials)) {
		switch i {
		case 0:
			p.Limits[credentials[j]] = Limit{PerSecond: 2 + r.Uint32N(3)}
		case 1:
			p.Limits[credentials[j]] = Limit{Daily: 10 + r.Uint64N(10)}
		}
	}
	at := func(from, to int) simulations.Offset { return simulations.Offset(1000*from + r.IntN(1000*(to-from))) }
	add := func(kind simulations.FaultKind, begin, length simulations.Offset, nodes ...int) *simulations.Fault {
		p.Faults = append(p.Faults, simulations.Fault{Kind: kind, At: begin, For: length, Nodes: nodes})
		return &p.Faults[len(p.Faults)-1]
	}
	pick := func(kinds ...simulations.FaultKind) simulations.FaultKind { return kinds[r.IntN(len(kinds))] }
	other := func() int { return 1 + r.IntN(p.Nodes-1) }

	add(pick(simulations.Kill, simulations.Kill, simulations.PowerLoss, simulations.Drain), at(24, 34), at(3, 12), 0)
	add(simulations.Bridge, at(38, 46), at(8, 14), other(), 0)
	add(pick(simulations.Kill, simulations.PowerLoss, simulations.Drain), at(60, 72), at(3, 12), r.IntN(p.Nodes))
	add(pick(simulations.Kill, simulations.Drain, simulations.Partition, simulations.Clog, simulations.OneWay, simulations.Pause), at(84, 100), at(3, 12), r.IntN(p.Nodes))
	add(simulations.Partition, at(104, 112), at(4, 7), r.IntN(p.Nodes))
	for i, j := range r.Perm(len(vendors)) {
		add(pick(simulations.VendorDown, simulations.VendorCut, simulations.VendorHang, simulations.VendorThrottle), at(30, 44), at(8, 20)).Vendor = vendors[j]
		if i < 2 {
			add(pick(simulations.VendorRefuse, simulations.VendorRefuse, simulations.VendorDown, simulations.VendorCut), at(66, 100), at(4, 12)).Vendor = vendors[j]
		}
	}
	for i := range p.Faults {
		switch f := &p.Faults[i]; f.Kind {
		case simulations.VendorThrottle:
			f.Delay = 1000 * simulations.Offset(1+r.IntN(5))
		case simulations.VendorCut:
			f.Rate = 1
		}
	}
	slices.SortFunc(p.Faults, func(a, b simulations.Fault) int { return int(a.At - b.At) })
	for i := range p.Faults {
		p.Faults[i].N = uint64(i + 1)
	}
	return p
}
