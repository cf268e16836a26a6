package replica

import (
	"errors"
	"time"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/rouse-im/rouse/internal/plant"
	"github.com/rouse-im/rouse/storage"
)

// loop steps all groups of a node. Each pass takes what has come in, lets the
// groups that it concerns say what they have to say, and commits what they apply
// in one batch.
type loop struct {
	e     *Engine
	ended chan struct{}

	groups  []*group
	dirty   []*group // may have something to say
	post    post
	todo    []*work // for the writer, of this pass
	batch   *storage.Batch
	sending int               // snapshots on their way
	trims   map[uint64][]byte // frames of this tick
	logged  int               // bytes of the groups' logs in memory

	applying   []*pb.Message // responses to what is in batch
	applied    []*group      // groups of applying
	finished   []pending     // to be answered once batch is committed
	configured []*group      // whose configuration is in batch
	affirmed   []*group      // whose round was affirmed and is not answered yet
}

func newLoop(e *Engine) *loop {
	l := &loop{e: e, ended: make(chan struct{}), batch: e.o.Store.NewBatch(), post: post{e: e}}
	l.post.lost = l.unreachable
	return l
}

// adopt adds a replica, and campaigns at once where nobody else votes.
func (l *loop) adopt(g *group) {
	l.groups = append(l.groups, g)
	g.log.total = &l.logged
	l.logged += g.log.bytes
	l.e.groups[g.id].Store(g)
	if g.lacks > 0 {
		l.e.lost(g, g.lacks)
	}
	if isSole(g.conf, l.e.o.ID) {
		_ = g.node.Campaign() // refused while a change of the configuration is unapplied; ticks try again
	}
	l.mark(g)
	l.e.o.Changed(g.id)
}

func (l *loop) mark(g *group) {
	if !g.dirty {
		g.dirty = true
		l.dirty = append(l.dirty, g)
	}
}

func (l *loop) run() {
	defer close(l.ended)
	l.e.beat.Store(int64(time.Since(l.e.started)))
	ticker := time.NewTicker(l.e.o.Tick)
	defer ticker.Stop()
	in := &l.e.in
	var took batch
	for {
		select {
		case <-in.wake:
		case <-ticker.C:
			l.tick()
		}
		took.reset()
		took = in.take(took)
		l.hear(&took)
		if err := l.work(); err != nil {
			l.e.fail(err)
		}
		if l.e.failed() {
			l.drain()
			return
		}
		if l.e.closing.Load() && l.idle() {
			return
		}
	}
}

// hear steps what has come in.
func (l *loop) hear(b *batch) {
	for _, w := range b.finished {
		l.written(w)
	}
	for _, fn := range b.calls {
		fn()
	}
	for _, m := range b.messages {
		if m.m == nil {
			l.trimmed(m.group, m.trim)
		} else {
			l.step(m)
		}
	}
	for i := range b.proposals {
		l.propose(&b.proposals[i])
	}
	for i := range b.reads {
		l.confirm(&b.reads[i])
	}
	for _, g := range l.dirty {
		l.append(g)
		l.round(g)
	}
}

// step hears a message of another node. A leader or a candidate counts this node
// in, so that it makes a replica of a group of which there is none.
func (l *loop) step(m message) {
	g := l.e.group(m.group)
	kind := m.m.GetType()
	if g == nil && (kind == pb.MsgApp || kind == pb.MsgHeartbeat || kind == pb.MsgVote || kind == pb.MsgPreVote) {
		g = l.blank(m.group)
	}
	if g == nil {
		return
	}
	if kind == pb.MsgApp || kind == pb.MsgHeartbeat {
		g.silent = 0
	}
	if !g.mayHear(m.m) || l.contradicts(g, m.m) || l.atOdds(g, m.m) {
		return
	}
	if kind == pb.MsgHeartbeat {
		l.compare(g, m.m)
	}
	if kind == pb.MsgHeartbeat && !plant.On(plant.CommitBeyondLog) {
		// A leader that remembers a former replica of this node would make Raft
		// commit what is not there.
		m.m.Commit = new(min(m.m.GetCommit(), g.log.last()))
	}
	_ = g.node.Step(m.m) // of a stranger to the group, or too old
	if o := g.snapshots[m.m.GetFrom()]; o != nil && kind == pb.MsgAppResp {
		l.answered(g, o)
	}
	l.mark(g)
}

// blank makes an empty replica. It remembers how a former one voted: twice in a
// term would make two leaders. nil if there is no such group.
func (l *loop) blank(id uint16) *group {
	if id > l.e.o.Store.Shards() {
		return nil
	}
	g, err := l.e.load(id)
	if err != nil {
		l.e.log.Error("replica: cannot make a replica", "group", id, "error", err)
		return nil
	}
	l.adopt(g)
	return g
}

