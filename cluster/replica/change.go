package replica

import (
	"errors"
	"fmt"
	"slices"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/rouse-im/rouse/internal/plant"
	"github.com/rouse-im/rouse/storage"
)

// Configuration is who holds a group: voters decide, learners follow.
type Configuration struct{ Voters, Learners []uint64 }

// maxVoters bounds a configuration.
const maxVoters = 9

var (
	// ErrConfiguration refuses a configuration that cannot be.
	ErrConfiguration = errors.New("replica: impossible configuration")
	errNoVoter       = errors.New("replica: that node is no voter of the group")
)

func (c Configuration) check() error {
	seen := map[uint64]bool{0: true}
	for _, id := range slices.Concat(c.Voters, c.Learners) {
		if seen[id] {
			return fmt.Errorf("%w: node %x is 0 or named twice", ErrConfiguration, id)
		}
		seen[id] = true
	}
	if n := len(c.Voters); n == 0 || n > maxVoters {
		return fmt.Errorf("%w: %d voters, choose 1..%d", ErrConfiguration, n, maxVoters)
	}
	return nil
}

// is reports whether c is the configuration, and no joint one.
func (c Configuration) is(s *pb.ConfState) bool {
	same := func(a, b []uint64) bool {
		return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
	}
	return !isJoint(s) && same(c.Voters, s.GetVoters()) && same(c.Learners, s.GetLearners())
}

// from is the change that makes c of s, which is not joint.
func (c Configuration) from(s *pb.ConfState) *pb.ConfChangeV2 {
	cc := &pb.ConfChangeV2{}
	add := func(kind pb.ConfChangeType, id uint64) {
		cc.Changes = append(cc.Changes, &pb.ConfChangeSingle{Type: kind.Enum(), NodeId: &id})
	}
	for _, id := range c.Voters {
		if !slices.Contains(s.GetVoters(), id) {
			add(pb.ConfChangeAddNode, id)
		}
	}
	for _, id := range c.Learners {
		if !slices.Contains(s.GetLearners(), id) {
			add(pb.ConfChangeAddLearnerNode, id)
		}
	}
	for _, id := range slices.Concat(s.GetVoters(), s.GetLearners()) {
		if !slices.Contains(c.Voters, id) && !slices.Contains(c.Learners, id) {
			add(pb.ConfChangeRemoveNode, id)
		}
	}
	return cc
}

// change is a configuration that a leader brings about.
type change struct {
	want     Configuration
	done     func(error)
	proposed bool // so that it may come about without this leader
}

func (c *change) end(err error) {
	if errors.Is(err, storage.ErrUnknown) && !c.proposed {
		err = storage.ErrNotLeader
	}
	c.done(err)
}

// Change makes want the group's configuration, if this node leads it, and calls
// done once: with nil when that is applied here, ErrConfiguration,
// storage.ErrNotLeader or storage.ErrBusy, because another change is under way,
// when nothing was done, and storage.ErrUnknown when the leadership was lost.
// Several nodes may come and go at once: Raft then passes through a joint
// configuration, which needs a majority of the old and of the new voters. done
// runs on the loop and must not block.
func (e *Engine) Change(id uint16, want Configuration, done func(error)) {
	if err := want.check(); err != nil {
		done(err)
		return
	}
	want = Configuration{Voters: slices.Clone(want.Voters), Learners: slices.Clone(want.Learners)}
	err := e.in.order(func() {
		g := e.group(id)
		switch {
		case g == nil || g.led == 0:
			done(storage.ErrNotLeader)
		case g.change != nil:
			done(storage.ErrBusy)
		default:
			g.change = &change{want: want, done: done}
			e.loop.reconcile(g)
		}
	})
	if err != nil {
		done(err)
	}
}

// reconcile goes on with a change. Raft may have made an empty entry of what was
// proposed, and has once not left a joint configuration by itself: what counts
// is the configuration that is applied.
func (l *loop) reconcile(g *group) {
	if !isJoint(g.conf) {
		g.jointFor = 0
	} else {
		g.jointFor++
	}
	if c := g.change; c != nil && c.want.is(g.conf) {
		g.change = nil
		c.end(nil)
	}
	if g.led == 0 || g.confAt > g.applied.index || g.changing {
		return
	}
	switch c := g.change; {
	case isJoint(g.conf):
		if g.jointFor > 2*l.e.o.Election {
			g.jointFor = 1
			l.proposeChange(g, &pb.ConfChangeV2{})
		}
	case c != nil:
		if l.proposeChange(g, c.want.from(g.conf)) {
			c.proposed = true
		}
	}
}

// proposeChange reports whether Raft took the change, as it is or as an empty
// entry.
func (l *loop) proposeChange(g *group, cc *pb.ConfChangeV2) bool {
	l.append(g) // what was proposed before goes first
	g.changing = g.node.ProposeConfChange(cc) == nil
	l.mark(g)
	return g.changing
}

// Remove deletes all that this node holds of a group that it is no member of any
// more, but for how it voted, and calls done when that is on disk. That it is no member is the
// caller's to know, since a removed replica is not always told. A replica that leads,
// or that has heard a leader lately, is not removed (storage.ErrBusy): the caller may
// not know yet that it was added, nor does its own configuration tell, which may be
// that of a snapshot from before. Nor is any while this node is not informed.
func (e *Engine) Remove(id uint16, done func(error)) {
	err := e.in.order(func() {
		g := e.group(id)
		switch {
		case g == nil:
			done(nil)
		case g.leader == e.o.ID || isSole(g.conf, e.o.ID) || g.silent < 2*e.o.Election || !e.informed():
			done(fmt.Errorf("replica: group %d has a leader, which may count this node in: %w", id, storage.ErrBusy))
		default:
			e.loop.remove(g, done)
		}
	})
	if err != nil {
		done(err)
	}
}

// metaGroup says which nodes have replicas of the others; every node has one of it.
const metaGroup = 0

// informed tells that what callers know of memberships is of this moment: this node
// leads the group that says so, or has heard its leader lately.
func (e *Engine) informed() bool {
	g := e.group(metaGroup)
	return g == nil || g.state == raft.StateLeader || g.silent < e.o.Election
}

func (l *loop) remove(g *group, done func(error)) {
	g.gone = true
	for _, p := range append(g.waiting.take(), g.proposer...) {
		l.e.end(p, storage.ErrNotLeader)
	}
	g.proposed, g.proposer = nil, nil
	if g.incoming != nil {
		g.incoming.drop()
	}
	l.e.whole(g)
	l.logged -= g.log.bytes
	g.log.total = nil
	l.groups = slices.DeleteFunc(l.groups, func(other *group) bool { return other == g })
	l.e.groups[g.id].Store(nil)
	g.writing++
	hard := hardState{term: g.hard.term, vote: g.hard.vote}
	if plant.On(plant.VoteForgotten) {
		hard = hardState{}
	}
	l.e.writer.add([]*work{{g: g, clear: done, hard: &hard}})
	l.e.o.Changed(g.id)
}
