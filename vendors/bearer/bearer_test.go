package bearer

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// mint grants bearers "b1", "b2"... of one hour, each after a second.
type mint struct {
	calls atomic.Int64
	fail  atomic.Bool
}

var errMint = errors.New("mint: closed")

func (m *mint) grant(ctx context.Context) (Bearer, error) {
	now, n := time.Now(), m.calls.Add(1)
	select {
	case <-time.After(time.Second):
	case <-ctx.Done():
		return Bearer{}, ctx.Err()
	}
	if m.fail.Load() {
		return Bearer{}, errMint
	}
	return Bearer{Value: fmt.Sprintf("b%d", n), Expiry: now.Add(time.Hour)}, nil
}

// bubble runs f with bearers from a mint.
func bubble(t *testing.T, f func(t *testing.T, m *mint, b *Cache)) {
	synctest.Test(t, func(t *testing.T) {
		m := &mint{}
		b := New(m.grant)
		defer b.Close()
		f(t, m, b)
	})
}

// want checks the bearer, how long it took and how many grants there were.
func want(t *testing.T, m *mint, b *Cache, value string, took time.Duration, calls int64) {
	t.Helper()
	start := time.Now()
	got, err := b.Get(t.Context())
	if err != nil || got != value || time.Since(start) != took || m.calls.Load() != calls {
		t.Errorf("got %q, %v after %v and %d grants; want %q after %v and %d", got, err, time.Since(start), m.calls.Load(), value, took, calls)
	}
}

func TestOneGrantForAll(t *testing.T) {
	bubble(t, func(t *testing.T, m *mint, b *Cache) {
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				if got, err := b.Get(t.Context()); err != nil || got != "b1" {
					t.Errorf("got %q, %v", got, err)
				}
			})
		}
		wg.Wait()
		want(t, m, b, "b1", 0, 1)
	})
}

func TestRefreshAhead(t *testing.T) {
	bubble(t, func(t *testing.T, m *mint, b *Cache) {
		want(t, m, b, "b1", time.Second, 1)
		for day := range 24 { // hours in which no sender waits
			<-time.After(55 * time.Minute)
			synctest.Wait()
			got, err := b.Get(t.Context())
			if err != nil || got == "" {
				t.Fatalf("hour %d: %q, %v", day, got, err)
			}
		}
		if calls := m.calls.Load(); calls < 24 || calls > 26 {
			t.Errorf("%d grants in 22 hours", calls)
		}
	})
}

func TestOutageOfTheTokenEndpoint(t *testing.T) {
	bubble(t, func(t *testing.T, m *mint, b *Cache) {
		want(t, m, b, "b1", time.Second, 1)
		m.fail.Store(true)
		<-time.After(59 * time.Minute)
		synctest.Wait()
		before := m.calls.Load()
		if before < 10 || before > 30 {
			t.Errorf("%d grants tried in the last 5 minutes", before)
		}
		want(t, m, b, "b1", 0, before) // still valid
		<-time.After(time.Minute)
		m.fail.Store(false)
		got, err := b.Get(t.Context())
		for err != nil {
			<-time.After(time.Second)
			got, err = b.Get(t.Context())
		}
		if got == "b1" || got == "" {
			t.Errorf("got %q", got)
		}
	})
}

func TestFailureIsShared(t *testing.T) {
	bubble(t, func(t *testing.T, m *mint, b *Cache) {
		m.fail.Store(true)
		for range 50 {
			if _, err := b.Get(t.Context()); !errors.Is(err, errMint) {
				t.Fatalf("got %v", err)
			}
		}
		if calls := m.calls.Load(); calls != 1 {
			t.Errorf("%d grants, want 1: within a second failures are shared", calls)
		}
		m.fail.Store(false)
		<-time.After(failurePause)
		want(t, m, b, "b2", time.Second, 2)
	})
}

func TestInvalidate(t *testing.T) {
	bubble(t, func(t *testing.T, m *mint, b *Cache) {
		want(t, m, b, "b1", time.Second, 1)
		b.Invalidate("b1")
		want(t, m, b, "b2", time.Second, 2)
		b.Invalidate("b1") // a late one
		want(t, m, b, "b2", 0, 2)
	})
}

func TestWaitEnds(t *testing.T) {
	bubble(t, func(t *testing.T, m *mint, b *Cache) {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if _, err := b.Get(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		want(t, m, b, "b1", 900*time.Millisecond, 1) // the grant went on
		b.Close()
		b.Invalidate("b1")
		if _, err := b.Get(t.Context()); !errors.Is(err, ErrClosed) {
			t.Errorf("after close: %v", err)
		}
	})
}

// TestRefusedForGood: a vendor that refuses every bearer is asked for three,
// and then for one in twenty seconds.
func TestRefusedForGood(t *testing.T) {
	bubble(t, func(t *testing.T, m *mint, b *Cache) {
		for start := time.Now(); time.Since(start) < 10*time.Minute; <-time.After(100 * time.Millisecond) {
			value, err := b.Get(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			b.Invalidate(value)
		}
		if got := m.calls.Load(); got < 25 || got > 4+30 {
			t.Errorf("%d grants in ten minutes", got)
		}
	})
}
