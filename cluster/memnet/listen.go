package memnet

import (
	"context"
	"errors"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// backlog bounds the connections that wait for Accept; more are refused.
const backlog = 128

// connectLimit is when a connection attempt without a deadline of its own gives
// up, about what Linux takes.
const connectLimit = 127 * time.Second

type listener struct {
	h     *Host
	port  int
	queue chan net.Conn
	done  chan struct{}
	once  sync.Once
}

// Listen opens a port; addr is host:port, with an empty host for any and port 0
// for a free one.
func (h *Host) Listen(addr string) (net.Listener, error) {
	l, err := h.listen(addr)
	if err != nil {
		return nil, err
	}
	return l, nil
}

func (h *Host) listen(addr string) (*listener, error) {
	h.n.mu.Lock()
	defer h.n.mu.Unlock()
	port, err := h.bind(addr, func(p int) bool { return h.listeners[p] != nil })
	if err != nil {
		return nil, err
	}
	l := &listener{h: h, port: port, queue: make(chan net.Conn, backlog), done: make(chan struct{})}
	h.listeners[port] = l
	return l, nil
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case <-l.done:
		return nil, &net.OpError{Op: "accept", Net: "tcp", Addr: l.Addr(), Err: net.ErrClosed}
	default:
	}
	select {
	case c := <-l.queue:
		return c, nil
	case <-l.done:
		return nil, &net.OpError{Op: "accept", Net: "tcp", Addr: l.Addr(), Err: net.ErrClosed}
	}
}

// Close refuses what was not accepted yet.
func (l *listener) Close() error {
	l.h.n.mu.Lock()
	defer l.h.n.mu.Unlock()
	if l.h.listeners[l.port] == l {
		delete(l.h.listeners, l.port)
	}
	l.shut()
	return nil
}

// shut is Close with the lock held.
func (l *listener) shut() {
	l.once.Do(func() {
		close(l.done)
		for {
			select {
			case c := <-l.queue:
				e := c.(*end)
				e.die()
				delete(e.host.ends, e)
			default:
				return
			}
		}
	})
}

func (l *listener) Addr() net.Addr { return &net.TCPAddr{IP: l.h.ip, Port: l.port} }

// attempt is a connection on its way.
type attempt struct {
	e    *end
	port int
	done chan error // one place
}

// Dial connects to host:port, by name or address. It takes one round trip; on
// a link that delivers nothing it waits for ctx.
func (h *Host) Dial(ctx context.Context, addr string) (net.Conn, error) {
	a, err := h.dial(addr)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: err}
	}
	t := time.NewTimer(connectLimit)
	defer t.Stop()
	select {
	case err = <-a.done:
	case <-ctx.Done():
		if err = ctx.Err(); errors.Is(err, context.DeadlineExceeded) {
			err = os.ErrDeadlineExceeded
		}
	case <-h.gone:
		err = net.ErrClosed
	case <-t.C:
		err = syscall.ETIMEDOUT
	}
	if err != nil {
		_ = a.e.Close()
		return nil, a.e.fault("dial", err)
	}
	return a.e, nil
}

// dial sends the request for a connection.
func (h *Host) dial(addr string) (*attempt, error) {
	n := h.n
	n.mu.Lock()
	defer n.mu.Unlock()
	if h.down {
		return nil, net.ErrClosed
	}
	to, port, err := h.target(addr)
	if err != nil {
		return nil, err
	}
	h.port++
	if h.port > 65535 {
		h.port = firstPort
	}
	there, back := n.link(h.name, to.name).flow(), n.link(to.name, h.name).flow()
	a := &attempt{e: h.end(there, &net.TCPAddr{IP: h.ip, Port: h.port}, &net.TCPAddr{IP: to.ip, Port: port}), port: port, done: make(chan error, 1)}
	there.push(0, func() { n.arrive(a, to.name, back) })
	return a, nil
}

// arrive is the request at its target.
func (n *Net) arrive(a *attempt, name string, back *flow) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if a.e.closed {
		return
	}
	h := n.hosts[name]
	l := h.listeners[a.port]
	if h.down || l == nil || len(l.queue) == cap(l.queue) {
		back.push(0, func() { a.done <- syscall.ECONNREFUSED })
		return
	}
	e := h.end(back, a.e.remote, a.e.local)
	e.peer, a.e.peer = a.e, e
	l.queue <- e // there is room: only arrive sends, with the lock held
	back.push(0, func() { a.done <- nil })
}
