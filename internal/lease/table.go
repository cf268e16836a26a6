package lease

import (
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/rouse-im/rouse/actors"
	"github.com/rouse-im/rouse/storage"
)

// keyKind is the kind of leases in the catalogue family: l, app, node. The
// value is the incarnation, 8 bytes, big-endian.
const keyKind = 'l'

// seen is how long Grant waits for the record of a lease that another node
// granted to arrive here.
const seen = time.Second

// Options of a Table.
type Options struct {
	Store *storage.Store
	// TTL is how long a lease outlives the last sign of life; 0 = DefaultTTL.
	TTL time.Duration
	// Grant asks the leader of the meta group for a lease. It does not block, and
	// calls done once, in bounded time. nil = this node leads from the start on.
	Grant func(app string, node actors.Node, done func(error))
	// Renew tells the leader of signs of life, at most maxSigns of them, as Grant
	// does. What it could not tell is told with the next ones.
	Renew func(signs []Sign, done func(error))
	// Propose writes an entry of the meta group under a term of leadership, and
	// refuses it under any other; see storage.Store.Propose. nil = the store commits
	// by itself.
	Propose func(term uint64, ms []storage.Mutation, done func(error))
	Logger  *slog.Logger
}

// Sign is a sign of life of an IM node.
type Sign struct {
	App  string
	Node actors.Node
	// Age is how long ago it was given.
	Age time.Duration
}

// Table holds all leases. Its methods may be called concurrently.
type Table struct {
	o     Options
	epoch time.Time // when this table began, for monotonic time
	all   storage.Range
	index index

	mu      sync.Mutex
	arrived chan struct{} // closed when the next change can be seen
	leader  *leader       // nil = another node leads the meta group
}

// Open reads the stored leases and follows them from then on.
func Open(o Options) (*Table, error) {
	if o.TTL == 0 {
		o.TTL = DefaultTTL
	}
	if o.Propose == nil {
		o.Propose = func(_ uint64, ms []storage.Mutation, done func(error)) { o.Store.Propose(storage.MetaShard, ms, done) }
	}
	t := &Table{o: o, epoch: time.Now(), all: storage.CatalogueRange(keyKind), arrived: make(chan struct{})}
	o.Store.Watch(t.apply)
	if err := t.load(); err != nil {
		return nil, fmt.Errorf("lease: open: %w", err)
	}
	if o.Grant == nil {
		t.Lead(0)
	}
	return t, nil
}

// since is the time in nanoseconds from the table's beginning on, at least 1.
func (t *Table) since(now time.Time) int64 { return 1 + max(0, now.Sub(t.epoch).Nanoseconds()) }

// load takes what is stored in place of what is known.
func (t *Table) load() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	changed := make(map[id]*lease)
	t.index.each(func(i id, _ *lease) { changed[i] = nil })
	var bad error
	err := t.o.Store.Scan(t.all, func(key, value []byte) bool {
		var i id
		var incarnation uint64
		i, incarnation, bad = parse(key, value)
		changed[i] = t.known(i, incarnation)
		return bad == nil
	})
	if err := errors.Join(err, bad); err != nil {
		return err
	}
	t.show(changed)
	return nil
}

// known is the lease of an incarnation, a new one if it is not known here.
func (t *Table) known(i id, incarnation uint64) *lease {
	if l := t.index.find(i); l != nil && l.incarnation == incarnation {
		return l
	}
	l := &lease{incarnation: incarnation}
	l.alive(t.since(time.Now()))
	return l
}

// apply takes committed entries of the meta group in, nil for a snapshot of it.
func (t *Table) apply(ms []storage.Mutation) {
	if ms == nil {
		if err := t.load(); err != nil {
			t.o.Logger.Error("the leases of IM nodes cannot be read after a snapshot; this node goes on with those it knew; restart it", "error", err)
		}
		return
	}
	var changed map[id]*lease
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, m := range ms {
		if !t.all.Contains(m.Key) {
			continue
		}
		if changed == nil {
			changed = make(map[id]*lease)
		}
		value := m.Value
		if m.Op == storage.Delete {
			value = make([]byte, 8)
		}
		i, incarnation, err := parse(m.Key, value)
		switch {
		case err != nil:
			t.o.Logger.Error("a committed lease cannot be read", "error", err)
		case m.Op == storage.Delete:
			changed[i] = nil
		default:
			changed[i] = t.known(i, incarnation)
			if t.leader != nil && t.leader.newest[i] < incarnation {
				t.leader.know(i, incarnation)
			}
		}
	}
	if changed != nil {
		t.show(changed)
	}
}

// show makes changes visible; the caller holds mu.
func (t *Table) show(changed map[id]*lease) {
	t.index.change(changed)
	close(t.arrived)
	t.arrived = make(chan struct{})
}

func parse(key, value []byte) (i id, incarnation uint64, err error) {
	var parts [2]string
	if _, err := storage.ParseCatalogueKey(key, parts[:]); err != nil {
		return i, 0, err
	}
	if len(value) != 8 {
		return i, 0, fmt.Errorf("a stored lease has a value of %d bytes instead of 8", len(value))
	}
	return id{parts[0], parts[1]}, binary.BigEndian.Uint64(value), nil
}

// TTL is how long a lease outlives the last sign of life.
func (t *Table) TTL() time.Duration { return t.o.TTL }

// Live tells whether this incarnation of the node holds a lease. It takes no
// lock and allocates nothing. Sessions without a node (name "") are always
// believed; an unknown node is not live.
func (t *Table) Live(app, name string, incarnation uint64, _ time.Time) bool {
	if name == "" {
		return true
	}
	l := t.index.find(id{app, name})
	return l != nil && l.incarnation == incarnation
}

// Renew takes a sign of life, which the leader is told of within a fifth of the
// ttl. False means that this incarnation holds no lease, ask Grant why. It takes
// no lock.
func (t *Table) Renew(app string, node actors.Node, now time.Time) bool {
	l := t.index.find(id{app, node.Name})
	if l == nil || l.incarnation != node.Incarnation {
		return false
	}
	l.alive(t.since(now))
	return true
}

// Grant gets the node a lease from the leader of the meta group. A higher
// incarnation than the known one ends that one's lease at once; an equal one
// renews; a lower one is refused with a StaleError, a node too many with
// ErrTooMany. It waits until the lease is durable and, in general, known here.
func (t *Table) Grant(app string, node actors.Node, now time.Time) error {
	if t.Renew(app, node, now) {
		return nil
	}
	granted := make(chan error, 1) // one value, never blocks who answers
	if t.Leads() || t.o.Grant == nil {
		t.GrantHere(app, node, func(err error) { granted <- err })
	} else {
		t.o.Grant(app, node, func(err error) { granted <- err })
	}
	if err := <-granted; err != nil {
		return err
	}
	return t.await(id{app, node.Name}, node.Incarnation)
}

// await returns when the record of the lease has arrived, or is late.
func (t *Table) await(i id, incarnation uint64) error {
	late := time.NewTimer(seen)
	defer late.Stop()
	for {
		t.mu.Lock()
		l, arrived := t.index.find(i), t.arrived
		t.mu.Unlock()
		switch {
		case l != nil && l.incarnation > incarnation:
			return &StaleError{Name: i.name, Have: incarnation, Newest: l.incarnation}
		case l != nil && l.incarnation == incarnation:
			return nil
		}
		select {
		case <-arrived:
		case <-late.C:
			return nil
		}
	}
}
