package replica

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"time"

	"github.com/rouse-im/rouse/internal/plant"
	"github.com/rouse-im/rouse/storage"
	"github.com/rouse-im/rouse/storage/stream"
)

// departure is a group on its way to another node.
type departure struct {
	progress
	t       *traffic
	o       *outgoing
	session uint64
	// view is what is sent; it is held until the other node has all of it, so
	// that a broken stream can go on.
	view   *storage.View
	header header
	there  uint64 // keys that the other node had when it was last asked
}

var (
	errBusy  = errors.New("the receiver has no room")
	errGiven = errors.New("the receiver gave it up")
)

// transmit brings a group to another node. It waits while that node has no
// room, and goes on where a connection broke.
func (e *Engine) transmit(ctx context.Context, o *outgoing) error {
	t := e.traffic
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	defer context.AfterFunc(t.ctx, stop)()
	d := &departure{t: t, o: o, session: rand.Uint64()}
	t.mu.Lock()
	t.leaving[d] = true
	t.mu.Unlock()
	err := d.run(ctx)
	t.mu.Lock()
	delete(t.leaving, d)
	t.mu.Unlock()
	return errors.Join(err, d.close())
}

func (d *departure) close() error {
	if d.view == nil {
		return nil
	}
	v := d.view
	d.view = nil
	return v.Close()
}

// run makes attempts until one succeeds, or there is nothing to be hoped for.
func (d *departure) run(ctx context.Context) error {
	var broke time.Time // since when nothing has moved
	wait := busyPause / 8
	for {
		before := d.there
		err := d.attempt(ctx)
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, errBusy) && d.view == nil:
			wait = busyPause
		case d.view == nil || errors.Is(err, errGiven):
			return err
		case d.there > before || broke.IsZero():
			broke, wait = time.Now(), busyPause/8
		case time.Since(broke) > resumeFor:
			return err
		default:
			wait = min(2*wait, busyPause)
		}
		if err := pause(ctx, wait+rand.N(wait/4)); err != nil {
			return err
		}
	}
}

// attempt sends over one connection.
func (d *departure) attempt(ctx context.Context) error {
	select {
	case d.t.out <- struct{}{}:
		defer func() { <-d.t.out }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	conn, err := d.t.e.o.Open(ctx, d.o.to)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer conn.Close() //nolint:errcheck // what arrived is what is answered
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()

	to := &paced{ctx: ctx, conn: conn, t: d.t}
	from := stream.NewReader(bufio.NewReader(conn))
	h := hello{group: d.o.group, term: d.o.term, at: d.o.at, session: d.session}
	if err := stream.WriteFrame(to, frameHello, h.append(nil)); err != nil {
		return err
	}
	a, err := hearAnswer(conn, from)
	if err != nil || a.status == answerAhead {
		return err
	}
	if a.status != answerGo {
		return fmt.Errorf("%w, it said: answer %d", errGiven, a.status)
	}
	d.there = a.keys
	if err := d.send(to, a); err != nil {
		return err
	}
	a, err = hearAnswer(conn, from)
	if err == nil && a.status != answerDone {
		err = fmt.Errorf("%w, it said: answer %d", errGiven, a.status)
	}
	return err
}

// hearAnswer reads an answer, of which some are errors.
func hearAnswer(conn net.Conn, from *stream.Reader) (answer, error) {
	if err := conn.SetReadDeadline(time.Now().Add(idleFor)); err != nil {
		return answer{}, err
	}
	kind, payload, err := from.Next()
	if err != nil {
		return answer{}, fmt.Errorf("no answer: %w", err)
	}
	if kind != frameAnswer {
		return answer{}, errMalformed
	}
	a, err := readAnswer(payload)
	switch {
	case err != nil:
		return answer{}, err
	case a.status == answerBusy:
		return a, fmt.Errorf("%w: %s", errBusy, a.reason)
	case a.status == answerNo:
		return a, fmt.Errorf("%w: %s", errGiven, a.reason)
	}
	a.last = bytes.Clone(a.last)
	return a, nil
}

// send writes what the other node lacks.
func (d *departure) send(to *paced, there answer) error {
	if err := d.open(to.ctx); err != nil {
		return err
	}
	if there.keys == 0 {
		if err := stream.WriteFrame(to, frameHeader, d.header.append(nil)); err != nil {
			return err
		}
	}
	w := stream.NewWriter(to)
	for _, r := range storage.ShardRanges(d.o.group) {
		var failed error
		err := d.view.Scan(r, func(key, value []byte) bool {
			if plant.On(plant.SnapshotWithoutKey) && key[len(key)-1]%7 == 3 {
				return true
			}
			if bytes.Compare(key, there.last) <= 0 {
				w.Skip(key, value)
				return true
			}
			failed = w.Add(key, value)
			d.set(w.Total().Keys, w.Total().Bytes)
			return failed == nil
		})
		if err := errors.Join(err, failed); err != nil {
			return err
		}
	}
	return w.End()
}

// open takes the view. Raft may have counted in what the next commit of the loop
// makes visible.
func (d *departure) open(ctx context.Context) error {
	for d.view == nil {
		v, err := d.t.e.o.Store.View()
		if err != nil {
			return err
		}
		h, err := headerOf(v, d.o.group)
		if err == nil && h.at.index >= d.o.at.index {
			d.view, d.header = v, h
			return nil
		}
		if err := errors.Join(err, v.Close()); err != nil {
			return err
		}
		if err := pause(ctx, time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

func headerOf(v *storage.View, group uint16) (h header, err error) {
	at, err := v.State(group, storage.AppliedState)
	if err != nil {
		return h, err
	}
	conf, err := v.State(group, storage.ConfState)
	if err != nil {
		return h, err
	}
	if h.at, err = readPosition(at); err != nil {
		return h, err
	}
	h.conf, err = readConf(conf)
	return h, err
}

// paced writes to a connection no faster than the node may send.
type paced struct {
	ctx  context.Context
	conn net.Conn
	t    *traffic
}

func (p *paced) Write(b []byte) (n int, err error) {
	for n < len(b) {
		part := b[n:min(n+burstBytes, len(b))]
		if err := p.t.wait(p.ctx, p.t.sends, len(part)); err != nil {
			return n, err
		}
		if err := p.conn.SetWriteDeadline(time.Now().Add(idleFor)); err != nil {
			return n, err
		}
		m, err := p.conn.Write(part)
		n += m
		p.t.e.metrics.snapshotSent.Add(float64(m))
		if err != nil {
			return n, err
		}
	}
	return n, nil
}
