package roster

import (
	"encoding/binary"
	"fmt"
	"maps"
	"strconv"

	"google.golang.org/protobuf/proto"

	actorv1 "github.com/rouse-im/rouse/api/rouse/actor/v1"
	"github.com/rouse-im/rouse/storage"
)

// Kinds of keys in the catalogue family.
const (
	kindCluster    = 'i' // no parts: cluster id, 32 hex digits
	kindMember     = 'n' // node id, 16 hex digits: actor.v1.Member
	kindPlacement  = 'g' // group, decimal: actor.v1.Placement
	kindRebalances = 'b' // no parts: how many times it was ordered, u64
)

var kinds = []byte{kindCluster, kindMember, kindPlacement, kindRebalances}

// draft is a View that is being changed; its maps are copied before the first
// change of each.
type draft struct {
	View
	changed                   bool
	ownMembers, ownPlacements bool
}

func (d *draft) apply(m *storage.Mutation) error {
	switch m.Op {
	case storage.Set:
		return d.set(m.Key, m.Value)
	case storage.Delete:
		d.remove(func(key []byte) bool { return string(key) == string(m.Key) }, m.Key)
	case storage.DeleteRange:
		if r := (storage.Range{Lo: m.Key, Hi: m.Value}); d.touches(r) {
			d.remove(r.Contains, nil)
		}
	}
	return nil
}

// touches tells whether r may hold keys of ours.
func (d *draft) touches(r storage.Range) bool {
	for _, kind := range kinds {
		if k := storage.CatalogueRange(kind); string(r.Lo) < string(k.Hi) && string(k.Lo) < string(r.Hi) {
			return true
		}
	}
	return false
}

func (d *draft) set(key, value []byte) error {
	var part [1]string
	switch kind := kindOf(key); kind {
	case kindCluster:
		d.cluster, d.changed = string(value), true
	case kindRebalances:
		if len(value) != 8 {
			return fmt.Errorf("record %q has %d bytes, not 8", key, len(value))
		}
		d.rebalances, d.changed = binary.BigEndian.Uint64(value), true
	case kindMember:
		m := &actorv1.Member{}
		if _, err := storage.ParseCatalogueKey(key, part[:]); err != nil {
			return err
		}
		if err := proto.Unmarshal(value, m); err != nil {
			return fmt.Errorf("member %s: %w", part[0], err)
		}
		d.setMember(m)
	case kindPlacement:
		if _, err := storage.ParseCatalogueKey(key, part[:]); err != nil {
			return err
		}
		group, err := strconv.ParseUint(part[0], 10, 16)
		p := &actorv1.Placement{}
		if err == nil {
			err = proto.Unmarshal(value, p)
		}
		if err != nil {
			return fmt.Errorf("placement of group %s: %w", part[0], err)
		}
		d.setPlacement(uint16(group), Placement{Voters: p.GetVoters(), Learners: p.GetLearners(), Leader: p.GetLeader(), Settled: p.GetSettled()})
	}
	return nil
}

func (d *draft) setMember(m *actorv1.Member) {
	d.copyMembers()
	d.members[m.GetNode()] = m
}

func (d *draft) setPlacement(group uint16, p Placement) {
	d.copyPlacements()
	d.placements[group] = p
}

// remove drops the records whose keys hit; only, if not nil, is the one that can.
func (d *draft) remove(hit func(key []byte) bool, only []byte) {
	if only != nil && kindOf(only) == 0 {
		return
	}
	if d.cluster != "" && hit(clusterKey()) {
		d.cluster, d.changed = "", true
	}
	if d.rebalances != 0 && hit(rebalancesKey()) {
		d.rebalances, d.changed = 0, true
	}
	for id := range d.members {
		if hit(memberKey(id)) {
			d.copyMembers()
			delete(d.members, id)
		}
	}
	for group := range d.placements {
		if hit(placementKey(group)) {
			d.copyPlacements()
			delete(d.placements, group)
		}
	}
}

func (d *draft) copyMembers() {
	d.changed = true
	if !d.ownMembers {
		d.ownMembers, d.members = true, cloned(d.members)
	}
}

func (d *draft) copyPlacements() {
	d.changed = true
	if !d.ownPlacements {
		d.ownPlacements, d.placements = true, cloned(d.placements)
	}
}

func cloned[K comparable, V any](m map[K]V) map[K]V {
	if m == nil {
		return make(map[K]V)
	}
	return maps.Clone(m)
}

// kindOf is the kind of a key of ours, 0 for those of others.
func kindOf(key []byte) byte {
	for _, kind := range kinds {
		if storage.CatalogueRange(kind).Contains(key) {
			return kind
		}
	}
	return 0
}

func clusterKey() []byte         { return storage.AppendCatalogueKey(nil, kindCluster) }
func rebalancesKey() []byte      { return storage.AppendCatalogueKey(nil, kindRebalances) }
func memberKey(id uint64) []byte { return storage.AppendCatalogueKey(nil, kindMember, NodeID(id)) }
func placementKey(g uint16) []byte {
	return storage.AppendCatalogueKey(nil, kindPlacement, strconv.Itoa(int(g)))
}

func set(key []byte, m proto.Message) (storage.Mutation, error) {
	value, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		return storage.Mutation{}, fmt.Errorf("roster: a %s cannot be stored: %w", m.ProtoReflect().Descriptor().Name(), err)
	}
	return storage.Mutation{Op: storage.Set, Key: key, Value: value}, nil
}

func setMember(m *actorv1.Member) (storage.Mutation, error) { return set(memberKey(m.GetNode()), m) }

// Set is the mutation that stores p as the placement of a group.
func (p Placement) Set(group uint16) (storage.Mutation, error) {
	return set(placementKey(group), &actorv1.Placement{Voters: p.Voters, Learners: p.Learners, Leader: p.Leader, Settled: p.Settled})
}
