package placement

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/rouse-im/rouse/cluster/roster"
)

// Whatever happens to the nodes, no step loses a quorum of the living, and when
// all are back everything comes to be where it shall be.
func TestAnyLifeOfACluster(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m := newModel(rapid.SampledFrom([]int{1, 2, 9, 33}).Draw(rt, "groups"), rt.Fatalf)
		m.say = rt.Logf
		last := uint64(1)
		for range rapid.IntRange(1, 25).Draw(rt, "events") {
			present := slices.Sorted(maps.Keys(m.nodes))
			id := rapid.SampledFrom(present).Draw(rt, "node")
			event := rapid.SampledFrom([]string{"join", "join", "die", "return", "leave", "drain", "undrain", "fill", "free", "deafen", "hear", "long"}).Draw(rt, "event")
			switch event {
			case "join":
				if len(m.nodes) < 8 && last < 20 {
					last++
					m.join(last, rapid.SampledFrom([]string{"", "x", "y"}).Draw(rt, "zone"))
				}
			case "die":
				m.setAlive(id, false)
			case "return":
				m.setAlive(id, true)
			case "leave":
				if slices.ContainsFunc(present, func(o uint64) bool { return o != id && !m.nodes[o].Leaving }) {
					m.leave(id)
				}
			case "drain":
				m.drain(id, true)
			case "undrain":
				m.drain(id, false)
			case "fill", "free":
				m.fill(id, event == "fill")
			case "deafen", "hear":
				m.deafen(id, event == "deafen")
			case "long":
				for range 310 {
					m.second()
				}
			}
			for range rapid.IntRange(0, 12).Draw(rt, "seconds") {
				m.second()
			}
		}
		for _, id := range slices.Sorted(maps.Keys(m.nodes)) {
			m.setAlive(id, true)
		}
		m.settle(3000)
		m.finished()
	})
}

// A node that joins gets what rendezvous gives it, and no other replica moves;
// what a node held that leaves is made once elsewhere.
func TestMovesAreMinimal(t *testing.T) {
	const groups = 65
	m := newModel(groups, t.Fatalf)
	for n := range uint64(3) {
		m.join(n+2, "")
	}
	m.settle(3000)
	for id := uint64(5); id <= 8; id++ {
		before := m.added
		m.join(id, "")
		took := m.settle(3000)
		got := 0
		m.each(func(_ uint16, x *mgroup) {
			if slices.Contains(x.Conf.members(), id) {
				got++
			}
		})
		if m.added-before != got || got < 3*groups/int(id)/2 || got > 3*groups/int(id)*2 {
			t.Errorf("node %d joins: %d replicas made, it has %d", id, m.added-before, got)
		}
		loads := slices.Collect(maps.Values(m.loads()))
		t.Logf("node %d of %d took %d replicas in %d s", id, id, got, took)
		if m.finished(); slices.Max(loads)-slices.Min(loads) > 1 {
			t.Errorf("leaderships: %v", m.loads())
		}
	}
	held := 0
	m.each(func(_ uint16, x *mgroup) {
		if slices.Contains(x.Conf.members(), 4) {
			held++
		}
	})
	before := m.added
	m.leave(4)
	m.settle(3000)
	m.finished()
	if got := m.added - before; got != held-1 { // every node has the meta group
		t.Errorf("a node with %d replicas leaves: %d made", held, got)
	}
}

// A flap of gossip moves nothing, a long death leaderships, a longer one replicas.
func TestDeaths(t *testing.T) {
	m := newModel(33, t.Fatalf)
	for n := range uint64(3) {
		m.join(n+2, "")
	}
	m.settle(3000)
	records := maps.Clone(m.records)
	same := func(equal func(a, b roster.Placement) bool) bool { return maps.EqualFunc(records, m.records, equal) }
	pass := func(seconds int) {
		for range seconds {
			m.second()
		}
	}
	m.setAlive(2, false)
	pass(28)
	m.setAlive(2, true)
	pass(1)
	m.setAlive(2, false)
	pass(28)
	if !same(roster.Placement.Equal) {
		t.Error("a flap changed records")
	}
	pass(240)
	if same(roster.Placement.Equal) || !same(roster.Placement.SameReplicas) {
		t.Error("a death of 4 minutes must move leaderships and no replica")
	}
	pass(600)
	m.each(func(g uint16, x *mgroup) {
		if slices.Contains(x.Conf.Voters, 2) {
			t.Errorf("group %d has the dead node", g)
		}
	})
	loads := m.loads()
	if loads[1]+loads[3]+loads[4] != 33 || max(loads[1], loads[3], loads[4]) != 11 {
		t.Errorf("leaderships: %v", loads)
	}
}

