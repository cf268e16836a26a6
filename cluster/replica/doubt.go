package replica

import (
	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
	"go.etcd.io/raft/v3/tracker"
)

// doubt is about a replica that says to lack what it has acknowledged to this leader.
// Such words may be from before it had it, so they are no reason to act, nor to ask
// again at once: Raft does not hear them, and repeats its question with the answer to
// the next heartbeat. A replica that has it acknowledges that; one that has lost it
// never does.
type doubt struct {
	term       uint64
	age, quiet int // ticks since the first such word, and since the last one
}

// doubtful is after how many ticks without a word a doubt is forgotten: lost entries
// are told of with each heartbeat.
const doubtful = 2 * heartbeatTicks

// contradicts takes note of answers to appends, and reports whether it is one that
// Raft must not hear.
func (l *loop) contradicts(g *group, m *pb.Message) bool {
	if m.GetType() != pb.MsgAppResp || g.state != raft.StateLeader || m.GetTerm() != g.hard.term {
		return false
	}
	from := m.GetFrom()
	d := g.doubts[from]
	if d == nil && !m.GetReject() {
		return false
	}
	switch match := g.match(from); {
	case m.GetReject() && m.GetRejectHint() < match:
		if d == nil || d.term != g.hard.term {
			d = &doubt{term: g.hard.term}
			g.doubts[from] = d
		}
		d.quiet = 0
		return true
	case !m.GetReject() && m.GetIndex() >= match:
		delete(g.doubts, from)
	}
	return false
}

// match is up to where a replica has acknowledged the log of this leader.
func (g *group) match(id uint64) (match uint64) {
	g.node.WithProgress(func(other uint64, _ raft.ProgressType, p tracker.Progress) {
		if other == id {
			match = p.Match
		}
	})
	return match
}

// judge looks after doubts at each tick. One that has lasted for an election timeout
// is none any more.
func (l *loop) judge(g *group) {
	for id, d := range g.doubts {
		d.age++
		d.quiet++
		switch {
		case g.state != raft.StateLeader || d.term != g.hard.term || d.quiet > doubtful:
			delete(g.doubts, id)
		case d.age == l.e.o.Election:
			l.e.metrics.renounced.Inc()
			l.e.log.Warn("replica: a node has lost entries that it had acknowledged; the leadership that counts on them ends, and the next leader sends them again",
				"group", g.id, "node", hexID(id), "acknowledged", g.match(id))
			if heir := l.heir(g); heir != raft.None {
				g.node.TransferLeader(heir)
				g.handing = g.led
				l.mark(g)
				continue
			}
			l.renounce(g, id)
		case d.age == 3*l.e.o.Election: // no heir came to lead
			l.renounce(g, id)
		}
	}
}

// heir is the voter that has most of the log, of those that are heard and not in
// doubt.
func (l *loop) heir(g *group) (best uint64) {
	match := uint64(0)
	g.node.WithProgress(func(id uint64, kind raft.ProgressType, p tracker.Progress) {
		if id != l.e.o.ID && kind == raft.ProgressTypePeer && p.RecentActive && p.Match > match && g.doubts[id] == nil {
			best, match = id, p.Match
		}
	})
	return best
}

// renounce ends a term as if the replica had spoken in the next one, which Raft
// allows to each. Whoever is elected then may be the same node.
func (l *loop) renounce(g *group, because uint64) {
	term := g.hard.term + 1
	_ = g.node.Step(&pb.Message{Type: pb.MsgAppResp.Enum(), From: &because, To: &l.e.o.ID, Term: &term})
	if isSole(g.conf, l.e.o.ID) {
		_ = g.node.Campaign() // refused while a change of the configuration is unapplied; ticks try again
	}
	l.mark(g)
}
