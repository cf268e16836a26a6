package replica

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/rouse-im/rouse/internal/failpoint"
	"github.com/rouse-im/rouse/storage"
	"github.com/rouse-im/rouse/storage/stream"
)

// arrival is a group on its way from another node. It is of the goroutine of its
// connection, or parked.
type arrival struct {
	progress
	hello
	from   uint64
	header *header
	ingest *storage.Ingest
	total  *stream.Total

	// Under the lock of traffic.
	conn   net.Conn    // nil while it is parked
	parked *time.Timer // gives it up
}

func (a *arrival) abort() error {
	if a.ingest == nil {
		return nil
	}
	return a.ingest.Abort()
}

// Bulk sees a connection through that another node opened for bulk data, and
// closes it. It is for a goroutine of its own.
func (e *Engine) Bulk(from uint64, conn net.Conn) {
	defer conn.Close() //nolint:errcheck // what arrived is what was answered
	t := e.traffic
	t.mu.Lock()
	if t.closed {
		t.mu.Unlock()
		return
	}
	t.receivers.Add(1)
	t.mu.Unlock()
	defer t.receivers.Done()
	defer context.AfterFunc(t.ctx, func() { _ = conn.Close() })()
	if err := t.receive(from, conn); err != nil && t.ctx.Err() == nil {
		e.log.Info("replica: a group did not arrive whole, or did not leave", "from", hexID(from), "error", err)
	}
}

// receive hears what the other node wants, and takes what it sends.
func (t *traffic) receive(from uint64, conn net.Conn) error {
	r := stream.NewReader(bufio.NewReaderSize(&slowed{conn, t}, burstBytes))
	kind, payload, err := next(conn, r)
	if err != nil {
		return err
	}
	if kind == frameFetch {
		group, err := readFetch(payload)
		if err != nil {
			return err
		}
		return t.give(conn, group)
	}
	h, err := readHello(payload)
	if kind != frameHello || err != nil {
		return errMalformed
	}
	a, said := t.admit(h, from, conn)
	if a != nil && a.ingest != nil {
		said.keys, said.last = a.ingest.Keys(), a.ingest.Last()
	}
	if err := say(conn, said); err != nil || a == nil {
		if a != nil {
			t.park(a, conn)
		}
		return err
	}
	failpoint.Hit("snapshot/admitted")
	err = t.take(a, conn, r)
	switch {
	case err == nil:
		return say(conn, answer{status: answerDone})
	case errors.Is(err, errGiven):
		t.drop(a)
		return errors.Join(err, say(conn, answer{status: answerNo, reason: err.Error()}))
	}
	t.park(a, conn)
	return fmt.Errorf("group %d: %w", a.group, err)
}

// slowed reads from a connection no faster than the node may receive. The other end
// notices it by what the connection takes.
type slowed struct {
	net.Conn
	t *traffic
}

func (s *slowed) Read(b []byte) (int, error) {
	if err := s.SetReadDeadline(time.Now().Add(idleFor)); err != nil {
		return 0, err
	}
	n, err := s.Conn.Read(b[:min(len(b), burstBytes)])
	if err == nil {
		err = s.t.wait(s.t.ctx, s.t.takes, n)
	}
	return n, err
}

func next(conn net.Conn, r *stream.Reader) (kind byte, payload []byte, err error) {
	if err := conn.SetReadDeadline(time.Now().Add(idleFor)); err != nil {
		return 0, nil, err
	}
	return r.Next()
}

func say(conn net.Conn, a answer) error {
	if err := conn.SetWriteDeadline(time.Now().Add(idleFor)); err != nil {
		return err
	}
	return stream.WriteFrame(conn, frameAnswer, a.append(nil))
}