// A minority dead for an hour is no reason for fewer voters.
func TestTheDeadKeepTheirVotes(t *testing.T) {
	for _, n := range []uint64{3, 5} {
		m := newModel(9, t.Fatalf)
		for id := uint64(2); id <= n; id++ {
			m.join(id, "")
		}
		m.settle(3000)
		for id := n/2 + 2; id <= n; id++ {
			m.setAlive(id, false)
		}
		for range 4000 {
			m.second()
		}
		m.each(func(g uint16, x *mgroup) {
			if want := votersAmong(g, int(n)); len(x.Conf.Voters) != want || len(m.records[g].Voters) != want {
				t.Errorf("group %d of %d nodes: %v, %v", g, n, x.Conf.Voters, m.records[g].Voters)
			}
		})
		for id := range m.nodes {
			m.setAlive(id, true)
		}
		m.settle(3000)
		m.finished()
	}
}

func TestZonesDiffer(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var nodes []Node
		zones := make(map[string]bool)
		for i := range rapid.IntRange(3, 9).Draw(rt, "nodes") {
			z := rapid.SampledFrom([]string{"x", "y", "z"}).Draw(rt, "zone")
			zones[z] = true
			nodes = append(nodes, Node{ID: uint64(i + 1), Zone: z, Alive: true, Since: epoch})
		}
		p := desired(rapid.Uint16Range(1, 99).Draw(rt, "group"), roster.Placement{}, nodes, DefaultRules(), epoch)
		used := make(map[string]bool)
		for _, id := range p.Voters {
			used[nodes[id-1].Zone] = true
		}
		if len(p.Voters) != 3 || len(used) != len(zones) {
			rt.Fatalf("%v in %d of %d zones", p.Voters, len(used), len(zones))
		}
	})
	without := desired(1, roster.Placement{}, []Node{{ID: 1, Alive: true}, {ID: 2, Alive: true}, {ID: 3, Zone: "x", Alive: true}, {ID: 4, Zone: "x", Alive: true}}, DefaultRules(), epoch)
	if len(without.Voters) != 3 || slices.Contains(without.Voters, 3) && slices.Contains(without.Voters, 4) {
		t.Errorf("nodes without a zone are domains of their own: %v", without.Voters)
	}
}

// With voters everywhere, leaders differ by one at most and no more of them
// change than must.
func TestLeadersAreEvenAndSticky(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var nodes []Node
		var voters []uint64
		for i := range rapid.IntRange(1, 7).Draw(rt, "nodes") {
			since := epoch.Add(-time.Hour)
			nodes = append(nodes, Node{ID: uint64(i + 1), Alive: true, Since: since, Draining: i > 0 && rapid.Bool().Draw(rt, "draining")})
			voters = append(voters, uint64(i+1))
		}
		groups, was := make(map[uint16]roster.Placement), make(map[uint64]int)
		n := rapid.IntRange(0, 40).Draw(rt, "groups")
		for g := range n {
			p := roster.Placement{Voters: voters, Leader: rapid.SampledFrom(voters).Draw(rt, "leader")}
			groups[uint16(g)] = p
			was[p.Leader]++
		}
		got := Leaders(groups, nodes, DefaultRules(), epoch)
		loads, moved, can := make(map[uint64]int), 0, 0
		for g, id := range got {
			loads[id]++
			if id != groups[g].Leader {
				moved++
			}
		}
		for _, node := range nodes {
			if !node.Draining {
				can++
			}
		}
		must, above := 0, 0
		for _, node := range nodes {
			switch has := was[node.ID]; {
			case node.Draining && loads[node.ID] > 0:
				rt.Fatalf("node %d drains and leads", node.ID)
			case node.Draining:
				must += has
			default:
				if loads[node.ID] < n/can || loads[node.ID] > (n+can-1)/can {
					rt.Fatalf("loads %v of %d groups", loads, n)
				}
				if has > n/can {
					must += has - n/can
					above++
				}
			}
		}
		if must -= min(above, n%can); moved != must {
			rt.Fatalf("%d moved, %d had to: %v -> %v", moved, must, was, loads)
		}
	})
}

