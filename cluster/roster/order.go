package roster

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	actorv1 "github.com/rouse-im/rouse/api/rouse/actor/v1"
	"github.com/rouse-im/rouse/storage"
)

// Reasons why an order is refused.
var (
	ErrLeaving = errors.New("the node is leaving the cluster, which cannot be taken back")
	ErrLast    = errors.New("the node is the last that stays")
	ErrInUse   = errors.New("the node still holds replicas")
)

// Drain marks a node whose leaderships are to go elsewhere. The answer is empty
// when it is marked already.
func (v *View) Drain(node uint64) ([]storage.Mutation, error) { return v.setDraining(node, true) }

// Undrain takes Drain back.
func (v *View) Undrain(node uint64) ([]storage.Mutation, error) { return v.setDraining(node, false) }

func (v *View) setDraining(node uint64, to bool) ([]storage.Mutation, error) {
	m, err := v.known(node)
	if err != nil {
		return nil, err
	}
	if m.GetLeaving() {
		return nil, fmt.Errorf("%q: %w", m.GetName(), ErrLeaving)
	}
	if m.GetDraining() == to {
		return nil, nil
	}
	next := proto.CloneOf(m)
	next.Draining = to
	return one(setMember(next))
}

// Remove marks a node whose replicas are to go elsewhere, after which Forget
// ends its membership.
func (v *View) Remove(node uint64) ([]storage.Mutation, error) {
	m, err := v.known(node)
	switch {
	case err != nil:
		return nil, err
	case m.GetLeaving():
		return nil, nil
	case !slices.ContainsFunc(v.present, func(o *actorv1.Member) bool { return o.GetNode() != node && !o.GetLeaving() }):
		return nil, fmt.Errorf("%q: %w; add another node first", m.GetName(), ErrLast)
	}
	next := proto.CloneOf(m)
	next.Leaving = true
	return one(setMember(next))
}

// Forget ends the membership of a node that is leaving and has no part in any
// placement. It stays known as removed.
func (v *View) Forget(node uint64, now time.Time) ([]storage.Mutation, error) {
	m, err := v.known(node)
	switch {
	case err != nil:
		return nil, err
	case !m.GetLeaving() || !v.Unused(node):
		return nil, fmt.Errorf("%q: %w", m.GetName(), ErrInUse)
	}
	gone, err := setMember(&actorv1.Member{Node: node, Store: m.GetStore(), Name: m.GetName(), RemovedAtMs: now.UnixMilli()})
	if err != nil {
		return nil, err
	}
	ms := []storage.Mutation{gone}
	if v.removed >= MaxRemoved {
		ms = append(ms, storage.Mutation{Op: storage.Delete, Key: memberKey(v.oldestRemoved())})
	}
	return ms, nil
}

// Unused tells whether no group has, or is to have, a replica on a node.
func (v *View) Unused(node uint64) bool {
	for _, p := range v.placements {
		if !p.Settled || p.Has(node) {
			return false
		}
	}
	return true
}

func (v *View) oldestRemoved() (node uint64) {
	at := int64(0)
	for id, m := range v.members {
		if t := m.GetRemovedAtMs(); t != 0 && (at == 0 || t < at || t == at && id < node) {
			node, at = id, t
		}
	}
	return node
}

// Rebalance orders that leaderships move at once.
func (v *View) Rebalance() []storage.Mutation {
	return []storage.Mutation{{Op: storage.Set, Key: rebalancesKey(), Value: binary.BigEndian.AppendUint64(nil, v.rebalances+1)}}
}

// Place stores placements, in the order of their groups.
func Place(placements map[uint16]Placement) ([]storage.Mutation, error) {
	groups := make([]uint16, 0, len(placements))
	for group := range placements {
		groups = append(groups, group)
	}
	slices.SortFunc(groups, cmp.Compare[uint16])
	ms := make([]storage.Mutation, 0, len(groups))
	for _, group := range groups {
		m, err := placements[group].Set(group)
		if err != nil {
			return nil, err
		}
		ms = append(ms, m)
	}
	return ms, nil
}

func (v *View) known(node uint64) (*actorv1.Member, error) {
	m, ok := v.Member(node)
	if !ok {
		return nil, fmt.Errorf("%s is %w", NodeID(node), ErrNotMember)
	}
	return m, nil
}

func one(m storage.Mutation, err error) ([]storage.Mutation, error) {
	if err != nil {
		return nil, err
	}
	return []storage.Mutation{m}, nil
}
