package placement

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"os"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	actorv1 "github.com/rouse-im/rouse/api/rouse/actor/v1"
	"github.com/rouse-im/rouse/cluster/replica"
	"github.com/rouse-im/rouse/cluster/roster"
	"github.com/rouse-im/rouse/storage"
)

// world is nodes with real stores, replicas, rosters, planners and conductors, in
// one bubble of fake time.
type world struct {
	t      *testing.T
	shards uint16
	far    time.Duration // that a frame takes, 1 ms
	mu     sync.Mutex
	nodes  map[uint64]*wnode
	low    map[uint64]bool // whose disk is
	deaf   map[uint64]bool // who hears no leader of the meta group
}

type wnode struct {
	id        uint64
	down      bool
	inbox     chan frame
	store     *storage.Store
	engine    *replica.Engine
	roster    *roster.Roster
	planner   *Planner
	conductor *Conductor
	end       context.CancelFunc
	ended     sync.WaitGroup
	yields    int
}

type frame struct {
	from uint64
	at   time.Time
	b    []byte
}

func play(t *testing.T, shards uint16, f func(w *world)) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, shards: shards, far: time.Millisecond, nodes: make(map[uint64]*wnode), low: make(map[uint64]bool), deaf: make(map[uint64]bool)}
		f(w)
		for _, id := range slices.Sorted(maps.Keys(w.nodes)) {
			w.stop(id)
		}
	})
}

func testLog(id uint64) *slog.Logger {
	if os.Getenv("PLACEMENT_LOG") == "" {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug})).With("node", id)
}

