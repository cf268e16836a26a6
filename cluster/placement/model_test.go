package placement

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/rouse-im/rouse/cluster/roster"
)

var epoch = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

// model plays a cluster second by second: logs, elections and configuration
// changes as Raft does them, with Plan and Next deciding. It checks each step.
type model struct {
	fault   func(format string, args ...any)
	say     func(format string, args ...any)
	now     time.Time
	nodes   map[uint64]*Node
	records map[uint16]roster.Placement
	groups  map[uint16]*mgroup
	// steps counts what was done; added the replicas that were made.
	steps, added, led int
}

type mgroup struct {
	Status
	leader uint64
	seen   Configuration // what the planner was told last
}

// newModel is a cluster of node 1.
func newModel(groups int, fault func(string, ...any)) *model {
	m := &model{
		fault: fault, say: func(string, ...any) {}, now: epoch, nodes: make(map[uint64]*Node),
		records: make(map[uint16]roster.Placement), groups: make(map[uint16]*mgroup),
	}
	m.join(1, "")
	for g := range uint16(groups) {
		m.records[g] = roster.Placement{Voters: []uint64{1}, Leader: 1, Settled: true}
		m.groups[g] = &mgroup{leader: 1, Status: Status{Term: 1, Commit: 1000, Conf: Configuration{Voters: []uint64{1}}, Progress: map[uint64]Progress{1: {Match: 1000}}}}
	}
	return m
}

func (m *model) join(id uint64, zone string) {
	m.say("%s joins", letter(id))
	m.nodes[id] = &Node{ID: id, Zone: zone, Alive: true, Since: m.now}
}

func (m *model) setAlive(id uint64, alive bool) {
	if n := m.nodes[id]; n != nil && n.Alive != alive {
		m.say("%s %s", letter(id), map[bool]string{true: "comes back", false: "dies"}[alive])
		n.Alive, n.Since = alive, m.now
	}
}

func (m *model) leave(id uint64) {
	m.say("%s is to leave", letter(id))
	m.nodes[id].Leaving = true
}

func (m *model) drain(id uint64, draining bool) {
	m.say("%s drains: %t", letter(id), draining)
	m.nodes[id].Draining = draining
}

func (m *model) fill(id uint64, low bool) {
	m.say("%s has a low disk: %t", letter(id), low)
	m.nodes[id].DiskLow = low
}

func (m *model) deafen(id uint64, deaf bool) {
	m.say("%s is deaf: %t", letter(id), deaf)
	m.nodes[id].Deaf = deaf
}

// worse tells why a node should lead only if no better one could; 0 = it is good.
func (m *model) worse(id uint64) (rank int) {
	if m.nodes[id].Draining {
		rank = 1
	}
	if !m.nodes[id].fit() {
		rank += 2
	}
	return rank
}

func (m *model) alive(id uint64) bool { n := m.nodes[id]; return n != nil && n.Alive }

func (m *model) each(do func(g uint16, x *mgroup)) {
	for _, g := range slices.Sorted(maps.Keys(m.groups)) {
		do(g, m.groups[g])
	}
}

// second passes; it reports whether anything happened.
func (m *model) second() (happened bool) {
	m.now = m.now.Add(time.Second)
	m.each(m.raft)
	m.each(func(g uint16, x *mgroup) { happened = m.conduct(g, x) || happened })
	if m.groups[MetaGroup].leader != 0 {
		happened = m.plan() || happened
	}
	return happened
}

// raft elects, replicates, and leaves joint configurations.
func (m *model) raft(g uint16, x *mgroup) {
	able := quorum(x.Conf.Voters, m.alive) && (len(x.Conf.Outgoing) == 0 || quorum(x.Conf.Outgoing, m.alive))
	if !m.alive(x.leader) || !slices.Contains(x.Conf.Voters, x.leader) {
		x.leader = 0
	}
	if !able {
		x.leader = 0
		return
	}
	if x.leader == 0 {
		x.Term++
		for _, id := range x.Conf.Voters {
			if m.alive(id) && (x.leader == 0 || score(id, g) > score(x.leader, g)) {
				x.leader = id
			}
		}
		for _, id := range x.Conf.members() {
			x.Progress[id] = Progress{Match: x.Progress[id].Match}
		}
	}
	x.Conf.Outgoing = nil
	x.Commit += 10
	for _, id := range x.Conf.members() {
		p := x.Progress[id]
		switch {
		case !m.alive(id):
		case p.Match == 0: // a second for the snapshot, one for what came since
			x.Progress[id] = Progress{Match: 1, Snapshot: true}
		case p.Match == 1:
			x.Progress[id] = Progress{Match: x.Commit - 300}
		default:
			x.Progress[id] = Progress{Match: x.Commit}
		}
	}
}

