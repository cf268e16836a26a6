package replica

import (
	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
)

// # Lost entries
//
// A leader counts on what replicas have acknowledged to it for as long as its term
// lasts. A replica can lose it nevertheless: its disk answered a sync that it had
// not done, its directory is an older copy, somebody deleted it. Raft takes what it
// says then for messages from before, and both would go on for ever.
//
// The replica finds it out first. The commit index of a heartbeat is one that this
// replica has acknowledged in that term, since the leader caps it by that, and what
// is committed is taken back by nobody. A log that ends below has lost something,
// in whatever order messages come; appends and elections prove nothing. Only one that
// has no configuration may have been removed in order, and hear a leader that does
// not know: it does the same, and accuses nobody.
//
// From then on, and after a restart, until it has again what was committed, the
// replica
//   - gives no vote to a candidate whose log ends below, as if it still had it, and
//     is no candidate itself,
//   - says of its log that it is empty, so that a leader sends the group whole: a
//     disk that has lost one thing is trusted in none. What is here stays until then.
//
// The leader ends its term (see doubt), because a term cannot forget what it counts
// on; in the next one the replica has what it acknowledges in it, and is a follower
// that is far behind. No majority is needed that would not be needed to go on.
//
// This is safe, as the next leader has all that was committed: it is the former one,
// or has its whole log, or was elected by voters of whom this replica is one that
// asks for it. What cannot be made safe is what happened before the replica was told:
// until the first heartbeat of a leader that counted on it, 0.2 s after it came back,
// it votes by what it has left, and after an election nobody tells it. With three
// voters, an entry of two of which one loses it while the other one dies is lost. So
// it is when most voters lose it; and a vote that a disk forgets may be given twice.

// end is where the log ends that the writer was given: nothing above it was ever
// acknowledged.
func (g *group) end() uint64 { return max(g.disk.last, g.handed.index) }

// stored is the hard state as it is written. A commit index beyond the log tells
// what was lost of it.
func (g *group) stored() hardState {
	h := g.hard
	h.commit = max(h.commit, g.lacks)
	return h
}

// compare finds out whether a leader counts on entries that are not here. Its answer
// to that is a rejection, also to a leader that has nothing to append.
func (l *loop) compare(g *group, m *pb.Message) {
	committed := m.GetCommit()
	if committed <= g.end() || m.GetTerm() < g.hard.term || g.state == raft.StateLeader {
		return
	}
	if committed > g.lacks {
		if g.lacks == 0 {
			l.e.lost(g, committed)
		}
		g.lacks = committed
		l.write(g, &pb.Message{}) // nothing but that
	}
	l.post.add(g.id, &pb.Message{
		Type: pb.MsgAppResp.Enum(), To: m.From, From: &l.e.o.ID, Term: m.Term, Index: &committed, Reject: new(true),
	})
}

// lost tells what a replica lacks that it once had.
func (e *Engine) lost(g *group, committed uint64) {
	if len(g.conf.GetVoters()) == 0 {
		return // it may have been removed
	}
	e.tell(g)
	if e.losses.Load() > 1 { // it is one disk
		e.log.Warn("replica: entries of one more group are lost", "group", g.id, "last", g.end(), "committed", committed)
		return
	}
	e.log.Error("replica: entries are lost that this node had acknowledged: its disk did not keep what was synced, or its directory is an older copy; "+
		"the group is fetched anew from its leader; unless the directory was put back by hand, move this node to another disk",
		"group", g.id, "last", g.end(), "committed", committed)
}

// tell counts what is said of a replica, once until it is whole.
func (e *Engine) tell(g *group) {
	if g.told {
		return
	}
	g.told = true
	e.metrics.losses.Inc()
	e.metrics.lacking.Inc()
	e.losses.Add(1)
	e.lacking.Add(1)
}

// regain takes note that the log was given what it lacks.
func (l *loop) regain(g *group) {
	if g.lacks == 0 || g.end() < g.lacks {
		return
	}
	g.lacks = 0
	l.e.whole(g)
	l.e.log.Info("replica: a group has again what it had lost", "group", g.id, "last", g.end())
}

// whole ends what was told of a replica, which may be gone.
func (e *Engine) whole(g *group) {
	if g.told {
		g.told = false
		e.metrics.lacking.Dec()
		e.lacking.Add(-1)
	}
}

// Losses tells of how many replicas this node has lost what they had acknowledged
// since the engine was opened, and how many lack it still.
func (e *Engine) Losses() (all, left int) { return int(e.losses.Load()), int(e.lacking.Load()) }

// mayHear tells whether a replica may be asked that: one that has lost entries votes
// only for who has them, and does not stand in for a leader that takes it for whole.
func (g *group) mayHear(m *pb.Message) bool {
	if isCandidacy(m) {
		return m.GetIndex() >= g.lacks
	}
	return g.lacks == 0 || m.GetType() != pb.MsgTimeoutNow
}

// maySay: it is no candidate either.
func (g *group) maySay(m *pb.Message) bool { return g.lacks == 0 || !isCandidacy(m) }

func isCandidacy(m *pb.Message) bool {
	return m.GetType() == pb.MsgVote || m.GetType() == pb.MsgPreVote
}

// emptied makes rejections say that there is no log.
func emptied(replies []*pb.Message) {
	for _, m := range replies {
		if m.GetType() == pb.MsgAppResp && m.GetReject() {
			m.RejectHint, m.LogTerm = nil, nil
		}
	}
}
