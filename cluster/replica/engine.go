package replica

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/rouse-im/rouse/internal/plant"
	"github.com/rouse-im/rouse/storage"
)

// Engine keeps the replicas of a node. Its methods may be called concurrently,
// but none that waits from a callback of the engine.
type Engine struct {
	o       Options
	log     *slog.Logger
	metrics *metrics
	limits  limits
	started time.Time
	groups  [storage.MaxShards + 1]atomic.Pointer[group]
	in      inbox
	writer  *writer
	loop    *loop
	traffic *traffic
	eraser  *eraser
	running sync.WaitGroup // the eraser and what is sent whole
	stopped chan struct{}  // closed by Close
	closing atomic.Bool
	beat    atomic.Int64 // last tick of the loop, on the engine's clock
	commits commitTimes  // of what is proposed here
	// Replicas that lost what they had acknowledged, and those of them that lack it now.
	losses, lacking atomic.Int64
	broken          atomic.Pointer[error]
	release         func()
}

// Open opens the replicas that the store holds. A group of which this node is
// the only voter is led at once.
func Open(o Options) (*Engine, error) { return open(o, defaultLimits) }

func open(o Options, bounds limits) (*Engine, error) {
	if err := o.setDefaults(); err != nil {
		return nil, err
	}
	e := &Engine{o: o, log: o.Logger, metrics: newMetrics(), limits: bounds, started: time.Now(), stopped: make(chan struct{}), eraser: newEraser()}
	e.in.wake = make(chan struct{}, 1)
	ids, err := o.Store.Replicas()
	if err != nil {
		return nil, err
	}
	var loaded []*group
	for _, id := range ids {
		g, err := e.load(id)
		if err != nil {
			return nil, err
		}
		if len(g.conf.GetVoters()) > 0 {
			loaded = append(loaded, g)
		} // else it remembers how a replica voted that was removed, or never filled
	}
	if e.release, err = e.metrics.register(o.Metrics); err != nil {
		return nil, err
	}
	e.writer, e.loop, e.traffic = newWriter(e), newLoop(e), newTraffic(e)
	for _, g := range loaded {
		e.loop.adopt(g)
	}
	go e.writer.run()
	go e.loop.run()
	e.running.Go(e.erase)
	return e, nil
}

// Found makes this node the only voter of groups that it has no replica of, and
// leads them. What the store already holds of them is theirs. It returns when
// that is on disk; it must not be called for a group that lives elsewhere.
func (e *Engine) Found(groups ...uint16) error {
	batch := e.o.Store.NewBatch()
	conf := &pb.ConfState{Voters: []uint64{e.o.ID}}
	hard := hardState{term: foundedAt.term, commit: foundedAt.index}
	var founded []*group
	for _, id := range slices.Compact(slices.Sorted(slices.Values(groups))) {
		if id > e.o.Store.Shards() {
			return fmt.Errorf("%w: group %d of %d", storage.ErrWrongShard, id, e.o.Store.Shards())
		}
		if e.groups[id].Load() != nil {
			continue
		}
		if past, err := e.load(id); err != nil || past.hard.term > 0 {
			return errors.Join(err, fmt.Errorf("replica: group %d: %w: it has voted elsewhere", id, ErrConfiguration))
		}
		batch.SetState(id, storage.HardState, hard.append(nil))
		batch.SetState(id, storage.ConfState, appendConf(nil, conf))
		batch.SetState(id, storage.AppliedState, foundedAt.append(nil))
		g, err := e.newGroup(id, hard, conf, foundedAt, foundedAt, nil)
		if err != nil {
			return err
		}
		founded = append(founded, g)
	}
	if len(founded) == 0 {
		return nil
	}
	if err := batch.Commit(true); err != nil {
		return err
	}
	return e.ask(func() error {
		for _, g := range founded {
			if e.groups[g.id].Load() != nil {
				return fmt.Errorf("replica: group %d came into being while it was founded", g.id)
			}
			e.loop.adopt(g)
		}
		return nil
	})
}

// ask runs fn on the loop and returns its answer.
func (e *Engine) ask(fn func() error) error {
	answer := make(chan error, 1)
	if err := e.in.order(func() { answer <- fn() }); err != nil {
		return err
	}
	select {
	case err := <-answer:
		return err
	case <-e.loop.ended:
		select {
		case err := <-answer:
			return err
		default:
			return e.reason()
		}
	}
}

