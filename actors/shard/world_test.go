package shard

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"google.golang.org/protobuf/proto"

	"github.com/rouse-im/rouse/actors"
	"github.com/rouse-im/rouse/actors/route"
	"github.com/rouse-im/rouse/cluster/memnet"
	"github.com/rouse-im/rouse/storage"
)

// world is nodes with stores of their own, a network between them, and in place
// of the replicated logs one that knows who leads: it writes an entry of the true
// leader to all stores, and refuses those of others.
type world struct {
	t     *testing.T
	net   *memnet.Net
	nodes []*node

	mu    sync.Mutex
	truth map[uint16]leadership
	// open are commits that were not told yet, by shard.
	open map[uint16]map[*commit]bool
}

type leadership struct {
	node int
	term uint64
}

type commit struct{ done func(error) }

// node is an engine and what it believes about leaders.
type node struct {
	*engine
	w      *world
	i      int
	disk   *vfs.MemFS
	host   *memnet.Host
	router *route.Router
	mu     sync.Mutex
	table  map[uint16]leadership
	cut    string // an address
}

func newWorld(t *testing.T, nodes int) *world {
	w := &world{t: t, net: memnet.New(memnet.Options{Latency: time.Millisecond}), truth: map[uint16]leadership{}, open: map[uint16]map[*commit]bool{}}
	for i := range nodes {
		w.nodes = append(w.nodes, w.start(i))
	}
	for k := uint16(1); k <= w.shards(); k++ {
		w.elect(k, int(k)%nodes)
		w.learnAll(k)
	}
	return w
}

func (w *world) shards() uint16 { return w.nodes[0].store.Shards() }

func (w *world) start(i int) *node {
	n := &node{w: w, i: i, host: w.net.Host(fmt.Sprint("n", i)), table: map[uint16]leadership{}}
	n.disk = vfs.NewMem()
	n.engine = newEngine(w.t, n.disk, n, func(e *engine, o *Options) {
		var err error
		n.router, err = route.New(route.Options{
			System: e.sys, Shards: e.store.Shards(), ShardOf: e.store.ShardOf, Logger: quiet(),
			Local:   func(k uint16) bool { return e.set.Leads(k) },
			Deliver: func(x *actors.Envelope) { e.set.Route(x) },
			Leader:  n.leader,
			Cut:     func(a string) bool { n.mu.Lock(); defer n.mu.Unlock(); return a == n.cut },
			Relays:  n.others,
		})
		if err != nil {
			w.t.Fatal(err)
		}
		o.Router = n.router
		o.Propose = func(k uint16, term uint64, ms []storage.Mutation, done func(error)) { w.propose(i, k, term, ms, done) }
		o.Confirm = func(k uint16, term uint64, done func(error)) { w.confirm(i, k, term, done) }
		o.Alone = func(uint16, uint64) bool { return false }
	})
	return n
}

func (n *node) leader(k uint16) (string, uint64, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	l, ok := n.table[k]
	if !ok {
		return "", 0, false
	}
	return n.w.net.Host(fmt.Sprint("n", l.node)).Addr(9000), l.term, true
}

// others are where all nodes but this one are.
func (n *node) others(uint16) (addresses []string) {
	for _, x := range n.w.nodes {
		if x != n {
			addresses = append(addresses, x.host.Addr(9000))
		}
	}
	return addresses
}

// learn has a node believe what is true.
func (n *node) learn(k uint16) {
	n.w.mu.Lock()
	l := n.w.truth[k]
	n.w.mu.Unlock()
	n.mu.Lock()
	n.table[k] = l
	n.mu.Unlock()
}

func (w *world) learnAll(k uint16) {
	for _, n := range w.nodes {
		n.learn(k)
	}
}

