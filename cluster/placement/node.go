// Package placement settles which nodes hold the replicas of which groups, who
// leads them, and gets there step by step.
//
// What shall be follows from the members, what is, and the time: Plan, Leaders
// and Next are pure. The Planner runs Plan where the meta group is led, and
// writes what shall be as records of that group. A Conductor on every node
// carries it out for the groups that the node leads.
package placement

import (
	"cmp"
	"encoding/binary"
	"slices"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/rouse-im/rouse/cluster/roster"
)

// MetaGroup is the group of the catalogue, of which every node has a replica.
const MetaGroup = 0

const (
	groupVoters = 3 // from as many nodes on
	metaVoters  = 5 // from as many nodes on
)

// Node is a member at one moment.
type Node struct {
	ID uint64
	// Zone is its failure domain; a node without one is a domain of its own.
	Zone              string
	Draining, Leaving bool
	// DiskLow: it has no room for what a leader must take in, nor for a new replica.
	DiskLow bool
	// Deaf: it hears no leader of the meta group, so that it does not learn which IM
	// nodes' leases have ended.
	Deaf  bool
	Alive bool
	// Since when it has been alive, or has not, without a break.
	Since time.Time
}

// Rules of placement.
type Rules struct {
	// ReplaceAfter is how long a node is dead before its replicas go elsewhere.
	ReplaceAfter time.Duration
	// LeadAfter is how long a node is dead before others shall lead what it led.
	LeadAfter time.Duration
	// StableFor is how long a node is alive before it is given more to lead.
	StableFor time.Duration
	// MovesPerNode bounds the groups that a node takes in, or passes on, at once.
	MovesPerNode int
}

// DefaultRules are those of a node whose operator set none.
func DefaultRules() Rules {
	return Rules{ReplaceAfter: 5 * time.Minute, LeadAfter: 30 * time.Second, StableFor: 5 * time.Second, MovesPerNode: 2}
}

// fit tells whether it could lead as well as any other, if it is alive and stays.
func (n *Node) fit() bool { return !n.DiskLow && !n.Deaf }

// lost tells whether a node is dead for good, as far as replicas go.
func (n *Node) lost(r Rules, now time.Time) bool {
	return !n.Alive && now.Sub(n.Since) >= r.ReplaceAfter
}

// score is the rendezvous hash of a node and a group: each group prefers the
// nodes with the highest, and a node that comes or goes changes no other's.
func score(node uint64, group uint16) uint64 {
	var b [10]byte
	binary.BigEndian.PutUint64(b[:], node)
	binary.BigEndian.PutUint16(b[8:], group)
	return xxhash.Sum64(b[:])
}

// ranked sorts nodes by how much a group prefers them.
func ranked(nodes []Node, group uint16) []Node {
	nodes = slices.Clone(nodes)
	slices.SortFunc(nodes, func(a, b Node) int {
		return cmp.Or(cmp.Compare(score(b.ID, group), score(a.ID, group)), cmp.Compare(a.ID, b.ID))
	})
	return nodes
}

// pick takes n of nodes in their order, of zones that have none so far first; of
// those that come later only when there are no others.
func pick(n int, nodes, later []Node) (ids []uint64) {
	used := make(map[string]bool)
	for _, nodes := range [...][]Node{nodes, later} {
		var rest []uint64
		for _, node := range nodes {
			if node.Zone != "" && used[node.Zone] {
				rest = append(rest, node.ID)
				continue
			}
			used[node.Zone] = true
			ids = append(ids, node.ID)
		}
		ids = append(ids, rest...)
	}
	return ids[:min(n, len(ids))]
}

// desired is where a group's replicas shall be, given where they were to be. A node
// without room keeps what it has, and gets more only if there are not enough others.
func desired(group uint16, was roster.Placement, nodes []Node, r Rules, now time.Time) roster.Placement {
	var stay, usable, roomy, full []Node
	for _, n := range nodes {
		if n.Leaving {
			continue
		}
		stay = append(stay, n)
		switch {
		case n.lost(r, now):
			continue
		case n.DiskLow && !was.Has(n.ID):
			full = append(full, n)
		default:
			roomy = append(roomy, n)
		}
		usable = append(usable, n)
	}
	if len(stay) == 0 {
		return was
	}
	// The dead are no reason for fewer voters than there were.
	want := max(votersAmong(group, len(usable)), min(len(was.Voters), votersAmong(group, len(stay))))
	var voters []uint64
	if want == 1 {
		voters = []uint64{sole(group, was, stay, usable)}
	} else {
		voters = pick(want, ranked(roomy, group), ranked(full, group))
		for _, id := range slices.Concat(was.Voters, ids(ranked(stay, group))) {
			if len(voters) < want && has(stay, id) && !slices.Contains(voters, id) {
				voters = append(voters, id)
			}
		}
	}
	slices.Sort(voters)
	next := roster.Placement{Voters: voters, Leader: was.Leader}
	if group == MetaGroup || len(voters) == 1 {
		for _, n := range stay {
			if !slices.Contains(voters, n.ID) {
				next.Learners = append(next.Learners, n.ID)
			}
		}
		slices.Sort(next.Learners)
	}
	return next
}

// votersAmong is how many voters a group has on n nodes: a second one alone
// would make it less available.
func votersAmong(group uint16, n int) int {
	switch {
	case n < groupVoters:
		return 1
	case group == MetaGroup && n >= metaVoters:
		return metaVoters
	}
	return groupVoters
}

// sole is the only voter of a group on less than three nodes: it stays where it
// was as long as it can, and else goes where the data is.
func sole(group uint16, was roster.Placement, stay, usable []Node) uint64 {
	if has(usable, was.Leader) && slices.Contains(was.Voters, was.Leader) {
		return was.Leader
	}
	usableByRank := ids(ranked(usable, group))
	for _, choice := range [][]uint64{both(usableByRank, was.Voters), both(ids(stay), was.Voters), both(usableByRank, was.Learners), usableByRank, ids(stay)} {
		if len(choice) > 0 {
			return choice[0]
		}
	}
	return 0
}

// both is what of a is in b, in the order of a.
func both(a, b []uint64) (ids []uint64) {
	for _, id := range a {
		if slices.Contains(b, id) {
			ids = append(ids, id)
		}
	}
	return ids
}

// without is what of a is not in b, in the order of a.
func without(a, b []uint64) (ids []uint64) {
	for _, id := range a {
		if !slices.Contains(b, id) {
			ids = append(ids, id)
		}
	}
	return ids
}

func ids(nodes []Node) []uint64 {
	all := make([]uint64, len(nodes))
	for i, n := range nodes {
		all[i] = n.ID
	}
	return all
}

func has(nodes []Node, id uint64) bool {
	return slices.ContainsFunc(nodes, func(n Node) bool { return n.ID == id })
}
