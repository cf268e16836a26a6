package link

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"sync"
	"time"
)

// Waits between attempts to connect double from the first to the second.
const (
	firstPause   = 20 * time.Millisecond
	longestPause = time.Second
	// strangeFor is how long a peer may refuse this node as a stranger before the log
	// warns: of two nodes that meet, one always hears of the other first.
	strangeFor = silence
)

// The directions of a peer's connections.
const (
	outgoing = iota
	incoming
)

// peer is one other node: a queue, the connection that we made, and the one that
// it made.
type peer struct {
	l      *Link
	id     uint64
	ctx    context.Context
	cancel context.CancelFunc
	haste  chan struct{} // holds one: do not wait before the next attempt
	filled chan struct{} // holds one: the queue is not empty
	// One for each bulk connection that the peer made.
	incomingBulks chan struct{}

	mu            sync.Mutex
	addr          string
	abort         func()   // ends an attempt to reach addr
	outgoing      net.Conn // nil = not connected: nothing may be queued
	queue         [][]byte
	frames, bytes int // in the queue, and being written
	incoming      net.Conn
	incomingEnded <-chan struct{}

	// ends is held while Up and Down run, which keeps them in order.
	ends struct {
		sync.Mutex
		open    [2]bool
		up      bool
		removed bool
	}
}

func peerAttr(id uint64) slog.Attr { return slog.String("peer", fmt.Sprintf("%016x", id)) }

func newPeer(l *Link, id uint64, addr string) *peer {
	p := &peer{
		l: l, id: id, addr: addr, abort: func() {}, haste: make(chan struct{}, 1), filled: make(chan struct{}, 1),
		incomingBulks: make(chan struct{}, bulks),
	}
	p.ctx, p.cancel = context.WithCancel(l.ctx)
	return p
}

func (p *peer) address() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.addr
}

// attempt dials the peer; another address ends it.
func (p *peer) attempt() (conn net.Conn, addr string, err error) {
	ctx, cancel := context.WithCancel(p.ctx)
	defer cancel()
	p.mu.Lock()
	addr, p.abort = p.addr, cancel
	p.mu.Unlock()
	conn, err = p.l.dial(ctx, addr, hello{kind: kindFrames, from: p.l.o.Self, to: p.id, cluster: p.l.o.Cluster})
	return conn, addr, err
}

// move sets the address and lets the next attempt be made at once.
func (p *peer) move(addr string) {
	p.mu.Lock()
	if p.addr != addr {
		p.abort()
		if p.outgoing != nil {
			sever(p.outgoing)
		}
	}
	p.addr = addr
	p.mu.Unlock()
	p.hasteUp()
}

func (p *peer) hasteUp() {
	select {
	case p.haste <- struct{}{}:
	default:
	}
}

func (p *peer) send(frame []byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.outgoing == nil {
		p.l.metrics.dropped.WithLabelValues(dropDown).Inc()
		return ErrDown
	}
	if p.frames >= p.l.o.QueueFrames || p.frames > 0 && p.bytes+len(frame) > p.l.o.QueueBytes {
		p.l.metrics.dropped.WithLabelValues(dropFull).Inc()
		return ErrFull
	}
	p.queue = append(p.queue, frame)
	p.frames++
	p.bytes += len(frame)
	select {
	case p.filled <- struct{}{}:
	default:
	}
	return nil
}

// run keeps the outgoing connection.
func (p *peer) run() {
	wait := firstPause
	var same, warned string // why attempts have failed since, and why as of the last warning
	var since time.Time
	for p.ctx.Err() == nil {
		conn, addr, err := p.attempt()
		if err == nil {
			wait, same, warned = firstPause, "", ""
			err = p.stay(conn, addr)
			p.l.log.Info("link lost the connection to a peer", peerAttr(p.id), slog.Any("error", err))
		} else if p.ctx.Err() == nil {
			level, why := slog.LevelDebug, reasonOf(err)
			if why != same {
				same, since = why, time.Now()
			}
			early := why == stranger.String() && time.Since(since) < time.Duration(p.l.o.Pace)*strangeFor
			if why != warned && !early { // repeats are not news
				level, warned = slog.LevelWarn, why
			}
			p.l.log.Log(p.ctx, level, "link cannot reach a peer", peerAttr(p.id), slog.String("address", addr), slog.Any("error", err))
		}
		select {
		case <-p.ctx.Done():
		case <-p.haste:
			wait = firstPause
		case <-time.After(wait/2 + rand.N(wait/2)):
			wait = min(2*wait, longestPause)
		}
	}
}

// stay carries frames until the connection ends.
func (p *peer) stay(conn net.Conn, addr string) error {
	defer context.AfterFunc(p.ctx, func() { sever(conn) })()
	defer func() { // what made haste while connected is of no use any more
		select {
		case <-p.haste:
		default:
		}
	}()
	p.mu.Lock()
	if p.addr != addr {
		p.mu.Unlock()
		sever(conn)
		return errors.New("the peer has moved")
	}
	p.outgoing = conn
	p.mu.Unlock()
	p.connected(outgoing, true)
	ended := make(chan error, 1)
	p.l.running.Go(func() {
		_, err := io.Copy(io.Discard, p.l.timed(conn)) // the peer's signs of life
		if err == nil {
			err = io.EOF
		}
		p.connected(outgoing, false)
		sever(conn)
		ended <- err // last: another connection may follow
	})
	err := p.write(conn, ended)
	p.mu.Lock()
	p.outgoing = nil
	p.l.metrics.dropped.WithLabelValues(dropBroken).Add(float64(p.frames))
	p.queue, p.frames, p.bytes = nil, 0, 0
	p.mu.Unlock()
	p.connected(outgoing, false)
	sever(conn)
	return err
}

// connected notes one direction's state, and tells when that changes the whole.
func (p *peer) connected(direction int, open bool) {
	e := &p.ends
	e.Lock()
	defer e.Unlock()
	e.open[direction] = open
	p.tell(e.open[outgoing] && e.open[incoming])
}

// tell is called with ends locked.
func (p *peer) tell(up bool) {
	e := &p.ends
	if e.removed || e.up == up {
		return
	}
	e.up = up
	call := p.l.o.Down
	if up {
		call = p.l.o.Up
		p.l.metrics.peers.Inc()
	} else {
		p.l.metrics.peers.Dec()
	}
	if call != nil {
		call(p.id)
	}
}

// remove ends all of the peer's connections. After it nothing is told any more.
func (p *peer) remove(tell bool) {
	e := &p.ends
	e.Lock()
	switch {
	case tell:
		p.tell(false)
	case e.up:
		p.l.metrics.peers.Dec()
	}
	e.removed = true
	e.Unlock()
	p.cancel()
}
