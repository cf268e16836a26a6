package link

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// wires is a network in memory whose connections can be cut and frozen.
type wires struct {
	mu        sync.Mutex
	listeners map[string]*plug
	conns     []*wire
	dials     int
	frozen    bool
	longest   int // packet that gets through; 0 = all do
}

type plug struct {
	w     *wires
	addr  string
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

func newWires() *wires { return &wires{listeners: map[string]*plug{}} }

func (w *wires) listen(addr string) *plug {
	p := &plug{w: w, addr: addr, conns: make(chan net.Conn), done: make(chan struct{})}
	w.mu.Lock()
	w.listeners[addr] = p
	w.mu.Unlock()
	return p
}

func (p *plug) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *plug) Close() error {
	p.once.Do(func() {
		close(p.done)
		p.w.mu.Lock()
		delete(p.w.listeners, p.addr)
		p.w.mu.Unlock()
	})
	return nil
}

func (p *plug) Addr() net.Addr { return &net.UnixAddr{Name: p.addr} }

func (w *wires) dial(ctx context.Context, addr string) (net.Conn, error) {
	w.mu.Lock()
	w.dials++
	p := w.listeners[addr]
	w.mu.Unlock()
	if p == nil {
		return nil, errors.New("connection refused")
	}
	a, b := net.Pipe()
	near, far := &wire{Conn: a, w: w}, &wire{Conn: b, w: w}
	w.mu.Lock()
	w.conns = append(w.conns, near, far)
	w.mu.Unlock()
	select {
	case p.conns <- far:
		return near, nil
	case <-p.done:
		return nil, errors.New("connection refused")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (w *wires) dialled() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.dials
}

// freeze lets bytes vanish: nobody hears that the other side is gone.
func (w *wires) freeze(on bool) {
	w.mu.Lock()
	w.frozen = on
	w.mu.Unlock()
}

// loseLong has connections get stuck with the first packet longer than that.
func (w *wires) loseLong(longest int) {
	w.mu.Lock()
	w.longest = longest
	w.mu.Unlock()
}

func (w *wires) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.conns {
		c.Conn.Close()
	}
	w.conns = nil
}

type wire struct {
	net.Conn
	w     *wires
	stuck bool // a packet is sent in vain, and what follows waits for it
}

func (c *wire) Write(b []byte) (int, error) {
	c.w.mu.Lock()
	c.stuck = c.stuck || c.w.longest > 0 && len(b) > c.w.longest
	frozen := c.w.frozen || c.stuck
	c.w.mu.Unlock()
	if frozen {
		return len(b), nil
	}
	return c.Conn.Write(b)
}

// node is one link that notes what it is told.
type node struct {
	*Link
	mu     sync.Mutex
	frames []string
	events []string
}

func (n *node) note(kind string) func(uint64) {
	return func(id uint64) {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.events = append(n.events, fmt.Sprint(kind, id))
	}
}

// told answers the events since the last call.
func (n *node) told() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	e := n.events
	n.events = nil
	return e
}

func (n *node) got() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	f := n.frames
	n.frames = nil
	return f
}

func (w *wires) addr(id uint64) string { return fmt.Sprint("n", id) }

func (w *wires) start(t *testing.T, id uint64, change ...func(*Options)) *node {
	t.Helper()
	return w.begin(t, id, append([]func(*Options){func(o *Options) { o.Listener, o.Dial = w.listen(w.addr(id)), w.dial }}, change...)...)
}

func (w *wires) begin(t *testing.T, id uint64, change ...func(*Options)) *node {
	t.Helper()
	n := &node{}
	o := Options{
		Self: id, Cluster: "test",
		Receive: func(from uint64, frame []byte) {
			n.mu.Lock()
			defer n.mu.Unlock()
			n.frames = append(n.frames, fmt.Sprint(from, ":", string(frame)))
		},
		Up: n.note("up"), Down: n.note("down"),
	}
	for _, c := range change {
		c(&o)
	}
	l, err := Start(o)
	if err != nil {
		t.Fatal(err)
	}
	n.Link = l
	return n
}

func stop(t *testing.T, nodes ...*node) {
	t.Helper()
	for _, n := range nodes {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	}
}

// pair is two nodes that know each other.
func (w *wires) pair(t *testing.T, change ...func(*Options)) (a, b *node) {
	t.Helper()
	a, b = w.start(t, 1, change...), w.start(t, 2, change...)
	a.SetPeers(map[uint64]string{1: w.addr(1), 2: w.addr(2)})
	b.SetPeers(map[uint64]string{1: w.addr(1), 2: w.addr(2)})
	w.settle()
	return a, b
}

// settle lets all that can happen without time passing happen, and the first
// retries, too.
func (w *wires) settle() {
	wait(2 * firstPause)
	synctest.Wait()
}

// value reads a counter or a gauge.
func value(t *testing.T, m prometheus.Metric) float64 {
	t.Helper()
	var d dto.Metric
	if err := m.Write(&d); err != nil {
		t.Fatal(err)
	}
	return d.GetCounter().GetValue() + d.GetGauge().GetValue()
}
