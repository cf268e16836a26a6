package fleet

import (
	"context"
	"errors"
	"io"
	"net"
	"strconv"
	"sync"
	"time"
)

const (
	// maxPassed bounds the connections that one Bridge carries; more are refused.
	maxPassed = 4096
	// passTimeout is how long the far end may take to be reached.
	passTimeout = 5 * time.Second
)

// Bridge lets callers of this machine reach nodes with networks of their own,
// and these reach services of this machine; it passes on no traffic between nodes.
type Bridge struct {
	room chan struct{}
	work sync.WaitGroup

	mu     sync.Mutex
	open   map[io.Closer]bool
	closed bool
}

// Bridge makes the public ports of each node reachable at Node.HTTP and
// Node.GRPC on this machine's loopback, and the services, which are addresses
// there, at the same ones on the loopback of each node. Without Spaces there is
// nothing to pass on. It is closed after the nodes have ended.
func (f *Fleet) Bridge(services ...string) (_ *Bridge, err error) {
	b := &Bridge{room: make(chan struct{}, maxPassed), open: map[io.Closer]bool{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.Close())
		}
	}()
	for _, n := range f.nodes {
		if n.space == nil {
			continue
		}
		for i := range ports - 3 { // the public ones come first
			address := net.JoinHostPort("127.0.0.1", strconv.Itoa(n.port+i))
			l, err := net.Listen("tcp", address)
			if err != nil {
				return nil, err
			}
			b.pass(l, func(ctx context.Context) (net.Conn, error) { return n.space.dial(ctx, "tcp", address) })
		}
		for _, address := range services {
			l, err := n.space.listen(address)
			if err != nil {
				return nil, err
			}
			b.pass(l, func(ctx context.Context) (net.Conn, error) { return new(net.Dialer).DialContext(ctx, "tcp", address) })
		}
	}
	return b, nil
}

// pass on what a listener takes.
func (b *Bridge) pass(l net.Listener, dial func(context.Context) (net.Conn, error)) {
	b.hold(l)
	b.work.Go(func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return // it was closed
			}
			select {
			case b.room <- struct{}{}:
			default:
				near.Close()
				continue
			}
			b.work.Go(func() {
				defer func() { <-b.room }()
				b.carry(near, dial)
			})
		}
	})
}

// carry one connection until either end is gone: then both are.
func (b *Bridge) carry(near net.Conn, dial func(context.Context) (net.Conn, error)) {
	defer near.Close()
	ctx, cancel := context.WithTimeout(context.Background(), passTimeout)
	far, err := dial(ctx)
	cancel()
	if err != nil {
		return
	}
	defer far.Close()
	if !b.hold(near) || !b.hold(far) {
		return
	}
	defer b.drop(near)
	defer b.drop(far)
	var back sync.WaitGroup
	back.Go(func() {
		_, _ = io.Copy(near, far) // an end that is gone is the caller's to notice
		near.Close()
		far.Close()
	})
	_, _ = io.Copy(far, near)
	near.Close()
	far.Close()
	back.Wait()
}

// hold what Close must end; false if it has.
func (b *Bridge) hold(c io.Closer) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		_ = c.Close()
		return false
	}
	b.open[c] = true
	return true
}

func (b *Bridge) drop(c io.Closer) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.open, c)
}

// Close ends all that is carried, and waits for it.
func (b *Bridge) Close() error {
	b.mu.Lock()
	b.closed = true
	for c := range b.open {
		_ = c.Close()
	}
	b.mu.Unlock()
	b.work.Wait()
	return nil
}
