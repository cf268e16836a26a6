package roster

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"

	actorv1 "github.com/rouse-im/rouse/api/rouse/actor/v1"
)

// View is the members and placements at one moment. It and all that it gives
// out must not be changed.
type View struct {
	cluster    string
	members    map[uint64]*actorv1.Member // with those that were removed
	placements map[uint16]Placement
	rebalances uint64

	present []*actorv1.Member // by node id
	removed int
}

// Placement is the nodes that shall hold a replica of a group, and the one that
// shall lead it.
type Placement struct {
	// Voters and Learners are node ids, ascending, and share none.
	Voters, Learners []uint64
	// Leader is one of the voters; 0 = any.
	Leader uint64
	// Settled: the replicas are these and no others.
	Settled bool
}

// Has tells whether a node shall hold a replica.
func (p Placement) Has(node uint64) bool {
	return slices.Contains(p.Voters, node) || slices.Contains(p.Learners, node)
}

// Equal compares all but Settled.
func (p Placement) Equal(o Placement) bool { return p.Leader == o.Leader && p.SameReplicas(o) }

// SameReplicas compares voters and learners.
func (p Placement) SameReplicas(o Placement) bool {
	return slices.Equal(p.Voters, o.Voters) && slices.Equal(p.Learners, o.Learners)
}

func (v *View) sort() {
	v.present, v.removed = make([]*actorv1.Member, 0, len(v.members)), 0
	for _, m := range v.members {
		if m.GetRemovedAtMs() != 0 {
			v.removed++
			continue
		}
		v.present = append(v.present, m)
	}
	slices.SortFunc(v.present, func(a, b *actorv1.Member) int { return cmp.Compare(a.GetNode(), b.GetNode()) })
}

// Cluster is the id of the cluster, 32 hex digits; empty = not founded.
func (v *View) Cluster() string { return v.cluster }

// Members are the admitted nodes by id, with those that are leaving.
func (v *View) Members() []*actorv1.Member { return v.present }

// Member finds an admitted node.
func (v *View) Member(node uint64) (*actorv1.Member, bool) {
	m, ok := v.members[node]
	return m, ok && m.GetRemovedAtMs() == 0
}

// Removed tells whether a node was removed; such a node must stay away. Only
// the newest MaxRemoved are known.
func (v *View) Removed(node uint64) bool { return v.members[node].GetRemovedAtMs() != 0 }

// Placement of a group; false = there is no record of it.
func (v *View) Placement(group uint16) (Placement, bool) {
	p, ok := v.placements[group]
	return p, ok
}

// Placements of all groups.
func (v *View) Placements() map[uint16]Placement { return v.placements }

// Rebalances counts the orders to move leaderships at once.
func (v *View) Rebalances() uint64 { return v.rebalances }

// Reasons why Find does not find one node.
var (
	ErrNotMember = errors.New("no node of this cluster")
	ErrAmbiguous = errors.New("several nodes have this name")
)

// Find finds an admitted node by its id or name.
func (v *View) Find(node string) (*actorv1.Member, error) {
	if id, err := strconv.ParseUint(node, 16, 64); err == nil && len(node) == idDigits {
		if m, ok := v.Member(id); ok {
			return m, nil
		}
	}
	var found *actorv1.Member
	for _, m := range v.present {
		if m.GetName() != node {
			continue
		}
		if found != nil {
			return nil, fmt.Errorf("%q: %w; use the id: %s or %s", node, ErrAmbiguous, NodeID(found.GetNode()), NodeID(m.GetNode()))
		}
		found = m
	}
	if found == nil {
		return nil, fmt.Errorf("%q is %w; rouse cluster status shows names and ids", node, ErrNotMember)
	}
	return found, nil
}

const idDigits = 16

// NodeID writes a node's id.
func NodeID(node uint64) string { return fmt.Sprintf("%016x", node) }

// NodeOf is the node id of a store, whose own id has 32 hex digits.
func NodeOf(store string) (uint64, error) {
	if len(store) != 2*idDigits {
		return 0, fmt.Errorf("%w: a store's id has %d hex digits, not %d", ErrInvalid, 2*idDigits, len(store))
	}
	id, err := strconv.ParseUint(store[:idDigits], 16, 64)
	if err != nil || id == 0 {
		return 0, fmt.Errorf("%w: %q is no id of a store", ErrInvalid, store)
	}
	return id, nil
}
