// Package roster knows which nodes are members of the cluster and which of them
// shall hold a replica of which group. Both are records of the meta group, of
// which every node has a replica: all nodes read the same, in memory and
// without a lock, a moment after it is committed.
//
// What changes them is pure: methods of View look at one state and answer the
// mutations that lead to the next. Only the leader of the meta group may
// propose them, and Update lets it do so one at a time.
package roster

import (
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/rouse-im/rouse/storage"
)

// Options of a Roster.
type Options struct {
	Store  *storage.Store
	Logger *slog.Logger
}

// Roster is the members and placements as this node has applied them. Its
// methods may be called concurrently.
type Roster struct {
	Options
	view atomic.Pointer[View]
	turn chan struct{} // holds an entry while an Update is under way

	mu      sync.Mutex // held by Apply and Reload, and never for long
	signals []chan struct{}
}

// Open reads the records. Apply must be registered with the store before, or
// nothing may be committed until it is: entries committed in between may come
// twice, and must not be missed.
func Open(o Options) (*Roster, error) {
	r := &Roster{Options: o, turn: make(chan struct{}, 1)}
	if err := r.Reload(); err != nil {
		return nil, err
	}
	return r, nil
}

// View is the present state. It never changes, and takes no lock.
func (r *Roster) View() *View { return r.view.Load() }

// Changed has an entry after each change since the last receive; one channel
// for each caller, who should be there as long as the Roster.
func (r *Roster) Changed() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := make(chan struct{}, 1)
	r.signals = append(r.signals, c)
	return c
}

// Apply takes in the mutations of an entry of the meta group after its commit,
// in the order of the log. It does not block.
func (r *Roster) Apply(ms []storage.Mutation) {
	r.mu.Lock()
	defer r.mu.Unlock()
	next := draft{View: *r.view.Load()}
	for i := range ms {
		if err := next.apply(&ms[i]); err != nil {
			r.Logger.Error("roster: a record cannot be read and is left out; run the newest release on all nodes", "error", err)
		}
	}
	if next.changed {
		r.publish(&next.View)
	}
}

// Reload reads all records again, after a snapshot has replaced them.
func (r *Roster) Reload() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	next := draft{}
	for _, kind := range kinds {
		var bad error
		err := r.Store.Scan(storage.CatalogueRange(kind), func(key, value []byte) bool {
			bad = next.apply(&storage.Mutation{Op: storage.Set, Key: key, Value: value})
			return bad == nil
		})
		if err == nil {
			err = bad
		}
		if err != nil {
			return fmt.Errorf("roster: reading the stored members: %w", err)
		}
	}
	r.publish(&next.View)
	return nil
}

// publish makes v the present state. The caller holds mu.
func (r *Roster) publish(v *View) {
	v.sort()
	r.view.Store(v)
	for _, c := range r.signals {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}