// admit decides on a hello; without an arrival the answer is final.
func (t *traffic) admit(h hello, from uint64, conn net.Conn) (*arrival, answer) {
	if h.group > t.e.o.Store.Shards() {
		return nil, answer{status: answerNo, reason: fmt.Sprintf("there is no group %d", h.group)}
	}
	if err := t.e.o.Store.Writable(time.Now()); err != nil {
		return nil, answer{status: answerBusy, reason: err.Error()}
	}
	ahead := false
	err := t.e.ask(func() error { ahead = t.e.loop.ahead(h, from); return nil })
	switch {
	case err != nil:
		return nil, answer{status: answerBusy, reason: err.Error()}
	case ahead:
		return nil, answer{status: answerAhead}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if a := t.arriving[h.group]; a != nil {
		switch {
		case a.from == from && a.session == h.session && a.conn == nil:
			if a.parked.Stop() {
				a.conn = conn
				t.e.metrics.resumed.Inc()
				return a, answer{status: answerGo}
			}
			return nil, answer{status: answerBusy, reason: "what has arrived is being given up"}
		case a.from == from && a.session == h.session:
			_ = a.conn.Close() // broken, and not noticed here yet
			return nil, answer{status: answerBusy, reason: "the former connection is being closed"}
		case a.term > h.term:
			return nil, answer{status: answerNo, reason: "a later leader sends the group"}
		}
		t.evict(a)
		return nil, answer{status: answerBusy, reason: "what another leader sent is being given up"}
	}
	if len(t.arriving) >= lanes {
		for _, a := range t.arriving {
			if a.conn == nil {
				t.evict(a)
				break
			}
		}
		return nil, answer{status: answerBusy, reason: "other groups arrive"}
	}
	a := &arrival{hello: h, from: from, conn: conn, total: stream.NewTotal()}
	t.arriving[h.group] = a
	t.e.metrics.receiving.Inc()
	return a, answer{status: answerGo}
}

// evict gives up an arrival for another one. Its goroutine does so when its
// connection is closed.
func (t *traffic) evict(a *arrival) {
	if a.conn != nil {
		a.session = 0 // nobody continues it
		_ = a.conn.Close()
		return
	}
	a.parked.Reset(0)
}

// park keeps what has arrived for a while.
func (t *traffic) park(a *arrival, conn net.Conn) {
	_ = conn.Close()
	t.mu.Lock()
	defer t.mu.Unlock()
	a.conn = nil
	wait := resumeFor
	if t.closed || a.session == 0 || a.ingest == nil {
		wait = 0
	}
	a.parked = time.AfterFunc(wait, func() { t.drop(a) })
}

// drop gives up what has arrived.
func (t *traffic) drop(a *arrival) {
	t.mu.Lock()
	mine := t.arriving[a.group] == a
	if mine {
		delete(t.arriving, a.group)
		t.e.metrics.receiving.Dec()
	}
	t.mu.Unlock()
	if !mine {
		return
	}
	if err := a.abort(); err != nil {
		t.e.log.Warn("replica: what arrived of a snapshot is left on disk until the next start", "error", err)
	}
}

// take reads a group to its end and offers it to the loop. errGiven is an error
// that no further attempt at the same data would undo.
func (t *traffic) take(a *arrival, conn net.Conn, r *stream.Reader) error {
	for {
		kind, payload, err := next(conn, r)
		if err != nil {
			return err
		}
		t.e.metrics.snapshotReceived.Add(float64(len(payload)))
		switch {
		case kind == frameHeader && a.total.Keys == 0:
			err = t.begin(a, payload)
		case kind == stream.Pairs && a.header != nil:
			err = stream.ReadPairs(payload, func(key, value []byte) error {
				a.total.Add(key, value)
				return a.ingest.Add(key, value)
			})
			a.set(a.total.Keys, a.total.Bytes)
			failpoint.Hit("snapshot/chunk")
		case kind == stream.End && a.header != nil:
			if err = a.total.Check(payload); err == nil {
				return t.complete(a)
			}
		default:
			err = errMalformed
		}
		if err != nil {
			return fmt.Errorf("%w: %w", errGiven, err)
		}
	}
}

func (t *traffic) begin(a *arrival, payload []byte) error {
	h, err := readHeader(payload)
	if err != nil {
		return err
	}
	if h.at.index < a.at.index {
		return errMalformed
	}
	if a.ingest != nil {
		return nil // the connection broke before a key had arrived
	}
	ingest, err := t.e.o.Store.NewIngest(a.group)
	if err != nil {
		return err
	}
	a.header, a.ingest = &h, ingest
	return nil
}

// complete hands a whole group to the loop.
func (t *traffic) complete(a *arrival) error {
	failpoint.Hit("snapshot/complete")
	t.mu.Lock()
	t.arrived[a.ingest] = true
	delete(t.arriving, a.group)
	t.e.metrics.receiving.Dec()
	t.mu.Unlock()
	ended := func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		delete(t.arrived, a.ingest)
	}
	t.e.offer(&incoming{
		group: a.group, from: a.from, term: a.term, at: a.header.at, conf: a.header.conf,
		install: func(states []storage.State) error {
			defer ended()
			failpoint.Hit("snapshot/install")
			err := a.ingest.Install(states...)
			failpoint.Hit("snapshot/installed")
			return err
		},
		drop: func() {
			defer ended()
			if err := a.ingest.Abort(); err != nil {
				t.e.log.Warn("replica: a snapshot that was not needed is left on disk until the next start", "error", err)
			}
		},
	})
	return nil
}

// ahead reports whether this node has all that a hello offers. Raft then tells
// the sender, who would ask for ever.
func (l *loop) ahead(h hello, from uint64) bool {
	g := l.e.group(h.group)
	if g == nil || g.applied.index < h.at.index {
		return false
	}
	l.refuse(g, from, h.term, h.at)
	return true
}

// refuse steps a snapshot that Raft does not need, so that it says what it has.
func (l *loop) refuse(g *group, from, term uint64, at position) {
	_ = g.node.Step(&pb.Message{
		Type: pb.MsgSnap.Enum(), From: &from, To: &l.e.o.ID, Term: &term, Snapshot: snapshotProto(at, &pb.ConfState{}),
	})
	l.mark(g)
}
