package replica

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/rouse-im/rouse/storage"
)

// world is a cluster in one bubble of fake time: nodes 1, 2, 3, ... on disks in
// memory, and a carrier of frames that can be cut, slowed down and made to lose.
type world struct {
	t       *testing.T
	rng     *rand.Rand
	losses  *rand.Rand // guarded by mu
	latency time.Duration
	lossy   bool // disks are made to lose what was synced
	options func(*Options)
	limits  limits

	mu    sync.Mutex
	nodes map[uint64]*node
	cut   map[[2]uint64]bool // from, to
	loss  int                // frames lost of 100
	links map[[2]uint64]*wire
	count map[[2]uint64]int // frames sent
	bulk  bulk
}

type node struct {
	w      *world
	id     uint64
	fs     *vfs.MemFS
	store  *storage.Store
	engine *Engine
	down   bool

	mu   sync.Mutex
	led  map[uint16]uint64 // by Lead and Lose
	seen []string          // of the meta group
	died error
}

type wire struct{ frames chan sent }

type sent struct {
	at    time.Time
	frame []byte
}

const testShards = 4

func newWorld(t *testing.T, nodes int, seed uint64) *world {
	return newWorldOf(t, nodes, seed, defaultLimits)
}

func newWorldOf(t *testing.T, nodes int, seed uint64, bounds limits) *world {
	w := &world{
		t: t, rng: rand.New(rand.NewPCG(seed, 1)), losses: rand.New(rand.NewPCG(seed, 2)), latency: time.Millisecond, limits: bounds,
		nodes: map[uint64]*node{}, cut: map[[2]uint64]bool{}, links: map[[2]uint64]*wire{}, count: map[[2]uint64]int{},
	}
	for id := uint64(1); id <= uint64(nodes); id++ {
		w.start(id, vfs.NewCrashableMem())
	}
	return w
}

func testLog() *slog.Logger {
	if os.Getenv("REPLICA_LOG") != "" {
		return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	return slog.New(slog.DiscardHandler)
}

// start opens a node on its disk.
func (w *world) start(id uint64, fs *vfs.MemFS) *node {
	w.t.Helper()
	n := w.startOn(id, fs)
	n.fs = fs
	return n
}

func (w *world) startOn(id uint64, fs vfs.FS) *node {
	w.t.Helper()
	s, err := storage.Open("data/store", storage.Options{
		FS: fs, CacheBytes: 1 << 20, MemTableBytes: 1 << 20, Shards: testShards, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	n := &node{w: w, id: id, store: s, led: map[uint16]uint64{}}
	s.Watch(n.watch)
	o := Options{
		ID: id, Store: s, Send: func(to uint64, frame []byte) error { return w.send(id, to, frame) },
		Open: func(_ context.Context, to uint64) (net.Conn, error) { return w.open(id, to) },
		Lead: n.lead, Lose: n.lose, Logger: testLog().With("node", id),
		Fatal: func(err error) { n.mu.Lock(); n.died = err; n.mu.Unlock() },
	}
	if w.options != nil {
		w.options(&o)
	}
	if n.engine, err = open(o, w.limits); err != nil {
		w.t.Fatal(err)
	}
	w.mu.Lock()
	w.nodes[id] = n
	w.mu.Unlock()
	return n
}

func (n *node) lead(group uint16, term uint64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.led[group] != 0 {
		n.w.t.Errorf("node %d leads group %d twice", n.id, group)
	}
	n.led[group] = term
}

func (n *node) lose(group uint16, term uint64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.led[group] != term {
		n.w.t.Errorf("node %d loses group %d in term %d, led in %d", n.id, group, term, n.led[group])
	}
	n.led[group] = 0
}

func (n *node) watch(ms []storage.Mutation) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if ms == nil {
		n.seen = nil
	}
	for _, m := range ms {
		n.seen = append(n.seen, string(m.Key))
	}
}

func (w *world) send(from, to uint64, frame []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	src, dst := w.nodes[from], w.nodes[to]
	if src == nil || dst == nil || dst.down || src.down {
		return errors.New("down")
	}
	if w.cut[[2]uint64{from, to}] || w.losses.IntN(100) < w.loss {
		return nil
	}
	key := [2]uint64{from, to}
	w.count[key]++
	l := w.links[key]
	if l == nil {
		l = &wire{frames: make(chan sent, 1<<16)}
		w.links[key] = l
		go w.carry(from, to, l)
	}
	select {
	case l.frames <- sent{time.Now().Add(w.latency), frame}:
	default:
	}
	return nil
}

func (w *world) carry(from, to uint64, l *wire) {
	for s := range l.frames {
		<-time.After(time.Until(s.at))
		w.mu.Lock()
		n := w.nodes[to]
		lost := n.down || w.nodes[from].down || w.cut[[2]uint64{from, to}]
		w.mu.Unlock()
		if !lost {
			n.engine.Receive(from, s.frame)
		}
	}
}

// crash cuts the power of a node. percent of what was not synced is kept.
func (w *world) crash(id uint64, percent int) {
	n := w.nodes[id]
	w.mu.Lock()
	n.down = true
	after := n.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: w.rng})
	w.mu.Unlock()
	w.close(n)
	n.fs = after
	for other, o := range w.nodes {
		if other != id && !o.down {
			o.engine.PeerDown(id)
		}
	}
}

