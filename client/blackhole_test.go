package client

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// hole is a connection whose packets vanish, in both directions, once it is frozen.
type hole struct {
	net.Conn
	frozen atomic.Bool
	once   sync.Once
	closed chan struct{}
}

func (h *hole) Read(p []byte) (int, error) {
	n, err := h.Conn.Read(p)
	if h.frozen.Load() {
		<-h.closed
		return 0, net.ErrClosed
	}
	return n, err
}

func (h *hole) Write(p []byte) (int, error) {
	if h.frozen.Load() {
		return len(p), nil
	}
	return h.Conn.Write(p)
}

func (h *hole) Close() error {
	h.once.Do(func() { close(h.closed) })
	return h.Conn.Close()
}

// An idle node must not lose its lease because a router forgot its connection.
func TestIdleDeadConnectionIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &engine{lease: 15 * time.Second}
		o := serve(t, e)
		under := o.dial
		first := make(chan *hole, 1)
		o.dial = func(ctx context.Context, addr string) (net.Conn, error) {
			conn, err := under(ctx, addr)
			if err != nil {
				return nil, err
			}
			h := &hole{Conn: conn, closed: make(chan struct{})}
			select {
			case first <- h:
			default:
			}
			return h, nil
		}
		dial(t, o)
		(<-first).frozen.Store(true)
		<-time.After(silence + silenceAnswer + time.Second)
		synctest.Wait()
		e.mu.Lock()
		defer e.mu.Unlock()
		if e.connections != 2 {
			t.Errorf("%d connections 16 s after the first one died, want 2", e.connections)
		}
	})
}
