package fcm

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/rouse-im/rouse/vendors"
)

// Times of a bearer's life.
const (
	refreshAhead  = 5 * time.Minute  // before expiry, or half the life if that is later
	refreshAgain  = 10 * time.Second // after a failed refresh ahead
	expirySlack   = 10 * time.Second // for clocks and requests under way
	grantTimeout  = 30 * time.Second
	failurePause  = time.Second // a failed grant answers all senders this long
	maxBearerLife = 24 * time.Hour
)

var errClosed = errors.New("fcm: sender is closed")

// bearer is an OAuth access token.
type bearer struct {
	value  string
	expiry time.Time
}

// refusedError is the token endpoint's answer when that is not a bearer.
type refusedError struct{ result vendors.Result }

func (e *refusedError) Error() string {
	return "fcm: token endpoint refused: " + e.result.Code
}

// bearers keeps one valid bearer. A timer refreshes it ahead of its expiry, so
// that senders wait only for the first one, and after an invalidation or a
// long outage. However many wait, one grant is under way.
type bearers struct {
	grant func(context.Context) (bearer, error)

	life   context.Context // ends with close
	end    context.CancelFunc
	grants sync.WaitGroup

	mu      sync.Mutex
	current bearer
	flight  *flight     // nil when no grant is under way
	ahead   *time.Timer // nil before the first bearer
	failed  error       // of the last grant; answers senders until the time below
	until   time.Time
}

// flight is one grant; its fields are set before done is closed.
type flight struct {
	done   chan struct{}
	bearer bearer
	err    error
}

func newBearers(grant func(context.Context) (bearer, error)) *bearers {
	b := &bearers{grant: grant}
	b.life, b.end = context.WithCancel(context.Background())
	return b
}

// get returns a valid bearer; it waits only when there is none.
func (b *bearers) get(ctx context.Context) (string, error) {
	b.mu.Lock()
	now := time.Now()
	if b.current.value != "" && now.Before(b.current.expiry.Add(-expirySlack)) {
		defer b.mu.Unlock()
		return b.current.value, nil
	}
	if b.flight == nil && b.failed != nil && now.Before(b.until) {
		defer b.mu.Unlock()
		return "", b.failed
	}
	f := b.startLocked()
	b.mu.Unlock()
	select {
	case <-f.done:
		return f.bearer.value, f.err
	case <-ctx.Done():
		return "", fmt.Errorf("fcm: wait for an access token: %w", ctx.Err())
	}
}

// invalidate forgets value, unless it has been replaced already.
func (b *bearers) invalidate(value string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.current.value == value {
		b.current = bearer{}
	}
}

// close ends the grant under way and waits for it.
func (b *bearers) close() {
	b.end()
	b.mu.Lock()
	if b.ahead != nil {
		b.ahead.Stop()
	}
	b.mu.Unlock()
	b.grants.Wait()
}

func (b *bearers) startLocked() *flight {
	if b.flight != nil {
		return b.flight
	}
	f := &flight{done: make(chan struct{})}
	if b.life.Err() != nil {
		f.err = errClosed
		close(f.done)
		return f
	}
	b.flight = f
	b.grants.Go(func() { b.fly(f) })
	return f
}

func (b *bearers) fly(f *flight) {
	ctx, cancel := context.WithTimeout(b.life, grantTimeout)
	defer cancel()
	f.bearer, f.err = b.grant(ctx)
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	b.flight, b.failed, b.until = nil, f.err, now.Add(failurePause)
	if f.err == nil {
		b.current = f.bearer
		left := f.bearer.expiry.Sub(now)
		b.refreshLocked(max(left-refreshAhead, left/2))
	} else if now.Before(b.current.expiry) {
		b.refreshLocked(refreshAgain)
	}
	close(f.done)
}

// refreshLocked starts a grant in pause.
func (b *bearers) refreshLocked(pause time.Duration) {
	if b.life.Err() != nil {
		return
	}
	if b.ahead == nil {
		b.ahead = time.AfterFunc(pause, func() {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.startLocked()
		})
		return
	}
	b.ahead.Reset(pause)
}
