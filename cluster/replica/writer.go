package replica

import (
	"slices"
	"sync"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/rouse-im/rouse/storage"
)

// commitBytes is about where a commit of the writer ends.
const commitBytes = 4 << 20

// work is what the writer does for one group, in this order. Nothing of it may
// be changed once the writer has it.
type work struct {
	g       *group
	hard    *hardState    // to write
	cut     *position     // truncated index to write
	remove  span          // records to delete
	direct  []*pb.Entry   // to apply without a record
	dones   []pending     // of direct
	records []*pb.Entry   // to write as records
	entries []*pb.Entry   // direct and records
	restore *incoming     // snapshot to install
	clear   func(error)   // to delete all of the group, and whom to tell
	replies []*pb.Message // to say when it is done
}

// writes reports whether there is anything to make durable.
func (w *work) writes() bool {
	return w.hard != nil || len(w.entries) > 0 || w.restore != nil || w.clear != nil
}

// writer makes work durable, in the order in which it comes.
type writer struct {
	e     *Engine
	wake  chan struct{}
	ended chan struct{}
	disk  *watchdog

	mu    sync.Mutex
	queue []*work
	quit  bool

	batch  *storage.Batch
	post   post
	record []byte // the batch copies it
}

func newWriter(e *Engine) *writer {
	return &writer{
		e: e, wake: make(chan struct{}, 1), ended: make(chan struct{}), disk: newWatchdog(e),
		batch: e.o.Store.NewBatch(), post: post{e: e},
	}
}

// add hands work over. The queue is bounded by what may be proposed, and by what
// leaders may have in flight to this node.
func (w *writer) add(ws []*work) {
	if len(ws) == 0 {
		return
	}
	w.mu.Lock()
	w.queue = append(w.queue, ws...)
	w.mu.Unlock()
	w.kick()
}

func (w *writer) kick() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// stop lets the writer end when its queue is empty.
func (w *writer) stop() {
	w.mu.Lock()
	w.quit = true
	w.mu.Unlock()
	w.kick()
	<-w.ended
}

func (w *writer) run() {
	defer close(w.ended)
	for {
		w.mu.Lock()
		queue, quit := w.queue, w.quit
		w.queue = nil
		w.mu.Unlock()
		if len(queue) == 0 {
			if quit {
				return
			}
			<-w.wake
			continue
		}
		for len(queue) > 0 && !w.e.failed() {
			n, err := w.commit(queue)
			if err != nil {
				w.e.fail(err)
				break
			}
			queue = queue[n:]
		}
		w.giveUp(queue)
	}
}

// giveUp answers for what a failed engine does not write.
func (w *writer) giveUp(queue []*work) {
	for _, x := range queue {
		for _, p := range x.dones {
			w.e.end(p, w.e.reason())
		}
		if x.clear != nil {
			x.clear(w.e.reason())
		}
	}
}

// commit makes the first pieces of work durable, in one commit, and brings them
// back.
func (w *writer) commit(queue []*work) (n int, err error) {
	sync := false
	for n < len(queue) && w.batch.Bytes() < commitBytes {
		x := queue[n]
		if x.restore != nil {
			if n > 0 {
				break // what came before is made durable first
			}
			if err := w.install(x); err != nil {
				return 0, err
			}
		}
		n++
		if err := w.put(x); err != nil {
			return 0, err
		}
		sync = sync || x.writes()
	}
	if sync {
		if err := w.sync(); err != nil {
			return 0, err
		}
	}
	w.answer(queue[:n])
	return n, nil
}

func (w *writer) sync() error {
	return w.disk.timed(func() error { return w.batch.Commit(true) })
}

func (w *writer) put(x *work) error {
	b, id := w.batch, x.g.id
	if x.clear != nil {
		b.Clear(id)
		b.SetState(id, storage.HardState, x.hard.append(nil))
		return nil
	}
	if x.remove.first > 0 {
		b.DeleteLogs(id, x.remove.first, x.remove.last+1)
	}
	for _, e := range x.direct {
		if len(e.GetData()) == 0 {
			continue // of a new leader
		}
		if err := b.Apply(id, e.GetData()); err != nil {
			return err
		}
		if b.Erases() {
			w.e.eraser.add(id, e)
		}
	}
	if n := len(x.direct); n > 0 {
		b.SetState(id, storage.AppliedState, at(x.direct[n-1]).append(nil))
	}
	if x.cut != nil {
		b.SetState(id, storage.TruncatedState, x.cut.append(nil))
	}
	for _, e := range x.records {
		w.record = appendRecord(w.record[:0], e)
		b.SetLog(id, e.GetIndex(), w.record)
	}
	if cap(w.record) > frameBytes {
		w.record = nil // of one long entry
	}
	if x.hard != nil {
		b.SetState(id, storage.HardState, x.hard.append(nil))
	}
	return nil
}

// answer tells proposers, other nodes and the loop.
func (w *writer) answer(done []*work) {
	for _, x := range done {
		for _, p := range x.dones {
			w.e.end(p, nil)
		}
		if x.clear != nil {
			x.clear(nil)
		}
		for _, m := range x.replies {
			if m.GetTo() != w.e.o.ID {
				w.post.add(x.g.id, m)
			}
		}
	}
	w.post.flush()
	w.e.in.finish(done)
}

// post collects messages into one frame for each node.
type post struct {
	e      *Engine
	frames map[uint64][]byte
	lost   func(to uint64) // what was sent to that node will not arrive; may be nil
}

func (p *post) add(group uint16, m *pb.Message) {
	if p.frames == nil {
		p.frames = map[uint64][]byte{}
	}
	to := m.GetTo()
	frame := p.frames[to]
	frame = slices.Grow(frame, 1+messageBytes(m))
	if len(frame) == 0 {
		frame = append(frame, frameMessages)
	}
	frame = appendMessage(frame, group, m)
	if len(frame) >= frameBytes {
		p.send(to, frame)
		frame = nil
	}
	p.frames[to] = frame
}

func (p *post) flush() {
	for to, frame := range p.frames {
		if len(frame) > 0 {
			p.send(to, frame)
			p.frames[to] = nil
		} else {
			delete(p.frames, to) // gone, or silent since the last flush
		}
	}
}

func (p *post) send(to uint64, frame []byte) {
	if to == raft.None {
		return
	}
	if err := p.e.o.Send(to, frame); err != nil {
		p.e.metrics.unsent.Inc()
		if p.lost != nil {
			p.lost(to)
		}
	}
}
