package lease

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/rouse-im/rouse/actors"
	"github.com/rouse-im/rouse/storage"
)

// keyKind is the kind of leases in the catalogue family: l, app, node. The
// value is the incarnation, 8 bytes, big-endian.
const keyKind = 'l'

// Table holds all leases. Its methods may be called concurrently.
type Table struct {
	store *storage.Store
	ttl   time.Duration
	index index

	mu sync.Mutex
	// newest is the highest incarnation proposed for each node that is stored
	// or about to be.
	newest map[id]uint64
	// nodes counts newest by app; at most MaxNodes each.
	nodes map[string]int
}

// Open reads the stored leases; each is live until now+ttl. ttl 0 is DefaultTTL.
func Open(store *storage.Store, ttl time.Duration, now time.Time) (*Table, error) {
	if ttl == 0 {
		ttl = DefaultTTL
	}
	t := &Table{store: store, ttl: ttl, newest: make(map[id]uint64), nodes: make(map[string]int)}
	var bad error
	err := store.Scan(storage.CatalogueRange(keyKind), func(key, value []byte) bool {
		var parts [2]string
		if _, err := storage.ParseCatalogueKey(key, parts[:]); err != nil || len(value) != 8 {
			bad = errors.Join(err, fmt.Errorf("a stored lease has a value of %d bytes instead of 8", len(value)))
			return false
		}
		t.know(id{parts[0], parts[1]}, binary.BigEndian.Uint64(value))
		return true
	})
	if err := errors.Join(err, bad); err != nil {
		return nil, fmt.Errorf("lease: open: %w", err)
	}
	t.fill(now)
	return t, nil
}

// fill builds the index of what was read, each stripe once.
func (t *Table) fill(now time.Time) {
	var maps [stripes]map[id]*lease
	for i, incarnation := range t.newest {
		s := i.stripe()
		if maps[s] == nil {
			maps[s] = make(map[id]*lease)
		}
		maps[s][i] = newLease(incarnation, now.Add(t.ttl))
	}
	for s := range maps {
		if maps[s] != nil {
			t.index[s].Store(&maps[s])
		}
	}
}

// TTL is how long a lease outlives the last sign of life.
func (t *Table) TTL() time.Duration { return t.ttl }

// Live tells whether this incarnation of the node holds a live lease. It takes
// no lock and allocates nothing. Sessions without a node (name "") are always
// believed; an unknown node is not live.
func (t *Table) Live(app, name string, incarnation uint64, now time.Time) bool {
	if name == "" {
		return true
	}
	l := t.index.find(id{app, name})
	return l != nil && l.incarnation == incarnation && l.live(now)
}

// Renew takes a sign of life: the lease lives until now+ttl. False means that
// this incarnation holds no lease, ask Grant why. It takes no lock.
func (t *Table) Renew(app string, node actors.Node, now time.Time) bool {
	l := t.index.find(id{app, node.Name})
	return l != nil && l.incarnation == node.Incarnation && l.renew(now.Add(t.ttl))
}

// Grant gives the node a lease until now+ttl. A higher incarnation than the
// known one ends that one's lease at once; an equal one renews; a lower one is
// refused with a StaleError, a node too many with ErrTooMany. A new incarnation
// is on disk before it is live: Grant waits for that.
func (t *Table) Grant(app string, node actors.Node, now time.Time) error {
	if t.Renew(app, node, now) {
		return nil
	}
	stored := make(chan error, 1) // one value, never blocks the store's writer
	i := id{app, node.Name}
	if err := t.propose(i, node.Incarnation, stored); err != nil {
		return err
	}
	if err := <-stored; err != nil {
		t.withdraw(i, node.Incarnation)
		return fmt.Errorf("lease: storing the lease of node %q: %w", node.Name, err)
	}
	return t.install(i, node.Incarnation, now)
}

// propose orders the incarnation among those of its node and sends it to disk.
func (t *Table) propose(i id, incarnation uint64, stored chan error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	newest, known := t.newest[i]
	if known && incarnation < newest {
		return &StaleError{Name: i.name, Have: incarnation, Newest: newest}
	}
	if !known && t.nodes[i.app] >= MaxNodes {
		return ErrTooMany
	}
	t.know(i, incarnation)
	t.store.Propose(storage.MetaShard, []storage.Mutation{{
		Op: storage.Set, Key: storage.AppendCatalogueKey(nil, keyKind, i.app, i.name),
		Value: binary.BigEndian.AppendUint64(nil, incarnation),
	}}, func(err error) { stored <- err })
	return nil
}

// withdraw undoes propose for an incarnation that did not reach the disk.
func (t *Table) withdraw(i id, incarnation uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.newest[i] != incarnation {
		return
	}
	if l := t.index.find(i); l != nil {
		t.newest[i] = l.incarnation
	} else {
		t.unknow(i)
	}
}

// install makes a stored incarnation live, unless a newer one is live already.
func (t *Table) install(i id, incarnation uint64, now time.Time) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	l := t.index.find(i)
	if l != nil && l.incarnation > incarnation {
		return &StaleError{Name: i.name, Have: incarnation, Newest: l.incarnation}
	}
	if t.newest[i] < incarnation { // withdrawn by a call that failed beside this one
		t.know(i, incarnation)
	}
	if l == nil || l.incarnation < incarnation || !l.renew(now.Add(t.ttl)) {
		t.index.put(i, newLease(incarnation, now.Add(t.ttl)))
	}
	return nil
}

// know and unknow keep nodes in step with newest.
func (t *Table) know(i id, incarnation uint64) {
	if _, known := t.newest[i]; !known {
		t.nodes[i.app]++
	}
	t.newest[i] = incarnation
}

func (t *Table) unknow(i id) {
	delete(t.newest, i)
	if t.nodes[i.app]--; t.nodes[i.app] == 0 {
		delete(t.nodes, i.app)
	}
}

// Run sweeps once per ttl until ctx ends.
func (t *Table) Run(ctx context.Context) {
	tick := time.NewTicker(t.ttl)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			t.Sweep(now)
		}
	}
}

// Sweep forgets the leases that have run out and returns how many. A node that
// comes back after that gets a new lease, of any incarnation.
func (t *Table) Sweep(now time.Time) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	var deletes []storage.Mutation
	t.index.each(func(i id, l *lease) {
		// A newer incarnation on its way to disk keeps the record.
		if l.incarnation != t.newest[i] || !l.sweep(now) {
			return
		}
		t.index.put(i, nil)
		t.unknow(i)
		deletes = append(deletes, storage.Mutation{Op: storage.Delete, Key: storage.AppendCatalogueKey(nil, keyKind, i.app, i.name)})
	})
	t.forget(deletes)
	return len(deletes)
}

// forget deletes records. One that the store refuses to delete comes back as a
// live lease after a restart, for one ttl.
func (t *Table) forget(deletes []storage.Mutation) {
	const perEntry = 1024 // keys are below 256 bytes, so entries below storage.MaxEntryBytes
	for len(deletes) > 0 {
		n := min(perEntry, len(deletes))
		t.store.Propose(storage.MetaShard, deletes[:n], func(error) {})
		deletes = deletes[n:]
	}
}
