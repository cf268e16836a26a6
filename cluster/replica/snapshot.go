package replica

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
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

	sent bool // and not yet answered
	left int  // ticks until it is taken for lost
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
	install func(states []replicaState) error
	// drop gives it up; it comes instead of install.
	drop func()
}

// replicaState is a part of a replica's state, as it is stored.
type replicaState struct {
	kind  storage.StateKind
	value []byte
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

// offer brings a group that has arrived to the loop.
func (e *Engine) offer(in *incoming) {
	if err := e.in.order(func() { e.loop.offered(in) }); err != nil {
		in.drop()
	}
}

// offered hands a snapshot to Raft, which refuses it if it has more.
func (l *loop) offered(in *incoming) {
	g := l.e.group(in.group)
	if g == nil && in.group <= l.e.o.Store.Shards() {
		g = l.blank(in.group)
	}
	if g == nil || g.incoming != nil || in.at.index <= g.applied.index {
		in.drop()
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
	l.e.log.Info("replica: snapshot installed", "group", g.id, "from", hexID(in.from), "index", in.at.index)
	l.e.o.Changed(g.id)
}

// install runs on the writer.
func (w *writer) install(x *work) error {
	at := x.restore.at.append(nil)
	return w.timed(func() error {
		return x.restore.install([]replicaState{
			{storage.HardState, x.hard.append(nil)},
			{storage.ConfState, appendConf(nil, x.restore.conf)},
			{storage.TruncatedState, at},
			{storage.AppliedState, at},
		})
	})
}

// smallBytes bounds a group that travels in one frame.
const smallBytes = 8 << 20

var errLarge = errors.New("the group is too large for a frame")

// transmit brings a group to another node.
func (e *Engine) transmit(_ context.Context, o *outgoing) error {
	frame, err := e.pack(o)
	if err != nil {
		return err
	}
	return e.o.Send(o.to, frame)
}

// pack puts one moment of a whole group into a frame: group, term of the
// leadership, position, configuration, then keys and values with their lengths.
func (e *Engine) pack(o *outgoing) (frame []byte, err error) {
	v, err := e.o.Store.View()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, v.Close()) }()
	at, err := v.State(o.group, storage.AppliedState)
	if err != nil {
		return nil, err
	}
	conf, err := v.State(o.group, storage.ConfState)
	if err != nil {
		return nil, err
	}
	frame = binary.BigEndian.AppendUint16([]byte{frameSnapshot}, o.group)
	frame = append(binary.AppendUvarint(frame, o.term), at...)
	frame = appendSized(frame, conf)
	for _, r := range storage.ShardRanges(o.group) {
		err := v.Scan(r, func(key, value []byte) bool {
			frame = appendSized(appendSized(frame, key), value)
			return len(frame) <= smallBytes
		})
		if err != nil {
			return nil, err
		}
		if len(frame) > smallBytes {
			return nil, errLarge
		}
	}
	return frame, nil
}

func appendSized(dst, b []byte) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(b))), b...)
}

// receiveSnapshot reads what pack wrote.
func (e *Engine) receiveSnapshot(from uint64, b []byte) {
	r := reader{b: b}
	in := &incoming{group: r.uint16(), from: from, term: r.uvarint(), drop: func() {}}
	in.at = position{index: r.uvarint(), term: r.uvarint()}
	conf, err := readConf(r.sized())
	data := r.b
	for len(r.b) > 0 {
		r.sized()
		r.sized()
	}
	if err != nil || r.bad || in.term == 0 || in.at.index == 0 {
		e.metrics.malformed.Inc()
		return
	}
	in.conf = conf
	in.install = func(states []replicaState) error { return e.unpack(in.group, data, states) }
	e.offer(in)
}

// unpack replaces a group by the keys and values in data.
func (e *Engine) unpack(group uint16, data []byte, states []replicaState) error {
	batch := e.o.Store.NewBatch()
	batch.Clear(group)
	for r := (reader{b: data}); len(r.b) > 0; {
		if err := batch.Put(group, r.sized(), r.sized()); err != nil {
			return err
		}
	}
	for _, s := range states {
		batch.SetState(group, s.kind, s.value)
	}
	return batch.Commit(true)
}

// Bulk takes over a connection for bulk data that another node made.
func (e *Engine) Bulk(from uint64, conn net.Conn) {
	e.log.Warn("replica: nothing is expected on a bulk connection", "from", hexID(from))
	_ = conn.Close()
}

func hexID(id uint64) string { return fmt.Sprintf("%016x", id) }

func hexIDs(ids []uint64) []string {
	names := make([]string, len(ids))
	for i, id := range slices.Sorted(slices.Values(ids)) {
		names[i] = hexID(id)
	}
	return names
}