// conduct does what the leader of a group does in a second.
func (m *model) conduct(g uint16, x *mgroup) bool {
	if x.leader == 0 {
		return false
	}
	step := Next(x.leader, &x.Status, m.records[g], m.alive)
	if step.Do == Wait || step.Do == Nothing {
		to := Give(x.leader, &x.Status, m.records[g], m.alive)
		if to == 0 {
			return false
		}
		step = Step{Do: Transfer, To: to, Why: "balance"}
	}
	m.steps++
	if step.Do == Transfer {
		m.say("%2d  %s -> leader %s (%s)", g, m.shape(x), letter(step.To), step.Why)
		if !m.alive(step.To) || !slices.Contains(x.Conf.Voters, step.To) || !x.caughtUp(step.To) {
			m.fault("group %d: %d cannot lead", g, step.To)
		}
		x.leader, m.led = step.To, m.led+1
		x.Term++
		return true
	}
	m.change(g, x, step)
	return true
}

func (m *model) change(g uint16, x *mgroup, step Step) {
	before := x.Conf
	added := without(step.Conf.members(), before.members())
	for _, id := range added {
		x.Progress[id] = Progress{}
		m.added++
	}
	if len(added) > 1 || len(both(added, step.Conf.Voters)) > 0 {
		m.fault("group %d: %v added at once, or with a vote", g, added)
	}
	for _, id := range without(before.members(), step.Conf.members()) {
		if slices.Contains(before.Voters, id) {
			m.fault("group %d: the voter %d is gone without being a learner", g, id)
		}
		delete(x.Progress, id)
	}
	for _, id := range without(step.Conf.Voters, before.Voters) {
		if !x.caughtUp(id) {
			m.fault("group %d: %d votes and lacks %d entries", g, id, x.lag(id))
		}
	}
	x.Conf = step.Conf
	if !slices.Equal(before.Voters, step.Conf.Voters) {
		x.Conf.Outgoing = before.Voters
		if !slices.Contains(step.Conf.Voters, x.leader) {
			m.fault("group %d: its leader %d loses its vote", g, x.leader)
		}
	}
	if !quorum(x.Conf.Voters, m.alive) || !quorum(before.Voters, m.alive) {
		m.fault("group %d: %v -> %v has no quorum", g, before, x.Conf)
	}
	m.say("%2d  %s (%s)", g, m.shape(x), step.Why)
}

// plan runs the planner, and forgets who has left.
func (m *model) plan() bool {
	s := State{Records: m.records, Observed: make(map[uint16]Observed)}
	for _, id := range slices.Sorted(maps.Keys(m.nodes)) {
		s.Nodes = append(s.Nodes, *m.nodes[id])
	}
	m.each(func(g uint16, x *mgroup) {
		if x.leader == 0 {
			return
		}
		same := slices.Equal(x.seen.Voters, x.Conf.Voters) && slices.Equal(x.seen.Learners, x.Conf.Learners) && len(x.Conf.Outgoing) == 0
		s.Observed[g] = Observed{Conf: x.Conf, Leader: x.leader, Term: x.Term, Behind: x.Behind(), Sure: same}
		x.seen = x.Conf
	})
	changes := Plan(s, DefaultRules(), m.now)
	for g, p := range changes {
		m.roomFirst(g, m.records[g], p)
	}
	maps.Copy(m.records, changes)
	gaining := make(map[uint64]int)
	m.each(func(g uint16, x *mgroup) {
		for _, id := range x.Behind() {
			if m.alive(id) && x.Progress[id].Snapshot {
				gaining[id]++
			}
		}
	})
	for id, n := range gaining {
		if n > DefaultRules().MovesPerNode {
			m.fault("node %d takes in %d groups at once", id, n)
		}
	}
	for id, n := range m.nodes {
		unused := !slices.ContainsFunc(slices.Collect(maps.Values(m.records)), func(p roster.Placement) bool { return !p.Settled || p.Has(id) })
		if n.Leaving && unused {
			m.say("%s is forgotten", letter(id))
			delete(m.nodes, id)
		}
	}
	return len(changes) > 0
}

