package lease

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/rouse-im/rouse/actors"
	"github.com/rouse-im/rouse/internal/plant"
	"github.com/rouse-im/rouse/storage"
)

// leader is what only the leader of the meta group keeps; under Table.mu.
type leader struct {
	term uint64 // its entries are of no other
	// newest is the highest incarnation proposed for each node that is stored or
	// about to be.
	newest map[id]uint64
	// nodes counts newest by app; at most MaxNodes each.
	nodes map[string]int
	// ending are the leases whose deletion is under way.
	ending map[id]bool
}

// Lead makes this node the one that grants and ends leases, in a term. All entries
// from before must be applied. Every lease lives for one ttl from now on.
func (t *Table) Lead(term uint64) {
	now := t.since(time.Now())
	t.mu.Lock()
	defer t.mu.Unlock()
	t.leader = &leader{term: term, newest: make(map[id]uint64), nodes: make(map[string]int), ending: make(map[id]bool)}
	t.index.each(func(i id, l *lease) {
		if !plant.On(plant.LeaseLostOnFailover) {
			l.alive(now)
		}
		t.leader.know(i, l.incarnation)
	})
}

// Lose ends what Lead began.
func (t *Table) Lose() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.leader = nil
}

// Leads tells whether this node grants leases.
func (t *Table) Leads() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.leader != nil
}

// GrantHere is Grant at the leader. It does not block; done is called once, with
// storage.ErrNotLeader if another node leads.
func (t *Table) GrantHere(app string, node actors.Node, done func(error)) {
	i := id{app, node.Name}
	held, term, err := t.admit(i, node.Incarnation)
	if held || err != nil {
		done(err)
		return
	}
	t.o.Propose(term, []storage.Mutation{{
		Op: storage.Set, Key: storage.AppendCatalogueKey(nil, keyKind, app, node.Name),
		Value: binary.BigEndian.AppendUint64(nil, node.Incarnation),
	}}, func(err error) {
		if err != nil {
			t.withdraw(i, node.Incarnation)
			err = fmt.Errorf("lease: storing the lease of node %q: %w", node.Name, err)
		}
		done(err)
	})
}

// admit orders the incarnation among those of its node, in a term. held means that
// it has the lease already.
func (t *Table) admit(i id, incarnation uint64) (held bool, term uint64, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.leader == nil {
		return false, 0, storage.ErrNotLeader
	}
	newest, known := t.leader.newest[i]
	switch {
	case known && incarnation < newest:
		return false, 0, &StaleError{Name: i.name, Have: incarnation, Newest: newest}
	case !known && t.leader.nodes[i.app] >= MaxNodes:
		return false, 0, ErrTooMany
	}
	if l := t.index.find(i); known && l != nil && l.incarnation == incarnation {
		l.alive(t.since(time.Now()))
		return true, 0, nil
	}
	t.leader.know(i, incarnation)
	return false, t.leader.term, nil
}

// withdraw undoes admit for an incarnation that was not written.
func (t *Table) withdraw(i id, incarnation uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.leader == nil || t.leader.newest[i] != incarnation {
		return
	}
	if l := t.index.find(i); l != nil {
		t.leader.newest[i] = l.incarnation
	} else {
		t.leader.unknow(i)
	}
}

// know and unknow keep nodes in step with newest.
func (k *leader) know(i id, incarnation uint64) {
	if _, known := k.newest[i]; !known {
		k.nodes[i.app]++
	}
	k.newest[i] = incarnation
}

func (k *leader) unknow(i id) {
	delete(k.newest, i)
	if k.nodes[i.app]--; k.nodes[i.app] == 0 {
		delete(k.nodes, i.app)
	}
}

// Renewed takes the signs of life that a node has collected. Those of leases
// that are gone say nothing: their IM nodes are told when they speak next.
func (t *Table) Renewed(signs []Sign) {
	now := time.Now()
	for _, s := range signs {
		if l := t.index.find(id{s.App, s.Node.Name}); l != nil && l.incarnation == s.Node.Incarnation {
			l.alive(t.since(now.Add(-max(0, s.Age))))
		}
	}
}

// Sweep ends the leases that have run out, if this node leads, and returns how
// many. A node that comes back after that gets a new lease, of any incarnation.
func (t *Table) Sweep(now time.Time) int {
	ended, term := t.runOut(t.since(now) - t.o.TTL.Nanoseconds())
	const perEntry = 1024 // keys are below 256 bytes, so entries below storage.MaxEntryBytes
	for left := ended; len(left) > 0; {
		some := left[:min(perEntry, len(left))]
		left = left[len(some):]
		deletes := make([]storage.Mutation, len(some))
		for n, i := range some {
			deletes[n] = storage.Mutation{Op: storage.Delete, Key: storage.AppendCatalogueKey(nil, keyKind, i.app, i.name)}
		}
		// What is not written is tried again by a later sweep.
		t.o.Propose(term, deletes, func(err error) { t.swept(some, err) })
	}
	return len(ended)
}

// runOut takes the leases without a sign of life since then out of those that
// are granted; Live goes on until that is committed.
func (t *Table) runOut(then int64) (ended []id, term uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.leader == nil || plant.On(plant.LeaseNeverExpires) {
		return nil, 0
	}
	t.index.each(func(i id, l *lease) {
		// A newer incarnation on its way keeps the record.
		if l.sign.Load() > then || l.incarnation != t.leader.newest[i] || t.leader.ending[i] {
			return
		}
		t.leader.ending[i] = true
		t.leader.unknow(i)
		ended = append(ended, i)
	})
	return ended, t.leader.term
}

func (t *Table) swept(some []id, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.leader == nil {
		return
	}
	for _, i := range some {
		delete(t.leader.ending, i)
		_, known := t.leader.newest[i]
		if l := t.index.find(i); err != nil && l != nil && !known {
			t.leader.know(i, l.incarnation)
		}
	}
}
