package replica

import (
	"cmp"
	"fmt"
	"slices"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/tracker"

	"github.com/rouse-im/rouse/storage"
)

// Status is what a node knows of one of its replicas.
type Status struct {
	Group            uint16
	Leader           uint64 // 0 = unknown
	Term             uint64
	Leads            bool     // this node, and all before its term is applied
	Heard            bool     // it leads, or hears a leader: within two election timeouts
	Voters, Learners []uint64 // ascending
	// Outgoing are the former voters while the configuration is joint.
	Outgoing        []uint64
	Applied, Commit uint64
	// Lacks is up to where this replica once had the log and has not now; 0 = it has
	// lost nothing.
	Lacks uint64
	// First and Last are the ends of the log in memory; Last < First if empty.
	First, Last uint64
	LogBytes    int // of the log in memory
	// Sending and Receiving are this group on its way as a whole; nil if it is not.
	Sending   []Transfer
	Receiving *Transfer
	Peers     []Peer // as the leader knows them, itself included; ascending
}

// Peer is a replica as the leader knows it.
type Peer struct {
	ID       uint64
	Learner  bool
	Match    uint64 // the log is known to be the leader's up to here; 0 if it says to have lost what it acknowledged
	Active   bool   // was heard in the last election timeout
	Snapshot bool   // is given the group as a whole, or needs it: what it lacks is cut off the log
}

// Status returns what this node knows of a group, or storage.ErrNotFound if it
// has no replica. It waits for the loop.
func (e *Engine) Status(id uint16) (s Status, err error) {
	err = e.ask(func() error {
		g := e.group(id)
		if g == nil {
			return fmt.Errorf("replica: group %d: %w", id, storage.ErrNotFound)
		}
		s = g.status()
		s.Heard = g.leader == e.o.ID || g.leader != raft.None && g.silent < 2*e.o.Election
		s.Sending, s.Receiving = e.traffic.moving(id)
		return nil
	})
	return s, err
}

func (g *group) status() Status {
	sorted := func(ids []uint64) []uint64 { return slices.Sorted(slices.Values(ids)) }
	s := Status{
		Group: g.id, Leader: g.leader, Term: g.hard.term, Leads: g.led != 0,
		Voters: sorted(g.conf.GetVoters()), Learners: sorted(slices.Concat(g.conf.GetLearners(), g.conf.GetLearnersNext())),
		Outgoing: sorted(g.conf.GetVotersOutgoing()), Applied: g.applied.index, Commit: g.hard.commit, Lacks: g.lacks,
		First: g.log.start.index + 1, Last: g.log.last(), LogBytes: g.log.bytes,
	}
	if g.state != raft.StateLeader {
		return s
	}
	g.node.WithProgress(func(id uint64, kind raft.ProgressType, p tracker.Progress) {
		if g.doubts[id] != nil {
			p.Match = 0
		}
		s.Peers = append(s.Peers, Peer{
			ID: id, Learner: kind == raft.ProgressTypeLearner, Match: p.Match, Active: p.RecentActive,
			Snapshot: p.State == tracker.StateSnapshot || p.Match < g.log.start.index,
		})
	})
	slices.SortFunc(s.Peers, func(a, b Peer) int { return cmp.Compare(a.ID, b.ID) })
	return s
}