func (w *world) restart(id uint64) *node { return w.start(id, w.nodes[id].fs) }

func (w *world) close(n *node) {
	err := n.engine.Close()
	n.mu.Lock()
	died := n.died
	n.mu.Unlock()
	if all, _ := n.engine.Losses(); all > 0 && !w.lossy {
		w.t.Errorf("node %d says to have lost entries of %d groups", n.id, all)
	}
	if died != nil && err == nil || died == nil && err != nil {
		w.t.Errorf("node %d: close %v, died %v", n.id, err, died)
	}
	if err := n.store.Close(); err != nil {
		w.t.Error(err)
	}
}

// end closes all that is open.
func (w *world) end() {
	for _, id := range slices.Sorted(maps.Keys(w.nodes)) {
		if n := w.nodes[id]; !n.down {
			w.mu.Lock()
			n.down = true
			w.mu.Unlock()
			w.close(n)
		}
	}
	w.mu.Lock()
	for _, l := range w.links {
		close(l.frames)
	}
	w.mu.Unlock()
	w.pass(time.Minute) // what is under way arrives
}

// wait lets fake time pass until cond holds.
func (w *world) wait(what string, cond func() bool) {
	w.t.Helper()
	for range 3000 {
		synctest.Wait()
		if cond() {
			return
		}
		<-time.After(10 * time.Millisecond)
	}
	for _, n := range w.nodes {
		if !n.down {
			for _, g := range n.engine.Groups() {
				s, err := n.engine.Status(g)
				w.t.Logf("node %d: %+v %v", n.id, s, err)
			}
		}
	}
	w.t.Fatalf("in 30 s of fake time not: %s", what)
}

// pass lets fake time pass.
func (w *world) pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// leader waits for the node that leads the group, of those that are up.
func (w *world) leader(group uint16) (lead *node) {
	w.t.Helper()
	w.wait(fmt.Sprintf("a leader of group %d", group), func() bool {
		lead = nil
		top := uint64(0)
		for _, n := range w.nodes {
			if n.down {
				continue
			}
			if term, ok := n.engine.Leads(group); ok && term > top {
				lead, top = n, term
			}
		}
		return lead != nil
	})
	return lead
}

// name is the key of a test's entry.
func name(group uint16, what string) []byte {
	if group == storage.MetaShard {
		return storage.AppendCatalogueKey(nil, 'z', what)
	}
	return storage.AppendUserKey(nil, group, "app", what)
}

