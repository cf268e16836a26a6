package replica

import (
	"fmt"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/rouse-im/rouse/storage"
)

// apply adds committed entries to the pass's batch, but for those that the
// writer has applied: these are durable, or Raft would not speak of them.
func (l *loop) apply(g *group, m *pb.Message) error {
	written := false
	for _, e := range m.GetEntries() {
		if e.GetIndex() > g.handed.index {
			written = true
			if err := l.applyEntry(g, e); err != nil {
				return fmt.Errorf("apply entry %d of group %d: %w", e.GetIndex(), g.id, err)
			}
			g.handed = at(e)
		}
		if g.led == 0 && g.state == raft.StateLeader && e.GetTerm() == g.hard.term {
			g.elected = g.hard.term
		}
		g.applied = at(e)
	}
	if written {
		l.batch.SetState(g.id, storage.AppliedState, g.applied.append(nil))
		g.unsettled = true
	}
	l.applying = append(l.applying, m.GetResponses()...)
	for range m.GetResponses() {
		l.applied = append(l.applied, g)
	}
	l.truncate(g)
	return nil
}

func (l *loop) applyEntry(g *group, e *pb.Entry) error {
	if !isConf(e) {
		if !isData(e) {
			return nil // of a new leader, or a change that Raft refused
		}
		if p, ok := g.waiting.pop(e); ok {
			l.finished = append(l.finished, p)
		}
		err := l.batch.Apply(g.id, e.GetData())
		if l.batch.Erases() {
			l.e.eraser.add(g.id, e)
		}
		return err
	}
	change := &pb.ConfChangeV2{}
	if err := proto.Unmarshal(e.GetData(), change); err != nil {
		return err
	}
	g.conf = g.node.ApplyConfChange(change)
	l.batch.SetState(g.id, storage.ConfState, appendConf(nil, g.conf))
	l.e.log.Debug("replica: configuration changed", "group", g.id, "index", e.GetIndex(),
		"voters", hexIDs(g.conf.GetVoters()), "outgoing", hexIDs(g.conf.GetVotersOutgoing()), "learners", hexIDs(g.conf.GetLearners()))
	l.configured = append(l.configured, g)
	return nil
}

// elect tells that a leader's own entry, and so all before it, is applied.
func (l *loop) elect(g *group) {
	term := g.elected
	if g.elected = 0; term == 0 {
		return
	}
	g.led, g.waiting.term = term, term
	l.publish(g)
	l.e.log.Debug("replica: leads", "group", g.id, "term", term)
	l.e.metrics.led.Inc()
	l.e.o.Lead(g.id, term)
}

// commit makes visible what was applied in this pass, and tells of it.
func (l *loop) commit() error {
	if l.batch.Empty() && len(l.applying) == 0 {
		return nil
	}
	if !l.batch.Empty() {
		if err := l.batch.Commit(false); err != nil {
			return err
		}
	}
	for _, p := range l.finished {
		l.e.end(p, nil)
	}
	for i, m := range l.applying {
		g := l.applied[i]
		g.unsettled = false
		l.elect(g)
		_ = g.node.Step(m)
		l.mark(g)
	}
	for _, g := range l.configured {
		l.e.o.Changed(g.id)
		l.reconcile(g)
		l.mark(g)
	}
	clear(l.finished)
	clear(l.applying)
	l.finished, l.configured = l.finished[:0], l.configured[:0]
	l.applying, l.applied = l.applying[:0], l.applied[:0]
	return nil
}
