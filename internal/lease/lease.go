// Package lease keeps the leases of IM nodes. A session is online only while
// the IM node that owns it holds a lease of the same incarnation, so the crash
// of an IM node turns all its sessions offline by one write.
//
// A lease is a record of the meta group, and liveness on every node means that
// the record is there. Its end is counted by the leader of the group alone, who
// deletes the record when the node gave no sign of life for a ttl. Signs of life
// are not durable: a new leader gives every lease one ttl, so that IM nodes can
// find another node of the cluster first.
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
	// ErrTooMany refuses a node beyond MaxNodes of its app.
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

// lease is one incarnation of one node.
type lease struct {
	incarnation uint64
	// sign is the last sign of life that is known here, told the last one that
	// the leader was told of; both as Table.since tells time.
	sign, told atomic.Int64
}

// alive takes a sign of life; an older one than the known changes nothing.
func (l *lease) alive(at int64) {
	for {
		old := l.sign.Load()
		if old >= at || l.sign.CompareAndSwap(old, at) {
			return
		}
	}
}

// index finds leases without a lock. It is copied on write, one stripe at a time.
type index [stripes]atomic.Pointer[map[id]*lease]

func (x *index) find(i id) *lease {
	if m := x[i.stripe()].Load(); m != nil {
		return (*m)[i]
	}
	return nil
}

// change stores leases, or removes those that are nil; each stripe is copied
// once. Callers take turns.
func (x *index) change(changed map[id]*lease) {
	var next [stripes]map[id]*lease
	for i, l := range changed {
		s := i.stripe()
		if next[s] == nil {
			next[s] = make(map[id]*lease)
			if m := x[s].Load(); m != nil {
				maps.Copy(next[s], *m)
			}
		}
		if l == nil {
			delete(next[s], i)
		} else {
			next[s][i] = l
		}
	}
	for s := range next {
		if next[s] != nil {
			x[s].Store(&next[s])
		}
	}
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
