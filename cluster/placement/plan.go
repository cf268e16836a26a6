package placement

import (
	"maps"
	"slices"
	"time"

	"github.com/rouse-im/rouse/cluster/roster"
)

// Configuration is the replicas of a group as they are. Ids ascend.
type Configuration struct {
	// Voters and Learners share none.
	Voters, Learners []uint64
	// Outgoing are the voters before the change under way: while there are any,
	// both majorities are needed.
	Outgoing []uint64
}

// members are all replicas.
func (c Configuration) members() []uint64 {
	all := slices.Concat(c.Voters, c.Outgoing, c.Learners)
	slices.Sort(all)
	return slices.Compact(all)
}

// is tells whether c is as p wants it.
func (c Configuration) is(p roster.Placement) bool {
	return len(c.Outgoing) == 0 && slices.Equal(c.Voters, p.Voters) && slices.Equal(c.Learners, p.Learners)
}

func (c Configuration) same(o Configuration) bool {
	return slices.Equal(c.Voters, o.Voters) && slices.Equal(c.Learners, o.Learners) && slices.Equal(c.Outgoing, o.Outgoing)
}

// Observed is a group as its leader tells.
type Observed struct {
	Conf Configuration
	// Leader that told it, under Term.
	Leader, Term uint64
	// Behind are the replicas that have not caught up.
	Behind []uint64
	// Sure: it was told more than once, over a time in which a leader that was cut
	// off would have noticed, and under the record that is now.
	Sure bool
}

// State is what Plan goes by.
type State struct {
	Nodes []Node
	// Records of all groups, as they are now.
	Records map[uint16]roster.Placement
	// Observed are the groups whose records are not settled, as far as known.
	Observed map[uint16]Observed
}

// Plan are the records that are to change, by group. A group whose replicas are
// where its record wants them becomes settled. A group begins to move when no
// node that is to take it in, or to pass it on, has MovesPerNode moves already;
// what loses its reason is called off at once. Repeated over time it comes to an
// end, at which nothing changes any more.
func Plan(s State, r Rules, now time.Time) map[uint16]roster.Placement {
	after := maps.Clone(s.Records)
	busy := s.moving()
	for _, group := range slices.Sorted(maps.Keys(s.Records)) {
		record := s.Records[group]
		seen, known := s.Observed[group]
		if !record.Settled && known && seen.Sure && seen.Conf.is(record) {
			record.Settled = true
			after[group] = record
		}
		next := desired(group, record, s.Nodes, r, now)
		if next.SameReplicas(record) {
			continue
		}
		gains := s.gains(group, next)
		load := gains
		if len(gains) > 0 {
			load = append(slices.Clone(gains), s.source(group))
		}
		s.release(group, busy)
		if slices.ContainsFunc(load, func(id uint64) bool { return busy[id] >= r.MovesPerNode }) {
			s.occupy(group, busy)
			continue
		}
		for _, id := range load {
			busy[id]++
		}
		after[group] = next
	}
	for group, leader := range Leaders(after, s.Nodes, r, now) {
		p := after[group]
		p.Leader = leader
		after[group] = p
	}
	maps.DeleteFunc(after, func(group uint16, p roster.Placement) bool {
		was := s.Records[group]
		return p.Equal(was) && p.Settled == was.Settled
	})
	return after
}

// moving counts the groups that each node takes in or passes on.
func (s *State) moving() map[uint64]int {
	busy := make(map[uint64]int)
	for group := range s.Records {
		s.occupy(group, busy)
	}
	return busy
}

// occupy counts what a group's move takes, release takes that back.
func (s *State) occupy(group uint16, busy map[uint64]int)  { s.count(group, busy, 1) }
func (s *State) release(group uint16, busy map[uint64]int) { s.count(group, busy, -1) }

func (s *State) count(group uint16, busy map[uint64]int, by int) {
	record := s.Records[group]
	if record.Settled {
		return
	}
	if gains := s.gains(group, record); len(gains) > 0 {
		for _, id := range append(gains, s.source(group)) {
			busy[id] += by
		}
	}
}

// gains are the nodes that p gives a replica they do not have, or not yet all of. Of a group that
// moves and was not heard of, all might.
func (s *State) gains(group uint16, p roster.Placement) []uint64 {
	members := slices.Concat(p.Voters, p.Learners)
	if seen, ok := s.Observed[group]; ok {
		return without(members, without(seen.Conf.members(), seen.Behind))
	}
	if record := s.Records[group]; record.Settled {
		return without(members, slices.Concat(record.Voters, record.Learners))
	}
	return members
}

// source is the node that sends a replica its data.
func (s *State) source(group uint16) uint64 {
	if seen, ok := s.Observed[group]; ok {
		return seen.Leader
	}
	return s.Records[group].Leader
}
