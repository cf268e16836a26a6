package checker

import (
	"cmp"
	"slices"

	"github.com/rouse-im/rouse/simulations"
)

// Doubt takes back the answers of pushes that were sent again, if they came in a
// fault of a node or of their vendor, or less than about from one: the answer may
// not have been durable when another node took over, and an answer that is not is
// none. Engines call it before Run.
func (h *History) Doubt(about simulations.Offset) {
	last := map[[2]string]*Push{}
	slices.SortStableFunc(h.Pushes, func(a, b Push) int { return cmp.Compare(a.At, b.At) })
	for i := range h.Pushes {
		p := &h.Pushes[i]
		key := [2]string{p.PushID, p.Token}
		if before := last[key]; before != nil && slices.ContainsFunc(h.Faults, func(f simulations.Fault) bool {
			return before.At >= f.At-about && before.At <= f.At+f.For+about && (len(f.Nodes) > 0 || f.Vendor == p.Vendor)
		}) {
			before.Answer = "none"
		}
		last[key] = p
	}
}