func TestLeadersOfLast(t *testing.T) {
	nodes := []Node{
		{ID: 1, Alive: true, Draining: true},
		{ID: 2, Since: epoch},
		{ID: 3, Alive: true, Leaving: true},
		{ID: 4, Alive: true, Since: epoch.Add(time.Minute)},
		{ID: 5, Alive: true},
	}
	at := epoch.Add(time.Minute)
	for name, c := range map[string]struct {
		voters []uint64
		was    uint64
		want   uint64
	}{
		"better one that drains":    {[]uint64{1, 2}, 2, 1},
		"dead for too long":         {[]uint64{2, 5}, 2, 5},
		"nobody":                    {[]uint64{2}, 2, 0},
		"leaves, and no other":      {[]uint64{2, 3}, 3, 3},
		"just come keeps its own":   {[]uint64{4, 5}, 4, 4},
		"just come gets no more":    {[]uint64{4, 5}, 0, 5},
		"just come, and no other":   {[]uint64{2, 4}, 0, 4},
		"one that drains stays put": {[]uint64{1, 3}, 3, 3},
		"drains, and one just come": {[]uint64{1, 4}, 1, 4},
		"leaves, and a better one":  {[]uint64{3, 4, 5}, 3, 5},
	} {
		got := Leaders(map[uint16]roster.Placement{7: {Voters: c.voters, Leader: c.was}}, nodes, DefaultRules(), at)
		if got[7] != c.want {
			t.Errorf("%s: %d, not %d", name, got[7], c.want)
		}
	}
}

// Even when no node may lead what the least loaded one could: 1 gives to 2, and
// 2 to 3.
func TestLeadersByWayOfOthers(t *testing.T) {
	var nodes []Node
	for id := range uint64(3) {
		nodes = append(nodes, Node{ID: id + 1, Alive: true, Since: epoch.Add(-time.Hour)})
	}
	got := Leaders(map[uint16]roster.Placement{
		1: {Voters: []uint64{1, 2}, Leader: 1}, 2: {Voters: []uint64{1, 2}, Leader: 1}, 3: {Voters: []uint64{2, 3}, Leader: 2},
	}, nodes, DefaultRules(), epoch)
	loads := make(map[uint64]int)
	for _, id := range got {
		loads[id]++
	}
	if loads[1] != 1 || loads[2] != 1 || loads[3] != 1 {
		t.Errorf("%v", got)
	}
}

// No step is taken that the living could not commit.
func TestNextNeedsAQuorum(t *testing.T) {
	for name, c := range map[string]struct {
		conf        Configuration
		want, alive []uint64
		do          Do
	}{
		"all alive":                     {Configuration{Voters: []uint64{1, 2, 3}, Learners: []uint64{4}}, []uint64{1, 2, 4}, []uint64{1, 2, 3, 4}, Change},
		"one dead":                      {Configuration{Voters: []uint64{1, 2, 3}, Learners: []uint64{4}}, []uint64{1, 2, 4}, []uint64{1, 2, 4}, Change},
		"no majority of the voters":     {Configuration{Voters: []uint64{1, 2, 3}, Learners: []uint64{4}}, []uint64{1, 2, 4}, []uint64{1, 4}, Wait},
		"no majority of those to come":  {Configuration{Voters: []uint64{1, 2, 3, 4, 5}}, []uint64{1, 2, 3}, []uint64{1, 4, 5}, Wait},
		"a new voter is dead":           {Configuration{Voters: []uint64{1, 2, 3}, Learners: []uint64{4}}, []uint64{1, 2, 4}, []uint64{1, 2, 3}, Wait},
		"no majority of the former":     {Configuration{Voters: []uint64{1}, Outgoing: []uint64{1, 2, 3}}, []uint64{1}, []uint64{1}, Wait},
		"joint":                         {Configuration{Voters: []uint64{1}, Outgoing: []uint64{1, 2, 3}}, []uint64{1}, []uint64{1, 2}, Wait},
		"learners need one too":         {Configuration{Voters: []uint64{1, 2, 3}}, []uint64{1, 2, 4}, []uint64{1, 4}, Wait},
		"a dead one is not waited for":  {Configuration{Voters: []uint64{1, 2, 3}}, []uint64{1, 2, 4}, []uint64{1, 2, 3}, Wait},
		"as it shall be, and none live": {Configuration{Voters: []uint64{1, 2, 3}}, []uint64{1, 2, 3}, nil, Nothing},
	} {
		s := &Status{Commit: 9, Conf: c.conf, Progress: make(map[uint64]Progress)}
		for id := range uint64(6) {
			s.Progress[id] = Progress{Match: 9}
		}
		got := Next(1, s, roster.Placement{Voters: c.want}, func(id uint64) bool { return slices.Contains(c.alive, id) })
		if got.Do != c.do {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func ExampleNext() {
	s := &Status{Commit: 5000, Conf: Configuration{Voters: []uint64{1}}, Progress: map[uint64]Progress{1: {Match: 5000}}}
	want := roster.Placement{Voters: []uint64{1, 2, 3}}
	alive := func(uint64) bool { return true }
	for range 3 {
		step := Next(1, s, want, alive)
		fmt.Println(step.Why, step.Conf.Voters, step.Conf.Learners)
		s.Conf = step.Conf
		for _, id := range s.Conf.Learners {
			s.Progress[id] = Progress{Match: 4950}
		}
	}
	// Output:
	// add a learner [1] [2]
	// add a learner [1] [2 3]
	// change the voters [1 2 3] []
}
