package memnet

import (
	"io"
	"net"
	"os"
	"syscall"
	"time"
)

// window bounds the bytes of one direction of a connection that were written
// and not read yet; a writer waits beyond it. It is as wide as systems let it
// become: a client of HTTP/2 writes with a mutex held, and while others wait for a
// mutex the clock of a bubble stands still, so that nothing would ever be read. A
// thousand pushes at one moment must fit.
const window = 8 << 20

// end is one side of a connection. Guarded by Net.mu.
type end struct {
	host          *Host
	local, remote *net.TCPAddr
	peer          *end // nil until accepted
	out           *flow

	changed chan struct{} // closed at each change while somebody waits; nil = nobody does
	in      []byte
	eof     bool
	reset   bool
	closed  bool
	owed    int // bytes written that the peer has not told to have read
	read    int // bytes read that the peer was not told of
	rd, wr  time.Time
	// timer tells at due, a time at or before the deadline of each that waits. Most
	// deadlines are moved before they come, so it is not moved with them: when it
	// fires too soon, who waits starts it anew. nil, or due zero = it does not run.
	timer *time.Timer
	due   time.Time
}

func (h *Host) end(out *flow, local, remote *net.TCPAddr) *end {
	e := &end{host: h, local: local, remote: remote, out: out}
	h.ends[e] = struct{}{}
	return e
}

func (e *end) tell() {
	if e.changed != nil {
		close(e.changed)
		e.changed = nil
	}
}

// wait lets go of the lock until something changes or the deadline may be there.
func (e *end) wait(deadline time.Time) {
	if e.changed == nil {
		e.changed = make(chan struct{})
	}
	if !deadline.IsZero() && (e.due.IsZero() || deadline.Before(e.due)) {
		e.ring(deadline)
	}
	changed, n := e.changed, e.host.n
	n.mu.Unlock()
	<-changed
	n.mu.Lock()
}

// ring starts the timer, or has it fire sooner.
func (e *end) ring(at time.Time) {
	e.due = at
	if e.timer != nil {
		e.timer.Reset(time.Until(at))
		return
	}
	e.timer = time.AfterFunc(time.Until(at), func() {
		e.host.n.mu.Lock()
		defer e.host.n.mu.Unlock()
		e.due = time.Time{}
		e.tell()
	})
}

// still stops the timer of an end that is closed.
func (e *end) still() {
	if e.timer != nil {
		e.timer.Stop()
	}
}

func (e *end) fault(op string, err error) error {
	return &net.OpError{Op: op, Net: "tcp", Source: e.local, Addr: e.remote, Err: err}
}

func past(deadline time.Time) bool { return !deadline.IsZero() && !time.Now().Before(deadline) }

func (e *end) Read(p []byte) (int, error) {
	e.host.n.mu.Lock()
	defer e.host.n.mu.Unlock()
	for {
		switch {
		case e.closed:
			return 0, e.fault("read", net.ErrClosed)
		case past(e.rd):
			return 0, e.fault("read", os.ErrDeadlineExceeded)
		case e.reset:
			return 0, e.fault("read", syscall.ECONNRESET)
		case len(p) == 0:
			return 0, nil
		case len(e.in) > 0:
			n := copy(p, e.in)
			e.in = e.in[n:]
			if len(e.in) == 0 {
				e.in = nil
			}
			e.took(n)
			return n, nil
		case e.eof:
			return 0, io.EOF
		}
		e.wait(e.rd)
	}
}

// took opens the window of the peer again, a quarter at a time.
func (e *end) took(n int) {
	if e.read += n; e.read < window/4 {
		return
	}
	peer, told := e.peer, e.read
	e.read = 0
	e.out.push(0, func() {
		peer.host.n.mu.Lock()
		defer peer.host.n.mu.Unlock()
		peer.owed -= told
		peer.tell()
	})
}

func (e *end) Write(p []byte) (written int, err error) {
	e.host.n.mu.Lock()
	defer e.host.n.mu.Unlock()
	for {
		room := min(window-e.owed, len(p)-written)
		switch {
		case e.closed:
			return written, e.fault("write", net.ErrClosed)
		case past(e.wr):
			return written, e.fault("write", os.ErrDeadlineExceeded)
		case e.reset:
			return written, e.fault("write", syscall.ECONNRESET)
		case written == len(p):
			return written, nil
		case room > 0:
			b := append([]byte(nil), p[written:written+room]...)
			e.owed += room
			written += room
			peer := e.peer
			e.out.push(room, func() { peer.receive(b) })
			continue
		}
		e.wait(e.wr)
	}
}

func (e *end) receive(b []byte) {
	e.host.n.mu.Lock()
	defer e.host.n.mu.Unlock()
	if e.closed {
		e.refuse()
		return
	}
	if len(e.in) == 0 {
		e.in = b
	} else {
		e.in = append(e.in, b...)
	}
	e.tell()
}

// refuse resets the other end.
func (e *end) refuse() {
	peer := e.peer
	e.out.push(0, func() {
		peer.host.n.mu.Lock()
		defer peer.host.n.mu.Unlock()
		peer.reset, peer.in = true, nil
		delete(peer.host.ends, peer)
		peer.tell()
	})
}

// Close ends the connection for both sides: the other one reads what was
// written, then the end.
func (e *end) Close() error {
	e.host.n.mu.Lock()
	defer e.host.n.mu.Unlock()
	if e.closed {
		return e.fault("close", net.ErrClosed)
	}
	e.closed, e.in = true, nil
	delete(e.host.ends, e)
	e.still()
	e.tell()
	if peer := e.peer; peer != nil && !e.reset {
		e.out.push(0, func() {
			peer.host.n.mu.Lock()
			defer peer.host.n.mu.Unlock()
			peer.eof = true
			peer.tell()
		})
	}
	return nil
}

// die is the end of the process that held it: no more bytes, then a reset.
func (e *end) die() {
	if e.closed {
		return
	}
	e.closed, e.in = true, nil
	e.still()
	e.tell()
	if e.peer != nil {
		e.refuse()
	}
}

func (e *end) LocalAddr() net.Addr  { return e.local }
func (e *end) RemoteAddr() net.Addr { return e.remote }

func (e *end) SetDeadline(t time.Time) error { return e.deadline(t, &e.rd, &e.wr) }

func (e *end) SetReadDeadline(t time.Time) error { return e.deadline(t, &e.rd) }

func (e *end) SetWriteDeadline(t time.Time) error { return e.deadline(t, &e.wr) }

func (e *end) deadline(t time.Time, of ...*time.Time) error {
	e.host.n.mu.Lock()
	defer e.host.n.mu.Unlock()
	if e.closed {
		return e.fault("set", net.ErrClosed)
	}
	for _, d := range of {
		*d = t
	}
	e.tell()
	return nil
}

var _ net.Conn = (*end)(nil)