// propose collects the proposals of a group for one step.
func (l *loop) propose(p *proposal) {
	g := p.g
	if g.gone || g.led == 0 || p.term != 0 && p.term != g.led && !plant.On(plant.FenceOff) {
		l.e.end(p.pending, storage.ErrNotLeader)
		return
	}
	g.proposed = append(g.proposed, &pb.Entry{Data: p.data})
	g.proposer = append(g.proposer, p.pending)
	l.mark(g)
	if len(g.proposed) >= maxStep {
		l.append(g)
	}
}

// maxStep bounds the proposals of one step, which Raft takes or drops together.
const maxStep = 256

// append steps the collected proposals of a group.
func (l *loop) append(g *group) {
	if len(g.proposed) == 0 {
		return
	}
	err := g.node.Step(&pb.Message{Type: pb.MsgProp.Enum(), From: &l.e.o.ID, Entries: g.proposed})
	switch {
	case err == nil && plant.On(plant.AckBeforeCommit):
		for _, p := range g.proposer {
			l.e.end(p, nil)
		}
	case err == nil:
		g.waiting.push(g.proposer)
	default:
		// A transfer is under way, leadership was lost, or too much is uncommitted.
		l.e.metrics.refused.Add(float64(len(g.proposer)))
		for _, p := range g.proposer {
			l.e.end(p, storage.ErrDropped)
		}
	}
	clear(g.proposed)
	clear(g.proposer)
	g.proposed, g.proposer = g.proposed[:0], g.proposer[:0]
}

// work lets groups speak until none has anything to say.
func (l *loop) work() error {
	for len(l.dirty) > 0 {
		// While groups speak none is marked.
		speaking := l.dirty
		for _, g := range speaking {
			g.dirty = false
			for !g.gone && g.node.HasReady() {
				if err := l.ready(g, g.node.Ready()); err != nil {
					return err
				}
			}
			if g.incoming != nil {
				g.incoming.drop() // Raft has what is in it
				g.incoming = nil
			}
		}
		l.dirty = l.dirty[:0]
		l.post.flush()
		l.e.writer.add(l.todo)
		clear(l.todo)
		l.todo = l.todo[:0]
		if err := l.commit(); err != nil {
			return err
		}
		l.readable()
	}
	return nil
}

// ready does what Raft wants done for a group.
func (l *loop) ready(g *group, rd raft.Ready) error {
	if !raft.IsEmptyHardState(rd.HardState) {
		g.hard = hardState{rd.HardState.GetTerm(), rd.HardState.GetVote(), rd.HardState.GetCommit()}
	}
	if rd.SoftState != nil {
		g.leader, g.state = rd.SoftState.Lead, rd.SoftState.RaftState
	}
	l.follow(g)
	for _, s := range rd.ReadStates {
		l.affirm(g, s)
	}
	for _, m := range rd.Messages {
		switch {
		case m.GetTo() == raft.LocalAppendThread:
			l.write(g, m)
		case m.GetTo() == raft.LocalApplyThread:
			if err := l.apply(g, m); err != nil {
				return err
			}
		case m.GetType() == pb.MsgSnap:
			l.sendSnapshot(g, m)
		case !g.maySay(m):
		default:
			l.post.add(g.id, m)
		}
	}
	return nil
}

// unreachable tells Raft that what was sent to a node is lost.
func (l *loop) unreachable(to uint64) {
	for _, g := range l.groups {
		if g.state == raft.StateLeader {
			g.node.ReportUnreachable(to)
		}
	}
}

// idle reports whether nothing is left that can end without another node.
func (l *loop) idle() bool {
	for _, g := range l.groups {
		if g.writing > 0 || isSole(g.conf, l.e.o.ID) && g.waiting.head < len(g.waiting.queue) {
			return false
		}
	}
	return true
}

// drain answers what is left when loop and writer have ended.
func (l *loop) drain() {
	b := l.e.in.take(batch{})
	for _, p := range b.proposals {
		l.e.end(p.pending, l.e.reason())
	}
	for _, r := range b.reads {
		l.e.answer([]func(error){r.done}, l.e.reason())
	}
	err := storage.ErrUnknown
	if l.e.failed() {
		err = l.e.reason()
	}
	for _, w := range l.todo {
		l.finished = append(l.finished, w.dones...)
	}
	for _, p := range l.finished {
		l.e.end(p, err)
	}
	l.todo, l.finished = nil, nil
	for _, g := range l.groups {
		for _, p := range append(g.waiting.take(), g.proposer...) {
			l.e.end(p, err)
		}
		g.proposer = nil
		l.e.answer(g.reads.take(), l.e.reason())
		if c := g.change; c != nil {
			g.change = nil
			c.done(errors.Join(storage.ErrUnknown, l.e.reason()))
		}
	}
}