// Propose writes the mutations as one entry of the group if this node leads it,
// in that term unless term is 0, and calls done once: with nil when it is
// committed and applied here; with storage.ErrNotLeader, ErrDropped, ErrBusy,
// ErrClosed or one of Store.Check when it was not written and never will be;
// with storage.ErrUnknown when the leadership was lost before it committed.
// Entries of one group commit, and their done functions run, in the order of
// their Propose calls; done must not block, and those of different groups may
// run at the same time.
//
// Propose copies: ms may be reused as soon as it returns. Before it returns, it
// may have called done with an error.
func (e *Engine) Propose(id uint16, term uint64, ms []storage.Mutation, done func(error)) {
	if err := e.propose(id, term, ms, done); err != nil {
		e.metrics.refused.Inc()
		done(err)
	}
}

func (e *Engine) propose(id uint16, term uint64, ms []storage.Mutation, done func(error)) error {
	if err := e.o.Store.Check(id, ms); err != nil {
		return err
	}
	g := e.groups[id].Load()
	if g == nil {
		return storage.ErrNotLeader
	}
	if l := g.hint.Load(); !l.led || term != 0 && l.term != term && !plant.On(plant.FenceOff) {
		return storage.ErrNotLeader
	}
	data := storage.AppendEntry(make([]byte, 0, storage.EntrySize(ms)), ms)
	return e.in.enqueue(proposal{g: g, term: term, data: data, pending: pending{size: len(data), since: time.Since(e.started), done: done}})
}

// Receive hears a frame of another node, which is the engine's from then on. It
// does not block: what it has no room for is dropped.
func (e *Engine) Receive(from uint64, frame []byte) {
	if len(frame) == 0 {
		return
	}
	ms, ok := e.read(from, frame)
	switch {
	case !ok:
		e.metrics.malformed.Inc()
	case !e.in.hear(ms, len(frame)):
		e.metrics.dropped.Inc()
	}
}

// read takes a frame apart; ok is false if it cannot.
func (e *Engine) read(from uint64, frame []byte) (ms []message, ok bool) {
	kind, r := frame[0], reader{b: frame[1:]}
	if kind != frameMessages && kind != frameTrims {
		return nil, false
	}
	for len(r.b) > 0 {
		m, before := message{}, len(r.b)
		if kind == frameTrims {
			m.group, m.trim = readTrim(&r)
		} else {
			m.group, m.m = readMessage(&r, from, e.o.ID)
		}
		if r.bad {
			return nil, false
		}
		if 2*(before-len(r.b)) < len(frame) && m.m != nil {
			detach(m.m)
		}
		ms = append(ms, m)
	}
	return ms, true
}

// Leader returns who leads the group, as far as this node knows, and in which
// term; 0 if it does not know. It costs nothing and may be outdated.
func (e *Engine) Leader(id uint16) (leader, term uint64) {
	if g := e.group(id); g != nil {
		l := g.hint.Load()
		return l.leader, l.term
	}
	return 0, 0
}

// Leads returns the term in which this node leads the group and has applied all
// that was before it.
func (e *Engine) Leads(id uint16) (term uint64, ok bool) {
	if g := e.group(id); g != nil {
		l := g.hint.Load()
		return l.term, l.led
	}
	return 0, false
}

// Groups returns the groups of which this node has a replica, ascending.
func (e *Engine) Groups() (ids []uint16) {
	for id := range e.groups {
		if e.groups[id].Load() != nil {
			ids = append(ids, uint16(id))
		}
	}
	return ids
}

func (e *Engine) group(id uint16) *group {
	if int(id) >= len(e.groups) {
		return nil
	}
	return e.groups[id].Load()
}

// fail ends the engine: nothing more succeeds, and the process is to end.
func (e *Engine) fail(err error) {
	if e.broken.CompareAndSwap(nil, &err) {
		e.in.close(err)
		e.o.Fatal(fmt.Errorf("replica: %w", err))
	}
}

func (e *Engine) failed() bool { return e.broken.Load() != nil }

// reason is why nothing is accepted any more.
func (e *Engine) reason() error {
	if err := e.broken.Load(); err != nil {
		return *err
	}
	return storage.ErrClosed
}

// Close accepts nothing more, waits for what needs no other node, and leaves the
// rest storage.ErrUnknown. The store has to stay open until it returns.
func (e *Engine) Close() error {
	if !e.closing.CompareAndSwap(false, true) {
		return storage.ErrClosed
	}
	close(e.stopped)
	e.in.close(storage.ErrClosed)
	<-e.loop.ended
	e.writer.stop()
	e.loop.drain()
	err := e.traffic.close()
	e.running.Wait()
	e.release()
	if err != nil {
		return err
	}
	if err := e.broken.Load(); err != nil {
		return *err
	}
	return nil
}