// roomFirst checks that no node without room is to take in a voter's replica while
// another node could.
func (m *model) roomFirst(g uint16, was, next roster.Placement) {
	for _, id := range next.Voters {
		if was.Has(id) || !m.nodes[id].DiskLow {
			continue
		}
		for other, n := range m.nodes {
			if !next.Has(other) && !n.Leaving && !n.lost(DefaultRules(), m.now) && (!n.DiskLow || was.Has(other)) {
				m.fault("group %d: %d has no room and is to get a replica, %d could: %+v -> %+v", g, id, other, was, next)
			}
		}
	}
}

// settle runs until nothing happens for a minute, and tells after how long.
func (m *model) settle(atMost int) int {
	quiet := 0
	for i := range atMost {
		if m.second() {
			quiet = 0
		} else if quiet++; quiet == 60 {
			return i - quiet
		}
	}
	m.fault("not settled after %d seconds", atMost)
	return atMost
}

// loads are the groups that each node leads.
func (m *model) loads() map[uint64]int {
	loads := make(map[uint64]int)
	m.each(func(_ uint16, x *mgroup) { loads[x.leader]++ })
	return loads
}

// finished checks that all is as it shall be.
func (m *model) finished() {
	loads := m.loads()
	for id, n := range m.nodes {
		if n.Leaving {
			m.fault("node %d has not left", id)
		}
	}
	if most := slices.Max(slices.Collect(maps.Values(loads))); most > m.evenest() {
		m.fault("leaderships: %v, %d were the most that are needed", loads, m.evenest())
	}
	m.each(func(g uint16, x *mgroup) {
		if x.leader == 0 || !x.Conf.is(m.records[g]) || !m.records[g].Settled {
			m.fault("group %d: %+v, led by %d, record %+v", g, x.Conf, x.leader, m.records[g])
		}
		for _, id := range x.Conf.Voters {
			if m.worse(x.leader) > m.worse(id) {
				m.fault("group %d: %d drains or has no room and leads, %d could", g, x.leader, id)
			}
		}
		if want := votersAmong(g, len(m.nodes)); len(x.Conf.Voters) != want {
			m.fault("group %d: %d voters on %d nodes", g, len(x.Conf.Voters), len(m.nodes))
		}
		if members := len(x.Conf.members()); (g == MetaGroup || len(m.nodes) < 3) && members != len(m.nodes) {
			m.fault("group %d: %d replicas on %d nodes", g, members, len(m.nodes))
		}
	})
}

// evenest is the least that the most loaded node must lead: a bipartite matching
// with as much room on each node.
func (m *model) evenest() int {
	may := make(map[uint16][]uint64)
	m.each(func(g uint16, x *mgroup) {
		may[g] = slices.DeleteFunc(slices.Clone(x.Conf.Voters), func(id uint64) bool { return m.worse(id) > 0 })
		if len(may[g]) == 0 {
			may[g] = []uint64{x.leader}
		}
	})
	for room := 1; ; room++ {
		held := make(map[uint64][]uint16)
		var put func(g uint16, tried map[uint64]bool) bool
		put = func(g uint16, tried map[uint64]bool) bool {
			for _, id := range may[g] {
				if tried[id] {
					continue
				}
				tried[id] = true
				if len(held[id]) < room {
					held[id] = append(held[id], g)
					return true
				}
				for i, other := range held[id] {
					if put(other, tried) {
						held[id][i] = g
						return true
					}
				}
			}
			return false
		}
		fits := true
		m.each(func(g uint16, _ *mgroup) { fits = fits && put(g, make(map[uint64]bool)) })
		if fits {
			return room
		}
	}
}

func letter(id uint64) string { return string(rune('A' + id - 1)) }

func letters(ids []uint64) string {
	var b strings.Builder
	for _, id := range ids {
		b.WriteString(letter(id))
	}
	return b.String()
}

// shape is like "A*BC+D<AB": led by A, D learns, AB voted before.
func (m *model) shape(x *mgroup) string {
	text := strings.Replace(letters(x.Conf.Voters), letter(cmp.Or(x.leader, 1)), letter(cmp.Or(x.leader, 1))+"*", 1)
	if len(x.Conf.Learners) > 0 {
		text += "+" + letters(x.Conf.Learners)
	}
	if len(x.Conf.Outgoing) > 0 {
		text += "<" + letters(x.Conf.Outgoing)
	}
	return fmt.Sprintf("%-10s", text)
}
