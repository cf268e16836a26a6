package apns

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// link holds at most one connection that takes pushes. The first push on a new
// connection goes alone, since APNs raises its limit of streams when that one
// is answered; the others wait at the gate.
type link struct {
	streams int // bound of requests on the connection
	dial    func() (*http.ClientConn, error)

	load     atomic.Int64 // requests acquired or waiting
	failedAt atomic.Int64 // unix nanoseconds of the last failed dial

	mu       sync.Mutex
	current  *connection // nil = none, or a dial is under way
	dialing  bool
	failures int   // dials failed so far
	dialErr  error // of the last failure
	closed   bool
	waiting  int
	// changed is closed, and replaced, when those who wait should look again.
	changed chan struct{}
	// open holds all connections not yet closed, retired ones included.
	open map[*connection]struct{}
	work sync.WaitGroup
}

type connection struct {
	*http.ClientConn
	inFlight int
	warm     bool // a push was answered on it: the gate is open
	retired  bool // takes no more pushes; closed when the last is answered
}

// lease is the right to one request on conn. Its holder says what the request
// taught before it releases.
type lease struct {
	link             *link
	conn             *connection
	answered, retire bool
}

func newLink(streams int, dial func() (*http.ClientConn, error)) *link {
	return &link{streams: streams, dial: dial, changed: make(chan struct{}), open: map[*connection]struct{}{}}
}

// acquire waits for a free stream, dialing when there is no connection. All
// who wait for one dial share its error.
func (l *link) acquire(ctx context.Context) (*lease, error) {
	l.load.Add(1)
	l.mu.Lock()
	defer l.mu.Unlock()
	failures := l.failures
	for {
		if l.closed {
			return nil, l.leave(errClosed)
		}
		if conn := l.free(); conn != nil {
			conn.inFlight++
			return &lease{link: l, conn: conn}, nil
		}
		if l.failures != failures {
			return nil, l.leave(l.dialErr)
		}
		if l.current == nil && !l.dialing {
			l.dialing = true
			l.work.Go(l.connect)
		}
		if err := l.wait(ctx); err != nil {
			return nil, l.leave(err)
		}
	}
}

func (l *link) leave(err error) error {
	l.load.Add(-1)
	return err
}

// wait gives up l.mu until something changes.
func (l *link) wait(ctx context.Context) error {
	changed := l.changed
	l.waiting++
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		l.waiting--
	}()
	select {
	case <-changed:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (l *link) wakeLocked() {
	if l.waiting > 0 {
		close(l.changed)
		l.changed = make(chan struct{})
	}
}

// free returns the connection with one stream reserved, or nil.
func (l *link) free() *connection {
	c := l.current
	switch {
	case c == nil:
		return nil
	case c.Err() != nil:
		l.retireLocked(c)
		return nil
	case !c.warm && c.inFlight > 0, c.inFlight >= l.streams:
		return nil
	}
	if c.Reserve() == nil {
		return c
	}
	// Either the server lowered its limit or it said GOAWAY: net/http does not
	// tell which. The next answer on the connection settles it; without
	// requests there is none to wait for.
	if c.inFlight == 0 {
		l.retireLocked(c)
	}
	return nil
}

func (l *link) connect() {
	conn, err := l.dial()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dialing = false
	switch {
	case err != nil:
		l.failures++
		l.dialErr = fmt.Errorf("connect: %w", err)
		l.failedAt.Store(time.Now().UnixNano())
	case l.closed:
		_ = conn.Close()
	default:
		l.failedAt.Store(0)
		l.current = &connection{ClientConn: conn}
		l.open[l.current] = struct{}{}
	}
	l.wakeLocked()
}

// retireLocked lets the requests on c end and sends no more.
func (l *link) retireLocked(c *connection) {
	c.retired = true
	if l.current == c {
		l.current = nil
	}
	l.reapLocked(c)
}

func (l *link) reapLocked(c *connection) {
	if _, open := l.open[c]; !open || !c.retired || c.inFlight > 0 {
		return
	}
	delete(l.open, c)
	l.work.Go(func() { _ = c.Close() })
}

func (e *lease) release() {
	l := e.link
	l.load.Add(-1)
	l.mu.Lock()
	defer l.mu.Unlock()
	e.conn.inFlight--
	e.conn.warm = e.conn.warm || e.answered
	if e.retire {
		l.retireLocked(e.conn)
	}
	l.reapLocked(e.conn)
	l.wakeLocked()
}

func (l *link) close() {
	l.mu.Lock()
	l.closed = true
	open := l.open
	l.open, l.current = map[*connection]struct{}{}, nil
	l.wakeLocked()
	l.mu.Unlock()
	for c := range open {
		_ = c.Close()
	}
	l.work.Wait()
}
