// Package bearer keeps one valid access token of a vendor: it is refreshed
// ahead of its expiry, and however many senders wait, one request for it is
// under way.
package bearer

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/rouse-im/rouse/vendors/reply"
)

// Times of a bearer's life.
const (
	refreshAhead = 5 * time.Minute  // before expiry, or half the life if that is later
	refreshAgain = 10 * time.Second // after a failed refresh ahead
	expirySlack  = 10 * time.Second // for clocks and requests under way
	grantTimeout = 30 * time.Second
	failurePause = time.Second // a failed grant answers all senders this long
)

// A vendor that calls every bearer expired must not be asked for one with each
// push: after spareRefusals in a row, one bearer in refusalEvery is forgotten.
const (
	spareRefusals = 3
	refusalEvery  = 20 * time.Second
)

// ErrClosed is what Get returns after Close.
var ErrClosed = errors.New("bearer: closed")

// Bearer is an access token.
type Bearer struct {
	Value  string
	Expiry time.Time
}

// Cache keeps one valid bearer. A timer refreshes it ahead of its expiry, so
// that senders wait only for the first one, and after an invalidation or a
// long outage. However many wait, one grant is under way.
type Cache struct {
	grant func(context.Context) (Bearer, error)

	life   context.Context // ends with Close
	end    context.CancelFunc
	grants sync.WaitGroup

	mu      sync.Mutex
	current Bearer
	flight  *flight     // nil when no grant is under way
	ahead   *time.Timer // nil before the first bearer
	refused *rate.Limiter
	failed  error // of the last grant; answers senders until the time below
	until   time.Time
}

// flight is one grant; its fields are set before done is closed.
type flight struct {
	done   chan struct{}
	bearer Bearer
	err    error
}

// New makes a Cache. grant asks the vendor for a bearer; its error is what Get
// returns and must hold no secret.
func New(grant func(context.Context) (Bearer, error)) *Cache {
	b := &Cache{grant: grant, refused: rate.NewLimiter(rate.Every(refusalEvery), spareRefusals)}
	b.life, b.end = context.WithCancel(context.Background())
	return b
}

// Get returns a valid bearer; it waits only when there is none. A grant that it
// starts has the values of ctx, but goes on when ctx ends. A reply.Log in ctx
// learns the bearer as a secret.
func (b *Cache) Get(ctx context.Context) (string, error) {
	value, err := b.get(ctx)
	reply.From(ctx).Hide(value)
	return value, err
}

func (b *Cache) get(ctx context.Context) (string, error) {
	b.mu.Lock()
	now := time.Now()
	if b.current.Value != "" && now.Before(b.current.Expiry.Add(-expirySlack)) {
		defer b.mu.Unlock()
		return b.current.Value, nil
	}
	if b.flight == nil && b.failed != nil && now.Before(b.until) {
		defer b.mu.Unlock()
		return "", b.failed
	}
	f := b.startLocked(ctx)
	b.mu.Unlock()
	select {
	case <-f.done:
		return f.bearer.Value, f.err
	case <-ctx.Done():
		return "", fmt.Errorf("wait for an access token: %w", ctx.Err())
	}
}

// Invalidate forgets value, unless it has been replaced already, or too many
// were refused of late: then it stays in use.
func (b *Cache) Invalidate(value string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.current.Value == value && b.refused.AllowN(time.Now(), 1) {
		b.current = Bearer{}
	}
}

// Close ends the grant under way and waits for it.
func (b *Cache) Close() {
	b.end()
	b.mu.Lock()
	if b.ahead != nil {
		b.ahead.Stop()
	}
	b.mu.Unlock()
	b.grants.Wait()
}

func (b *Cache) startLocked(ctx context.Context) *flight {
	if b.flight != nil {
		return b.flight
	}
	f := &flight{done: make(chan struct{})}
	if b.life.Err() != nil {
		f.err = ErrClosed
		close(f.done)
		return f
	}
	b.flight = f
	ctx = context.WithoutCancel(ctx)
	b.grants.Go(func() { b.fly(ctx, f) })
	return f
}

func (b *Cache) fly(ctx context.Context, f *flight) {
	ctx, cancel := context.WithTimeout(ctx, grantTimeout)
	defer cancel()
	defer context.AfterFunc(b.life, cancel)()
	f.bearer, f.err = b.grant(ctx)
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	b.flight, b.failed, b.until = nil, f.err, now.Add(failurePause)
	if f.err == nil {
		b.current = f.bearer
		left := f.bearer.Expiry.Sub(now)
		b.refreshLocked(max(left-refreshAhead, left/2))
	} else if now.Before(b.current.Expiry) {
		b.refreshLocked(refreshAgain)
	}
	close(f.done)
}

// refreshLocked starts a grant in pause.
func (b *Cache) refreshLocked(pause time.Duration) {
	if b.life.Err() != nil {
		return
	}
	if b.ahead == nil {
		b.ahead = time.AfterFunc(pause, func() {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.startLocked(b.life)
		})
		return
	}
	b.ahead.Reset(pause)
}