func (w *world) ok(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// start opens a node, which is no member yet.
func (w *world) start(id uint64) *wnode {
	w.t.Helper()
	n := &wnode{id: id, inbox: make(chan frame, 1<<14)}
	var err error
	n.store, err = storage.Open("data", storage.Options{FS: vfs.NewMem(), CacheBytes: 1 << 20, MemTableBytes: 1 << 20, Shards: w.shards, Logger: slog.New(slog.DiscardHandler)})
	w.ok(err)
	n.roster, err = roster.Open(roster.Options{Store: n.store, Logger: testLog(id)})
	w.ok(err)
	ready := make(chan struct{})
	n.engine, err = replica.Open(replica.Options{
		ID: id, Store: n.store, Logger: testLog(id),
		Send: func(to uint64, b []byte) error { return w.send(id, to, b) },
		Open: func(_ context.Context, to uint64) (net.Conn, error) { return w.dial(id, to) },
		Changed: func(uint16) {
			select {
			case <-ready:
				n.conductor.Wake()
				n.planner.Wake()
			default:
			}
		},
		Lead: func(group uint16, _ uint64) {
			if group != MetaGroup {
				return
			}
			select {
			case <-ready:
				n.planner.Wake()
			default:
			}
		},
		Fatal: func(err error) { w.t.Errorf("node %d: %v", id, err) },
	})
	w.ok(err)
	n.planner = NewPlanner(PlannerOptions{
		Roster: n.roster, Rules: DefaultRules(), Alive: w.alive, DiskLow: w.diskLow, Deaf: w.isDeaf, Logger: testLog(id),
		Leads:   func() (uint64, bool) { return n.engine.Leads(MetaGroup) },
		Observe: func(_ context.Context, groups []uint16) map[uint16]Observed { return w.observe(groups) },
		Propose: func(term uint64, ms []storage.Mutation, done func(error)) {
			n.engine.Propose(MetaGroup, term, ms, done)
		},
	})
	n.conductor = NewConductor(ConductorOptions{
		Self: id, Roster: n.roster, Rules: DefaultRules(), Alive: w.alive, Fit: w.fit, Logger: testLog(id),
		Groups: n.engine.Groups, Leads: n.engine.Leads,
		Status: func(group uint16) (Status, error) { s, err := n.engine.Status(group); return StatusOf(s), err },
		Change: func(group uint16, to Configuration, done func(error)) {
			n.engine.Change(group, replica.Configuration{Voters: to.Voters, Learners: to.Learners}, done)
		},
		Transfer: n.engine.Transfer, Remove: n.engine.Remove,
		Yield: func(ctx context.Context, _ uint16) error {
			w.mu.Lock()
			n.yields++
			w.mu.Unlock()
			select {
			case <-time.After(100 * time.Millisecond): // a vendor's answer
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		},
	})
	close(ready)
	w.mu.Lock()
	w.nodes[id] = n
	w.mu.Unlock()
	ctx, cancel := context.WithCancel(context.Background())
	n.end = cancel
	n.ended.Go(func() { n.planner.Run(ctx) })
	n.ended.Go(func() { n.conductor.Run(ctx) })
	n.ended.Go(func() { w.carry(ctx, n) })
	return n
}

func (w *world) stop(id uint64) {
	n := w.nodes[id]
	w.mu.Lock()
	was := n.down
	n.down = true
	w.mu.Unlock()
	if was {
		return
	}
	n.end()
	n.ended.Wait()
	w.ok(n.engine.Close())
	w.ok(n.store.Close())
	for _, o := range w.living() {
		o.engine.PeerDown(id)
	}
}

func (w *world) alive(id uint64) bool { return w.reach(id) != nil }

func (w *world) diskLow(id uint64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.low[id]
}

func (w *world) isDeaf(id uint64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.deaf[id]
}

func (w *world) fit(id uint64) bool { return w.alive(id) && !w.diskLow(id) && !w.isDeaf(id) }

// fill has disks have room or not, as gossip would tell all at once.
func (w *world) fill(low bool, ids ...uint64) { w.mark(w.low, low, ids) }

// deafen has nodes hear no leader of the meta group, or hear one again.
func (w *world) deafen(deaf bool, ids ...uint64) { w.mark(w.deaf, deaf, ids) }

func (w *world) mark(what map[uint64]bool, is bool, ids []uint64) {
	w.mu.Lock()
	for _, id := range ids {
		what[id] = is
	}
	w.mu.Unlock()
	for _, n := range w.living() {
		n.planner.Wake()
		n.conductor.Wake()
	}
}

// reach is a node that is not down, or nil.
func (w *world) reach(id uint64) *wnode {
	w.mu.Lock()
	defer w.mu.Unlock()
	if n := w.nodes[id]; n != nil && !n.down {
		return n
	}
	return nil
}

func (w *world) send(from, to uint64, b []byte) error {
	n := w.reach(to)
	if n == nil {
		return errors.New("down")
	}
	select {
	case n.inbox <- frame{from, time.Now().Add(w.far), b}:
	default:
	}
	return nil
}

func (w *world) dial(from, to uint64) (net.Conn, error) {
	n := w.reach(to)
	if n == nil {
		return nil, errors.New("down")
	}
	a, b := net.Pipe()
	go n.engine.Bulk(from, b)
	return a, nil
}

func (w *world) carry(ctx context.Context, n *wnode) {
	for {
		select {
		case <-ctx.Done():
			return
		case f := <-n.inbox:
			<-time.After(time.Until(f.at))
			n.engine.Receive(f.from, f.b)
		}
	}
}

func (w *world) living() (all []*wnode) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, id := range slices.Sorted(maps.Keys(w.nodes)) {
		if n := w.nodes[id]; !n.down {
			all = append(all, n)
		}
	}
	return all
}

func (w *world) observe(groups []uint16) map[uint16]Observed {
	told := make(map[uint16]Observed)
	for _, n := range w.living() {
		for _, g := range groups {
			if s, err := n.engine.Status(g); err == nil && s.Leads {
				x := StatusOf(s)
				told[g] = Observed{Conf: x.Conf, Leader: n.id, Term: x.Term, Behind: x.Behind()}
			}
		}
	}
	return told
}

// leader of a group; nil = none.
func (w *world) leader(group uint16) *wnode {
	for _, n := range w.living() {
		if _, ok := n.engine.Leads(group); ok {
			return n
		}
	}
	return nil
}

// order changes the roster at the node that leads the meta group.
func (w *world) order(build func(*roster.View) ([]storage.Mutation, error)) {
	w.t.Helper()
	n := w.leader(MetaGroup)
	if n == nil {
		w.t.Fatal("the meta group has no leader")
	}
	term, _ := n.engine.Leads(MetaGroup)
	w.ok(n.roster.Update(context.Background(), func(ms []storage.Mutation, done func(error)) { n.engine.Propose(MetaGroup, term, ms, done) }, build))
}

func asks(id uint64, shards uint16) *actorv1.Admit {
	return &actorv1.Admit{
		Node: id, Store: fmt.Sprintf("%016x%016x", id, id), Name: fmt.Sprint("node-", id), Shards: uint32(shards),
		Addresses: &actorv1.NodeAddresses{Peers: "p", Actors: "a", Gossip: "g"},
	}
}

// found starts node 1 as a cluster of one.
func (w *world) found() {
	w.t.Helper()
	n := w.start(1)
	groups := make([]uint16, w.shards+1)
	for i := range groups {
		groups[i] = uint16(i)
	}
	w.ok(n.engine.Found(groups...))
	w.pass(2 * time.Second)
	w.order(func(v *roster.View) ([]storage.Mutation, error) {
		return v.Found("c1", asks(1, w.shards), time.Now())
	})
}

func (w *world) join(ids ...uint64) {
	w.t.Helper()
	for _, id := range ids {
		w.start(id)
		w.order(func(v *roster.View) ([]storage.Mutation, error) {
			return v.Admit(asks(id, w.shards), roster.Terms{Shards: uint32(w.shards), Dead: func(uint64) bool { return false }}, time.Now())
		})
	}
}

// three is a cluster of three nodes that is at rest.
func (w *world) three() {
	w.t.Helper()
	w.found()
	w.join(2, 3)
	w.pass(2 * time.Minute)
	w.settled(3)
}

// pass lets fake time pass.
func (w *world) pass(d time.Duration) { <-time.After(d) }

// loads are the groups led, by node.
func (w *world) loads() map[uint64]int {
	loads := make(map[uint64]int)
	for _, n := range w.living() {
		loads[n.id] = len(n.conductor.led())
	}
	return loads
}

// settled fails the test unless all groups are as their records say.
func (w *world) settled(voters int) {
	w.t.Helper()
	v := w.leader(MetaGroup).roster.View()
	for g := range w.shards + 1 {
		p, _ := v.Placement(g)
		n := w.leader(g)
		if n == nil {
			w.t.Errorf("group %d has no leader", g)
			continue
		}
		s, err := n.engine.Status(g)
		w.ok(err)
		if !p.Settled || !StatusOf(s).Conf.is(p) || g > 0 && len(p.Voters) != voters {
			w.t.Errorf("group %d: %+v, record %+v", g, s, p)
		}
		for _, o := range w.living() {
			if has := slices.Contains(o.engine.Groups(), g); has != p.Has(o.id) && g != MetaGroup {
				w.t.Errorf("group %d: a replica on node %d: %t", g, o.id, has)
			}
		}
	}
	loads := slices.Collect(maps.Values(w.loads()))
	if slices.Max(loads)-slices.Min(loads) > 1 {
		w.t.Errorf("leaderships: %v", w.loads())
	}
}
