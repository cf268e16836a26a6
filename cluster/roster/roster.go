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

	mu      sync.Mutex // held while the next view is made, and never for long
	signals []chan struct{}
}

// Open reads the records, and takes in what is committed from then on. Call it
// before anything is proposed to the store.
func Open(o Options) (*Roster, error) {
	r := &Roster{Options: o, turn: make(chan struct{}, 1)}
	r.view.Store(&View{})
	// What is committed while the records are read is taken in after them: it may
	// come twice, which changes nothing.
	o.Store.Watch(r.apply)
	if err := r.reload(); err != nil {
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

// apply takes in a committed entry of the meta group; nil = all was replaced.
func (r *Roster) apply(ms []storage.Mutation) {
	if ms == nil {
		if err := r.reload(); err != nil {
			r.Logger.Error("roster: the members that a snapshot brought cannot be read, those of before are used; restart this node with the newest release", "error", err)
		}
		return
	}
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

// reload reads all records.
func (r *Roster) reload() error {
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
