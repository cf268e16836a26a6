package placement

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/rouse-im/rouse/cluster/roster"
)

// Leaders are the nodes that shall lead, one of the voters of each group: those
// that were to lead, changed as little as it takes to give all nodes the same
// number, give or take one. A node that drains or leaves leads nothing that
// another voter could lead, and one whose disk is low, or that hears no leader of the
// meta group, nothing that any other could. A node that has just died, or just come,
// keeps what it was to lead and is given no more, unless only one that drains, leaves
// or is not fit could lead else.
// 0 = no voter could.
func Leaders(groups map[uint16]roster.Placement, nodes []Node, r Rules, now time.Time) map[uint16]uint64 {
	b := balance{leader: make(map[uint16]uint64, len(groups)), may: make(map[uint16][]uint64, len(groups)), load: make(map[uint64]int)}
	for _, group := range slices.Sorted(maps.Keys(groups)) {
		if may := candidates(groups[group], nodes, r, now); len(may) > 0 {
			b.groups = append(b.groups, group)
			b.may[group] = may
			for _, id := range may {
				b.load[id] += 0
			}
		}
	}
	b.keep(groups)
	for b.level() {
	}
	return b.leader
}

// candidates are the voters that may be told to lead a group.
func candidates(p roster.Placement, nodes []Node, r Rules, now time.Time) (ids []uint64) {
	var fresh []uint64   // better than who is to lead nothing
	var last [3][]uint64 // better than nobody: going, not fit, both
	for _, n := range nodes {
		if !slices.Contains(p.Voters, n.ID) {
			continue
		}
		steady := n.Alive && now.Sub(n.Since) >= r.StableFor
		lasting := n.Alive || now.Sub(n.Since) < r.LeadAfter
		going := n.Draining || n.Leaving
		switch {
		case !going && n.fit() && (steady || lasting && p.Leader == n.ID):
			ids = append(ids, n.ID)
		case !n.Alive:
		case !going && n.fit():
			fresh = append(fresh, n.ID)
		case n.fit():
			last[0] = append(last[0], n.ID)
		case !going:
			last[1] = append(last[1], n.ID)
		default:
			last[2] = append(last[2], n.ID)
		}
	}
	switch {
	case len(ids) > 0:
		return ids
	case len(fresh) > 0:
		return fresh
	}
	for _, ids = range last {
		if slices.Contains(ids, p.Leader) {
			return []uint64{p.Leader}
		}
		if len(ids) > 0 {
			break
		}
	}
	return ids
}

// balance is an assignment of groups to nodes on its way to an even one.
type balance struct {
	groups []uint16 // ascending
	may    map[uint16][]uint64
	leader map[uint16]uint64
	load   map[uint64]int
}

// keep begins with those that were to lead; the rest goes to whoever has least.
func (b *balance) keep(groups map[uint16]roster.Placement) {
	for _, group := range b.groups {
		if was := groups[group].Leader; slices.Contains(b.may[group], was) {
			b.leader[group] = was
			b.load[was]++
		}
	}
	for _, group := range b.groups {
		if b.leader[group] == 0 {
			to := slices.MinFunc(b.may[group], func(x, y uint64) int {
				return cmp.Or(cmp.Compare(b.load[x], b.load[y]), cmp.Compare(score(y, group), score(x, group)))
			})
			b.leader[group] = to
			b.load[to]++
		}
	}
}

// level moves one leadership from a node to one that has at least two fewer, by
// way of others if it must be, and reports whether it could.
func (b *balance) level() bool {
	byLoad := slices.SortedFunc(maps.Keys(b.load), func(x, y uint64) int {
		return cmp.Or(cmp.Compare(b.load[y], b.load[x]), cmp.Compare(x, y))
	})
	return slices.ContainsFunc(byLoad, b.relieve)
}

// relieve looks for the shortest chain of moves from a node to the least loaded.
func (b *balance) relieve(from uint64) bool {
	by := map[uint64]uint16{} // node -> group whose move reaches it
	reached := map[uint64]bool{from: true}
	best := from
	for queue := []uint64{from}; len(queue) > 0; queue = queue[1:] {
		for _, group := range b.groups {
			if b.leader[group] != queue[0] {
				continue
			}
			for _, to := range b.may[group] {
				if reached[to] {
					continue
				}
				reached[to], by[to] = true, group
				queue = append(queue, to)
				if b.load[to] < b.load[best] {
					best = to
				}
			}
		}
	}
	if b.load[from]-b.load[best] < 2 {
		return false
	}
	b.load[from]--
	b.load[best]++
	for to := best; to != from; {
		group := by[to]
		to, b.leader[group] = b.leader[group], to
	}
	return true
}
