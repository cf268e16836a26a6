package placement

import (
	"fmt"
	"slices"

	"github.com/rouse-im/rouse/cluster/roster"
)

// CaughtUp is how many committed entries a replica may lack and still vote: as many
// as a busy group is behind at any time.
const CaughtUp = 100

// Progress of a replica as the leader knows it.
type Progress struct {
	// Match is the last entry that it is known to have.
	Match uint64
	// Snapshot: it is being given one.
	Snapshot bool
}

// Status of a group at the node that leads it.
type Status struct {
	Term, Commit uint64
	Conf         Configuration
	Progress     map[uint64]Progress
	// Bytes is an estimate of its records; 0 = not known.
	Bytes uint64
}

// lag is how many committed entries a replica lacks.
func (s *Status) lag(node uint64) uint64 {
	return s.Commit - min(s.Commit, s.Progress[node].Match)
}

// caughtUp is false as long as the leader of a new term has not heard of a node:
// it may be the one whose death made this term, and that gossip takes for alive.
func (s *Status) caughtUp(node uint64) bool {
	p, ok := s.Progress[node]
	return ok && p.Match > 0 && !p.Snapshot && s.lag(node) <= CaughtUp
}

// Behind are the replicas that have not caught up.
func (s *Status) Behind() []uint64 {
	return slices.DeleteFunc(s.Conf.members(), s.caughtUp)
}

// Do is what a Step does.
type Do int

// What a leader does next for its group.
const (
	Nothing  Do = iota // all is as it shall be
	Wait               // for what Why says
	Change             // the configuration to Conf
	Transfer           // the leadership to the node To
)

// Step towards a placement.
type Step struct {
	Do   Do
	Conf Configuration
	To   uint64
	// Why is for people.
	Why string
}

// Next is what the leader, self, does next so that its group's replicas come to
// be where want says: learners first and one at a time; when all new voters have
// caught up, one joint change to all of them; then who has no part any more is
// dropped, one at a time. A leader that has no part gives leadership away before.
// A step is taken only if the living voters can commit it, and, after a change
// of voters, anything that follows.
func Next(self uint64, s *Status, want roster.Placement, alive func(uint64) bool) Step {
	now := s.Conf
	switch {
	case len(want.Voters) == 0:
		return Step{Do: Nothing}
	case now.is(want):
		return Step{Do: Nothing}
	case !quorum(now.Voters, alive) || len(now.Outgoing) > 0 && !quorum(now.Outgoing, alive):
		return wait("a majority of the voters must be alive")
	case len(now.Outgoing) > 0:
		return wait("the change of voters is being committed")
	}
	if step, done := admit(s, want, alive); !done {
		return step
	}
	if !slices.Equal(now.Voters, want.Voters) {
		return vote(self, s, want, alive)
	}
	return drop(s, want)
}

func wait(format string, args ...any) Step { return Step{Do: Wait, Why: fmt.Sprintf(format, args...)} }

// admit adds the replicas that are missing, as learners. It is done when all
// that are alive are there, and those that are to vote have caught up.
func admit(s *Status, want roster.Placement, alive func(uint64) bool) (_ Step, done bool) {
	wanted := slices.Concat(want.Voters, want.Learners)
	missing := slices.DeleteFunc(without(wanted, s.Conf.members()), func(id uint64) bool { return !alive(id) })
	for _, id := range wanted {
		if len(missing) == 0 && !slices.Contains(want.Voters, id) {
			break // it is the last, and may lag
		}
		if !slices.Contains(s.Conf.Learners, id) || !alive(id) || s.caughtUp(id) {
			continue
		}
		if s.Progress[id].Snapshot {
			return wait("%s is taking in a snapshot", roster.NodeID(id)), false
		}
		return wait("%s lacks %d entries", roster.NodeID(id), s.lag(id)), false
	}
	if len(missing) == 0 {
		return Step{}, true
	}
	next := Configuration{Voters: s.Conf.Voters, Learners: with(s.Conf.Learners, missing[0])}
	return Step{Do: Change, Conf: next, Why: "add a learner"}, false
}

// vote makes the voters those of want.
func vote(self uint64, s *Status, want roster.Placement, alive func(uint64) bool) Step {
	now := s.Conf
	for _, id := range without(want.Voters, now.Voters) {
		if !alive(id) || !slices.Contains(now.Learners, id) {
			return wait("%s must be alive", roster.NodeID(id))
		}
	}
	if !quorum(want.Voters, alive) {
		return wait("a majority of the voters to come must be alive")
	}
	voters := want.Voters
	if !slices.Contains(want.Voters, self) {
		for _, id := range both(want.Voters, now.Voters) {
			if alive(id) && s.caughtUp(id) {
				return Step{Do: Transfer, To: id, Why: "the leader has no part any more"}
			}
		}
		if len(both(want.Voters, now.Voters)) > 0 {
			return wait("a voter that stays must catch up, to lead")
		}
		// None of those to come has a vote: the leader stays until one has.
		voters = with(now.Voters, without(want.Voters, now.Voters)...)
		if !quorum(voters, alive) {
			return wait("a majority of old and new voters must be alive")
		}
	}
	learners := without(with(now.Learners, without(now.Voters, voters)...), voters)
	return Step{Do: Change, Conf: Configuration{Voters: voters, Learners: learners}, Why: "change the voters"}
}

// drop removes a learner that has no part. A voter that lost its vote has become
// a learner, so that it hears of the change.
func drop(s *Status, want roster.Placement) Step {
	for _, id := range without(s.Conf.Learners, want.Learners) {
		next := Configuration{Voters: s.Conf.Voters, Learners: without(s.Conf.Learners, []uint64{id})}
		return Step{Do: Change, Conf: next, Why: "remove a learner"}
	}
	return wait("a learner must be alive")
}

// Give is the voter to which self shall give the leadership that it has, for the
// sake of balance; 0 = none, now. Only a living voter that has caught up gets it.
func Give(self uint64, s *Status, want roster.Placement, alive func(uint64) bool) uint64 {
	to := want.Leader
	if to == self || len(s.Conf.Outgoing) > 0 || !slices.Contains(s.Conf.Voters, to) || !alive(to) || !s.caughtUp(to) {
		return 0
	}
	return to
}

// Successor is the voter to which self gives leadership when it goes away: the
// one that shall lead, or the living one that the group prefers. 0 = there is
// none.
func Successor(self uint64, group uint16, s *Status, want roster.Placement, alive func(uint64) bool) (to uint64) {
	if to := Give(self, s, want, alive); to != 0 {
		return to
	}
	for _, id := range s.Conf.Voters {
		if id != self && alive(id) && s.caughtUp(id) && (to == 0 || score(id, group) > score(to, group)) {
			to = id
		}
	}
	return to
}

func quorum(voters []uint64, alive func(uint64) bool) bool {
	n := 0
	for _, id := range voters {
		if alive(id) {
			n++
		}
	}
	return n > len(voters)/2
}

// with is a and more, ascending.
func with(a []uint64, more ...uint64) []uint64 {
	all := slices.Concat(a, more)
	slices.Sort(all)
	return slices.Compact(all)
}