func entry(group uint16, what string) []storage.Mutation {
	return []storage.Mutation{{Op: storage.Set, Key: name(group, what), Value: []byte(what)}}
}

// put proposes an entry and waits for its end.
func (n *node) put(group uint16, what string) error {
	answer := make(chan error, 1)
	n.engine.Propose(group, 0, entry(group, what), func(err error) { answer <- err })
	return n.w.answer(answer)
}

// answer fails the test instead of waiting for ever: ticks let fake time go on.
func (w *world) answer(c <-chan error) error {
	select {
	case err := <-c:
		return err
	case <-time.After(5 * time.Minute):
		w.t.Fatal("no answer in 5 min of fake time")
		return nil
	}
}

func (n *node) mustPut(group uint16, what string) {
	n.w.t.Helper()
	if err := n.put(group, what); err != nil {
		n.w.t.Fatalf("node %d, group %d, %s: %v", n.id, group, what, err)
	}
}

func (n *node) has(group uint16, what string) bool {
	v, err := n.store.Get(name(group, what))
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		n.w.t.Error(err)
	}
	return err == nil && string(v) == what
}

// change brings a configuration about.
func (n *node) change(group uint16, voters, learners []uint64) error {
	answer := make(chan error, 1)
	n.engine.Change(group, Configuration{voters, learners}, func(err error) { answer <- err })
	return n.w.answer(answer)
}

func (n *node) status(group uint16) Status {
	n.w.t.Helper()
	s, err := n.engine.Status(group)
	if err != nil {
		n.w.t.Error(err)
	}
	return s
}

// grow makes voters of nodes 1..n of the groups that node 1 founded.
func (w *world) grow(n int, groups ...uint16) {
	w.t.Helper()
	var all []uint64
	for id := uint64(1); id <= uint64(n); id++ {
		all = append(all, id)
	}
	for _, g := range groups {
		l := w.leader(g)
		if err := l.change(g, []uint64{1}, all[1:]); err != nil {
			w.t.Fatal(err)
		}
		w.wait("learners have the log", func() bool { return l.caughtUp(g) })
		if err := l.change(g, all, nil); err != nil {
			w.t.Fatal(err)
		}
	}
	w.wait("the last configuration is everywhere", func() bool { return w.level(groups...) })
}

func (n *node) caughtUp(group uint16) bool {
	s := n.status(group)
	for _, p := range s.Peers {
		if p.Match < s.Commit {
			return false
		}
	}
	return len(s.Peers) > 0
}

// level reports whether all replicas have applied the same.
func (w *world) level(groups ...uint16) bool {
	for _, g := range groups {
		top := w.leader(g).status(g)
		for _, id := range slices.Concat(top.Voters, top.Learners) {
			if n := w.nodes[id]; !n.down {
				if s, err := n.engine.Status(g); err != nil || s.Applied != top.Commit {
					return false
				}
			}
		}
	}
	return true
}

// content is all that a node holds of a group.
func (n *node) content(group uint16) []byte {
	var all bytes.Buffer
	for _, r := range storage.ShardRanges(group) {
		if err := n.store.Scan(r, func(k, v []byte) bool { fmt.Fprintf(&all, "%q=%q\n", k, v); return true }); err != nil {
			n.w.t.Error(err)
		}
	}
	return all.Bytes()
}

// same checks that all members of the group hold the same, once they are level.
func (w *world) same(group uint16) {
	w.t.Helper()
	w.wait("replicas are level", func() bool { return w.level(group) })
	top := w.leader(group)
	s := top.status(group)
	want := top.content(group)
	for _, id := range slices.Concat(s.Voters, s.Learners) {
		if n := w.nodes[id]; !n.down && !bytes.Equal(n.content(group), want) {
			w.t.Errorf("group %d differs on nodes %d and %d", group, top.id, id)
		}
	}
}