func (w *world) propose(i int, k uint16, term uint64, ms []storage.Mutation, done func(error)) {
	if term == 0 {
		w.t.Errorf("shard %d of node %d proposes without leadership", k, i)
	}
	w.mu.Lock()
	if w.truth[k] != (leadership{i, term}) {
		w.mu.Unlock()
		done(fmt.Errorf("group %d: %w", k, storage.ErrNotLeader))
		return
	}
	c := &commit{done: done}
	w.open[k][c] = true
	for j, n := range w.nodes {
		told := func(error) {}
		if j == i {
			told = func(err error) { w.tell(k, c, err) }
		}
		n.store.Propose(k, ms, told)
	}
	w.mu.Unlock()
}

// stepDown is how long a deposed leader waits for answers that do not come.
const stepDown = time.Second

// confirm answers the true leader after a moment, others when they give up.
func (w *world) confirm(i int, k uint16, term uint64, done func(error)) {
	w.mu.Lock()
	leads := w.truth[k] == leadership{i, term}
	w.mu.Unlock()
	if leads {
		time.AfterFunc(time.Millisecond, func() { done(nil) })
	} else {
		time.AfterFunc(stepDown, func() { done(storage.ErrNotLeader) })
	}
}

// tell ends a commit, unless it was ended before.
func (w *world) tell(k uint16, c *commit, err error) {
	w.mu.Lock()
	open := w.open[k][c]
	delete(w.open[k], c)
	w.mu.Unlock()
	if open {
		c.done(err)
	}
}

// elect makes a node the leader of a shard. What was under way is written, which
// its leader does not learn. The new leader has applied all of it before it leads.
func (w *world) elect(k uint16, i int) (was leadership) {
	w.mu.Lock()
	was = w.truth[k]
	w.truth[k] = leadership{i, was.term + 1}
	lost := w.open[k]
	w.open[k] = map[*commit]bool{}
	applied := make(chan error, 1)
	w.nodes[i].store.Propose(k, nil, func(err error) { applied <- err })
	w.mu.Unlock()
	for c := range lost {
		c.done(storage.ErrUnknown)
	}
	if err := <-applied; err != nil {
		w.t.Error(err)
	}
	if err := <-w.nodes[i].set.Lead(k, was.term+1); err != nil {
		w.t.Error(err)
	}
	return was
}

// move hands a leadership over in order; all know at once.
func (w *world) move(k uint16, i int) {
	w.mu.Lock()
	from := w.nodes[w.truth[k].node]
	w.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	if err := from.set.Yield(ctx, k); err != nil {
		w.t.Error(err)
	}
	was := w.elect(k, i)
	from.set.Lose(k, was.term)
	w.learnAll(k)
}

// askAt sends a command in at node i and waits for the answer.
func (w *world) askAt(i int, who string, cmd proto.Message) actors.Reply {
	c := make(chan actors.Reply, 1)
	w.nodes[i].router.Route(&actors.Envelope{
		App: "app", User: who, Node: actors.Node{Name: "im", Incarnation: 1}, Command: cmd, Done: func(r actors.Reply) { c <- r },
	})
	return <-c
}

func (w *world) mustAt(i int, who string, cmd proto.Message) actors.Reply {
	w.t.Helper()
	r := w.askAt(i, who, cmd)
	if r.Err != nil {
		w.t.Fatalf("%T of %s: %v", cmd, who, r.Err)
	}
	return r
}

// pushes counts what all vendors got, by push id.
func (w *world) pushes() map[string]int {
	n := map[string]int{}
	for _, x := range w.nodes {
		for _, p := range x.vendor.pushes() {
			n[p.PushID]++
		}
	}
	return n
}

func (w *world) stop() {
	for _, n := range w.nodes {
		n.router.Close()
		n.set.Stop()
		over, cancel := context.WithCancel(context.Background())
		cancel()
		_ = n.lanes.Close(over)
	}
	synctest.Wait()
	for _, n := range w.nodes {
		if err := n.store.Close(); err != nil {
			w.t.Error("store:", err)
		}
		n.sys.Shutdown()
	}
	<-time.After(time.Minute) // timers of the network and of the actor library end
}
