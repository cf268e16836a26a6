package placement

import (
	"context"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/rouse-im/rouse/cluster/roster"
	"github.com/rouse-im/rouse/storage"
)

func TestLeadersOfFullDisks(t *testing.T) {
	old := epoch.Add(-time.Hour)
	nodes := []Node{
		{ID: 1, Alive: true, Since: old},
		{ID: 2, Alive: true, Since: old, DiskLow: true},
		{ID: 3, Alive: true, Since: old, DiskLow: true},
		{ID: 4, Alive: true, Since: epoch},
		{ID: 5, Alive: true, Since: old, Draining: true},
		{ID: 6, Alive: true, Since: old, Draining: true, DiskLow: true},
		{ID: 7, Since: old},
		{ID: 8, Since: epoch}, // was low or not: it is dead
		{ID: 9, Alive: true, Since: old, Deaf: true},
	}
	for name, c := range map[string]struct {
		voters []uint64
		was    uint64
		want   uint64
	}{
		"another has room":              {[]uint64{1, 2, 3}, 2, 1},
		"stays with whom has room":      {[]uint64{1, 2, 3}, 1, 1},
		"all low, nothing moves":        {[]uint64{2, 3}, 3, 3},
		"the only other is dead":        {[]uint64{2, 7}, 2, 2},
		"the other has just died":       {[]uint64{2, 8}, 2, 2},
		"just died, and led":            {[]uint64{2, 8}, 8, 8},
		"low, and one just come":        {[]uint64{2, 4}, 2, 4},
		"drains with room, and a low":   {[]uint64{2, 5}, 2, 5},
		"low, and one drains and low":   {[]uint64{2, 6}, 6, 2},
		"all low, and one drains, too":  {[]uint64{3, 6}, 3, 3},
		"only one that drains and low":  {[]uint64{6, 7}, 6, 6},
		"nobody led, the low is better": {[]uint64{2, 7}, 0, 2},
		"alone":                         {[]uint64{2}, 2, 2},
		"deaf, another hears":           {[]uint64{1, 2, 9}, 9, 1},
		"deaf, and one just come":       {[]uint64{4, 9}, 9, 4},
		"deaf as good as low":           {[]uint64{2, 9}, 9, 9},
	} {
		got := Leaders(map[uint16]roster.Placement{7: {Voters: c.voters, Leader: c.was}}, nodes, DefaultRules(), epoch)
		if got[7] != c.want {
			t.Errorf("%s: %d, not %d", name, got[7], c.want)
		}
	}
}

// Replicas stay where they are, whatever disks have: only who leads changes.
func TestReplicasOfFullDisksStay(t *testing.T) {
	records := make(map[uint16]roster.Placement)
	nodes := []Node{{ID: 1, Alive: true}, {ID: 2, Alive: true}, {ID: 3, Alive: true}}
	for g := range uint16(9) {
		records[g] = roster.Placement{Voters: []uint64{1, 2, 3}, Leader: uint64(g%3) + 1, Settled: true}
	}
	low := slices.Clone(nodes)
	low[1].DiskLow = true
	changes := Plan(State{Nodes: low, Records: records}, DefaultRules(), epoch.Add(time.Hour))
	if len(changes) != 3 {
		t.Errorf("%d records change, of 3 groups that were led without room", len(changes))
	}
	for g, p := range changes {
		if !p.SameReplicas(records[g]) || !p.Settled || p.Leader == 2 {
			t.Errorf("group %d: %+v", g, p)
		}
	}
	for i := range low {
		low[i].DiskLow = true
	}
	if changes := Plan(State{Nodes: low, Records: records}, DefaultRules(), epoch.Add(time.Hour)); len(changes) != 0 {
		t.Errorf("all are low, and %v", changes)
	}
}

// A new replica goes to a node with room if there is one, before one of another zone;
// what a node without room has stays there.
func TestNewReplicasNeedRoom(t *testing.T) {
	at := func(id uint64, zone string, low bool) Node {
		return Node{ID: id, Zone: zone, Alive: true, DiskLow: low}
	}
	dead := Node{ID: 1}
	three := []uint64{1, 2, 3}
	for name, c := range map[string]struct {
		was   []uint64
		nodes []Node
		want  []uint64 // of all groups; nil = the group's own choice
	}{
		"one has come without room":   {three, []Node{at(1, "", false), at(2, "", false), at(3, "", false), at(4, "", true)}, three},
		"one has come with room":      {three, []Node{at(1, "", false), at(2, "", false), at(3, "", false), at(4, "", false)}, nil},
		"who has it is without room":  {three, []Node{at(1, "", true), at(2, "", true), at(3, "", true), at(4, "", true)}, three},
		"to replace one, one of two":  {three, []Node{dead, at(2, "", true), at(3, "", false), at(4, "", true), at(5, "", false)}, []uint64{2, 3, 5}},
		"to replace one, no other":    {three, []Node{dead, at(2, "", false), at(3, "", false), at(4, "", true)}, []uint64{2, 3, 4}},
		"room comes before zones":     {three, []Node{dead, at(2, "x", false), at(3, "y", false), at(4, "z", true), at(5, "x", false)}, []uint64{2, 3, 5}},
		"zones count among the rest":  {[]uint64{1, 2, 6}, []Node{dead, at(2, "x", false), {ID: 6}, at(4, "x", true), at(5, "y", true), at(7, "z", true)}, []uint64{2, 5, 7}},
		"from one to three, one full": {[]uint64{1}, []Node{at(1, "", false), at(2, "", true), at(3, "", false), at(4, "", false)}, []uint64{1, 3, 4}},
	} {
		moved := 0
		for g := uint16(1); g <= 64; g++ {
			got := desired(g, roster.Placement{Voters: c.was}, c.nodes, DefaultRules(), epoch).Voters
			if c.want != nil && !slices.Equal(got, c.want) {
				t.Errorf("%s: group %d goes to %v, not %v", name, g, got, c.want)
			}
			if !slices.Equal(got, c.was) {
				moved++
			}
		}
		if c.want == nil && moved < 32 {
			t.Errorf("%s: %d groups of 64 move", name, moved)
		}
	}
}

