// Package lease keeps the leases of IM nodes. A session is online only while
// the IM node that owns it holds a live lease of the same incarnation, so the
// crash of an IM node turns all its sessions offline without a write per user.
//
// A lease lives for a ttl after the node's last sign of life. Which incarnation
// of a node is the newest is durable; signs of life are not: after a restart
// every stored lease is live for one ttl, so that IM nodes can come back first.
package lease

import (
	"errors"
	"fmt"
	"maps"
	"sync/atomic"
	"time"

	"github.com/cespare/xxhash/v2"
)

const (
	// DefaultTTL is used when none is given.
	DefaultTTL = 15 * time.Second
	// MaxNodes bounds the IM nodes of an app; Grant refuses more.
	MaxNodes = 10_000
	// stripes spreads the copies that a new node name costs.
	stripes = 64
)

var (
	// ErrStale is matched by a StaleError.
	ErrStale = errors.New("lease: incarnation is stale")
	// ErrTooMany refuses a node beyond MaxNodes of its app. Leases that ran out
	// are swept once per ttl.
	ErrTooMany = fmt.Errorf("lease: app has %d IM nodes already", MaxNodes)
)

// StaleError refuses a node whose newer incarnation is known; it matches ErrStale.
type StaleError struct {
	Name string
	// Have is the refused incarnation, Newest the known one.
	Have, Newest uint64
}

func (e *StaleError) Error() string {
	return fmt.Sprintf("lease: incarnation %d of node %q is older than %d; start the node with a higher one", e.Have, e.Name, e.Newest)
}

// Is tells errors.Is that e is ErrStale.
func (e *StaleError) Is(target error) bool { return target == ErrStale }

// id names an IM node within all apps.
type id struct{ app, name string }

func (i id) stripe() uint64 {
	return (xxhash.Sum64String(i.app)*31 + xxhash.Sum64String(i.name)) % stripes
}

// swept marks a lease that was taken out of the table: it cannot be renewed.
const swept = -1

// lease is one incarnation of one node.
type lease struct {
	incarnation uint64
	// until is when it runs out, in unix nanoseconds, or swept.
	until atomic.Int64
}

func newLease(incarnation uint64, until time.Time) *lease {
	l := &lease{incarnation: incarnation}
	l.until.Store(until.UnixNano())
	return l
}

func (l *lease) live(now time.Time) bool { return now.UnixNano() < l.until.Load() }

// renew moves the end of the lease; false when it was swept meanwhile. A lease
// that ran out lives again: no newer incarnation was seen.
func (l *lease) renew(until time.Time) bool {
	for {
		old := l.until.Load()
		if old == swept {
			return false
		}
		if l.until.CompareAndSwap(old, until.UnixNano()) {
			return true
		}
	}
}

// sweep takes the lease out of use if it has run out.
func (l *lease) sweep(now time.Time) bool {
	old := l.until.Load()
	return old != swept && now.UnixNano() >= old && l.until.CompareAndSwap(old, swept)
}

// index finds leases without a lock. It is copied on write, one stripe at a time.
type index [stripes]atomic.Pointer[map[id]*lease]

func (x *index) find(i id) *lease {
	if m := x[i.stripe()].Load(); m != nil {
		return (*m)[i]
	}
	return nil
}

// put stores l, or removes i when l is nil. Callers take turns.
func (x *index) put(i id, l *lease) {
	p := &x[i.stripe()]
	next := make(map[id]*lease)
	if m := p.Load(); m != nil {
		maps.Copy(next, *m)
	}
	if l == nil {
		delete(next, i)
	} else {
		next[i] = l
	}
	p.Store(&next)
}

// each calls do for every lease.
func (x *index) each(do func(id, *lease)) {
	for s := range x {
		if m := x[s].Load(); m != nil {
			for i, l := range *m {
				do(i, l)
			}
		}
	}
}
