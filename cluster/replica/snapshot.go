package replica

import (
	"context"
	"fmt"
	"slices"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
	"go.etcd.io/raft/v3/tracker"

	"github.com/rouse-im/rouse/storage"
)

const (
	// maxSnapshots bounds those on their way from this node; Raft asks again for
	// what is beyond with the next heartbeat.
	maxSnapshots = 8
	// answerTicks is how long a receiver may take to install what was sent.
	answerTicks = 100
)

// outgoing is a group on its way to a node. What arrives may be newer than at:
// Raft only needs that the log here continues what is there.
type outgoing struct {
	group uint16
	to    uint64
	term  uint64 // of this node's leadership
	at    position
	stop  context.CancelFunc

	sent     bool // and not yet answered
	answered bool // and told of
	left     int  // ticks until it is taken for lost
}

// incoming is a group that has arrived whole and waits to be installed.
type incoming struct {
	group uint16
	from  uint64
	term  uint64 // of the sender's leadership
	at    position
	conf  *pb.ConfState
	// install replaces all of the group, its log and its state by what arrived
	// and by these states, durably and in one step. The writer calls it.
	install func(states []storage.State) error
	// drop gives it up; it comes instead of install.
	drop func()
}

// snapshotOf answers Raft: the data follow later, at this index or above.
func (e *Engine) snapshotOf(g *group) (*pb.Snapshot, error) {
	if e.loop.sending >= maxSnapshots {
		return nil, raft.ErrSnapshotTemporarilyUnavailable
	}
	return snapshotProto(g.applied, g.conf), nil
}

func snapshotProto(at position, conf *pb.ConfState) *pb.Snapshot {
	return &pb.Snapshot{Metadata: &pb.SnapshotMetadata{Index: &at.index, Term: &at.term, ConfState: conf}}
}

// sendSnapshot starts what Raft asked for.
func (l *loop) sendSnapshot(g *group, m *pb.Message) {
	ctx, stop := context.WithCancel(context.Background())
	meta := m.GetSnapshot().GetMetadata()
	o := &outgoing{
		group: g.id, to: m.GetTo(), term: m.GetTerm(), at: position{meta.GetIndex(), meta.GetTerm()},
		stop: stop, left: answerTicks,
	}
	if old := g.snapshots[o.to]; old != nil {
		old.stop()
	}
	g.snapshots[o.to] = o
	l.sending++
	l.e.running.Go(func() {
		defer stop()
		err := l.e.transmit(ctx, o)
		_ = l.e.in.order(func() { l.transmitted(g, o, err) }) // closed: nobody waits
	})
}

// transmitted takes note of a snapshot that has left this node, or has not.
func (l *loop) transmitted(g *group, o *outgoing, err error) {
	l.sending--
	if g.gone || g.snapshots[o.to] != o {
		return
	}
	if err != nil {
		l.e.log.Warn("replica: snapshot was not sent", "group", g.id, "to", hexID(o.to), "error", err)
		l.lost(g, o)
		return
	}
	l.e.metrics.snapshots.Inc()
	o.sent = true
}

// lost makes Raft begin again with a follower.
func (l *loop) lost(g *group, o *outgoing) {
	delete(g.snapshots, o.to)
	g.node.ReportSnapshot(o.to, raft.SnapshotFailure)
	l.mark(g)
}

// overdue looks after snapshots whose receivers owe an answer: without one the
// follower would wait for ever. The answer is that it has the entries.
func (l *loop) overdue(g *group) {
	if g.state != raft.StateLeader {
		for to, o := range g.snapshots {
			o.stop()
			delete(g.snapshots, to)
		}
		return
	}
	waits := map[uint64]bool{}
	g.node.WithProgress(func(id uint64, _ raft.ProgressType, p tracker.Progress) {
		waits[id] = p.State == tracker.StateSnapshot
	})
	for to, o := range g.snapshots {
		switch {
		case !waits[to]:
			o.stop()
			delete(g.snapshots, to)
		case o.sent:
			if o.left--; o.left <= 0 {
				l.e.log.Warn("replica: snapshot was not answered", "group", g.id, "to", hexID(to))
				l.lost(g, o)
			}
		}
	}
}

// answered tells, once, of a snapshot that Raft takes for answered: the next step for the
// group may wait for that.
func (l *loop) answered(g *group, o *outgoing) {
	if o.answered {
		return
	}
	g.node.WithProgress(func(id uint64, _ raft.ProgressType, p tracker.Progress) {
		o.answered = o.answered || id == o.to && p.State != tracker.StateSnapshot
	})
	if o.answered {
		l.e.o.Changed(g.id)
	}
}

// offer brings a group that has arrived to the loop.
func (e *Engine) offer(in *incoming) {
	if err := e.in.order(func() { e.loop.offered(in) }); err != nil {
		in.drop()
	}
}

// offered hands a snapshot to Raft, which refuses it if it has more.
func (l *loop) offered(in *incoming) {
	g := l.e.group(in.group)
	if g == nil {
		g = l.blank(in.group)
	}
	if g == nil || g.incoming != nil {
		in.drop()
		return
	}
	if in.at.index <= g.applied.index {
		in.drop()
		l.refuse(g, in.from, in.term, in.at)
		return
	}
	g.incoming = in
	_ = g.node.Step(&pb.Message{
		Type: pb.MsgSnap.Enum(), From: &in.from, To: &l.e.o.ID, Term: &in.term, Snapshot: snapshotProto(in.at, in.conf),
	})
	l.mark(g)
}

// install makes work of a snapshot that Raft took. From here on the group
// continues what is in it.
func (l *loop) install(g *group, w *work, meta *pb.SnapshotMetadata) {
	if g.incoming == nil || g.incoming.at.index != meta.GetIndex() {
		l.e.fail(fmt.Errorf("group %d: no data for a snapshot at %d", g.id, meta.GetIndex()))
		return
	}
	w.restore, g.incoming = g.incoming, nil
	g.handed, g.disk, g.confAt = w.restore.at, span{}, 0
}

// installed takes note that a snapshot is in place.
func (l *loop) installed(g *group, w *work) {
	in := w.restore
	g.log.restore(in.at)
	g.applied, g.conf = in.at, in.conf
	l.e.log.Debug("replica: snapshot installed", "group", g.id, "from", hexID(in.from), "index", in.at.index)
	l.e.o.Changed(g.id)
}

// install runs on the writer.
func (w *writer) install(x *work) error {
	at := x.restore.at.append(nil)
	return w.disk.timed(func() error {
		return x.restore.install([]storage.State{
			{Kind: storage.HardState, Value: x.hard.append(nil)},
			{Kind: storage.ConfState, Value: appendConf(nil, x.restore.conf)},
			{Kind: storage.TruncatedState, Value: at},
			{Kind: storage.AppliedState, Value: at},
		})
	})
}

func hexID(id uint64) string { return fmt.Sprintf("%016x", id) }

func hexIDs(ids []uint64) []string {
	names := make([]string, len(ids))
	for i, id := range slices.Sorted(slices.Values(ids)) {
		names[i] = hexID(id)
	}
	return names
}