// A node whose disk is low gives all that it leads away at once; with room it gets
// its share back slowly. When all are low nothing moves.
func TestFullDiskLeadsNothing(t *testing.T) {
	play(t, 32, func(w *world) {
		w.three()
		share := w.loads()[3]
		w.fill(true, 3)
		w.pass(2 * time.Second)
		if loads := w.loads(); loads[3] != 0 {
			t.Errorf("without room: %v", loads)
		}
		w.pass(time.Minute)
		if loads := w.loads(); loads[3] != 0 || loads[1]-loads[2] > 1 || loads[2]-loads[1] > 1 {
			t.Errorf("without room for a minute: %v", loads)
		}
		w.fill(true, 2)
		w.pass(4 * time.Second)
		if loads := w.loads(); loads[1] != int(w.shards)+1 {
			t.Errorf("one node has room: %v", loads)
		}
		w.fill(true, 1)
		w.fill(false, 3) // who has room gets it all, at once
		w.pass(4 * time.Second)
		if loads := w.loads(); loads[3] != int(w.shards)+1 {
			t.Errorf("another node has room: %v", loads)
		}
		w.fill(true, 3)
		w.pass(time.Minute)
		if loads := w.loads(); loads[3] != int(w.shards)+1 {
			t.Errorf("nobody has room: %v", loads)
		}
		w.fill(false, 1, 2, 3)
		w.pass(4 * time.Second)
		if loads := w.loads(); loads[1]+loads[2] == 0 || loads[1]+loads[2] > share {
			t.Errorf("4 s after there was room everywhere: %v", loads)
		}
		w.pass(2 * time.Minute)
		w.settled(3)
	})
}

// A node that hears no leader of the meta group leads nothing, and keeps its replicas,
// as long as there is one that hears it.
func TestDeafNodeLeadsNothing(t *testing.T) {
	play(t, 32, func(w *world) {
		w.three()
		before := w.nodes[1].roster.View().Placements()
		w.deafen(true, 3)
		w.pass(2 * time.Second)
		if loads := w.loads(); loads[3] != 0 {
			t.Errorf("deaf: %v", loads)
		}
		for g, p := range w.nodes[1].roster.View().Placements() {
			if !slices.Equal(p.Voters, before[g].Voters) {
				t.Errorf("group %d moved from %v to %v", g, before[g].Voters, p.Voters)
			}
		}
		w.pass(time.Minute)
		w.deafen(true, 1, 2)
		loads := w.loads()
		w.pass(time.Minute)
		if after := w.loads(); !maps.Equal(loads, after) {
			t.Errorf("nobody hears a leader: %v, then %v", loads, after)
		}
		w.deafen(false, 1, 2, 3)
		w.pass(2 * time.Minute)
		w.settled(3)
	})
}

// A node that stops gives to voters with room, and to others if there are none.
func TestDrainSelfPrefersRoom(t *testing.T) {
	play(t, 16, func(w *world) {
		w.three()
		w.fill(true, 3)
		w.pass(10 * time.Second)
		w.ok(w.nodes[1].conductor.DrainSelf(context.Background(), nil))
		w.pass(time.Second)
		if loads := w.loads(); !maps.Equal(loads, map[uint64]int{1: 0, 2: 17, 3: 0}) {
			t.Errorf("%v", loads)
		}
		w.fill(true, 1)
		w.ok(w.nodes[2].conductor.DrainSelf(context.Background(), nil))
		if loads := w.loads(); loads[2] != 0 {
			t.Errorf("nobody else has room: %v", loads)
		}
	})
}

// When a leader dies and one without room is elected, it gives what it won to one
// with room, though the record still names the dead.
func TestElectedWithoutRoom(t *testing.T) {
	play(t, 16, func(w *world) {
		w.three()
		w.fill(true, 3)
		w.pass(10 * time.Second)
		w.stop(1)
		w.pass(10 * time.Second)
		v := w.nodes[2].roster.View()
		named := 0
		for _, p := range v.Placements() {
			if p.Leader == 1 {
				named++
			}
		}
		if loads := w.loads(); loads[3] != 0 || loads[2] != 17 || named == 0 {
			t.Errorf("%v, %d records name the dead", loads, named)
		}
		w.order(func(v *roster.View) ([]storage.Mutation, error) { return v.Rebalance(), nil })
		w.pass(10 * time.Second)
		if loads := w.loads(); loads[3] != 0 {
			t.Errorf("after an order to rebalance: %v", loads)
		}
	})
}
