package replica

import (
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	dto "github.com/prometheus/client_model/go"

	"github.com/rouse-im/rouse/internal/failpoint"
	"github.com/rouse-im/rouse/storage"
)

// behind is a world in which node 3 has missed more than the others' logs hold:
// n entries with values of some kilobytes, and deletions of what it has.
func behind(t *testing.T, n int, test func(t *testing.T, w *world, lead *node)) {
	t.Helper()
	bubble(t, 0, func(t *testing.T, w *world) {
		w.limits = limits{entries: 50, bytes: 1 << 20, trailingEntries: 20, trailingBytes: 1 << 20, most: 64 << 20, alone: 1 << 10}
		for id := uint64(1); id <= 3; id++ {
			w.start(id, vfs.NewCrashableMem())
		}
		found(t, w.nodes[1], 1)
		w.leader(1)
		for i := range 20 {
			w.nodes[1].mustPut(1, fmt.Sprint("early ", i))
		}
		w.grow(3, 1)
		w.pass(time.Second) // forget the snapshots of growing
		w.away(3, true)
		lead := w.leader(1)
		lead.fill(n)
		w.wait("the log is cut", func() bool { return lead.status(1).First > w.nodes[3].status(1).Last+1 })
		for _, p := range lead.status(1).Peers {
			if p.Snapshot != (p.ID == 3) {
				t.Errorf("node %d needs a snapshot: %v, though node 3 does alone", p.ID, p.Snapshot)
			}
		}
		test(t, w, lead)
	})
}

// away cuts a node off with its connections for bulk data, or brings it back.
func (w *world) away(id uint64, off bool) {
	w.isolate(id, off)
	for other := range w.nodes {
		w.sever(id, other)
		w.sever(other, id)
	}
}

// fill writes n entries of several families, and deletes early ones.
func (n *node) fill(count int) {
	n.w.t.Helper()
	rng := rand.New(rand.NewPCG(uint64(count), 9))
	var wait sync.WaitGroup
	for i := range count {
		value := make([]byte, 4<<10+rng.IntN(32<<10))
		for j := range value {
			value[j] = byte(rng.Uint32())
		}
		who := fmt.Sprint("fill ", i)
		ms := []storage.Mutation{
			{Op: storage.Set, Key: name(1, who), Value: value},
			{Op: storage.Set, Key: storage.AppendOutboxKey(nil, storage.OutboxKey{Shard: 1, DueMilli: uint64(i), App: "app", User: who, Message: "m"}), Value: []byte(who)},
			{Op: storage.Set, Key: storage.AppendTraceKey(nil, storage.TraceKey{Shard: 1, Day: 3, App: "app", User: who, Message: "m"}), Value: nil},
			{Op: storage.Delete, Key: name(1, fmt.Sprint("early ", i))},
		}
		wait.Add(1)
		n.engine.Propose(1, 0, ms, func(err error) {
			defer wait.Done()
			if err != nil {
				n.w.t.Error(err)
			}
		})
		if i%20 == 19 {
			wait.Wait()
		}
	}
	wait.Wait()
}

func count(t *testing.T, c interface{ Write(*dto.Metric) error }) float64 {
	t.Helper()
	var m dto.Metric
	if err := c.Write(&m); err != nil {
		t.Fatal(err)
	}
	if m.Gauge != nil {
		return m.Gauge.GetValue()
	}
	return m.Counter.GetValue()
}

// arrives checks that node 3 gets all, and by a snapshot.
func (w *world) arrives(t *testing.T) {
	t.Helper()
	w.same(1)
	n := w.nodes[3]
	if got := count(t, n.engine.metrics.receiving); got != 0 {
		t.Errorf("%v groups arrive still", got)
	}
	if n.has(1, "early 3") {
		t.Error("a deleted key is there")
	}
	if count(t, n.engine.metrics.snapshotReceived) == 0 {
		t.Error("nothing came whole")
	}
}

// TestSnapshotUnderLoad: a follower that missed what the log has lost gets all
// keys while others are written.
func TestSnapshotUnderLoad(t *testing.T) {
	behind(t, 150, func(t *testing.T, w *world, lead *node) {
		before, sent := w.nodes[3].content(1), count(t, lead.engine.metrics.snapshots)
		w.away(3, false)
		for i := range 300 {
			lead.mustPut(1, fmt.Sprint("during ", i))
		}
		w.arrives(t)
		if !w.nodes[3].has(1, "during 299") || len(before) >= len(w.nodes[3].content(1)) {
			t.Error("the load did not arrive")
		}
		if got := count(t, lead.engine.metrics.snapshots) - sent; got != 1 {
			t.Errorf("%v snapshots sent, want 1", got)
		}
		w.crash(3, 0)
		w.restart(3)
		w.same(1)
	})
}

// TestBrokenStreamGoesOn: what had arrived before the connection broke is not
// sent again, and a changed byte is a broken connection.
func TestBrokenStreamGoesOn(t *testing.T) {
	for _, corrupt := range []bool{false, true} {
		t.Run(fmt.Sprint("corrupt=", corrupt), func(t *testing.T) {
			behind(t, 150, func(t *testing.T, w *world, lead *node) {
				size := len(lead.content(1))
				cuts := 0
				w.bulk.wrap = func(_, _ uint64, c net.Conn) net.Conn {
					if cuts++; cuts > 3 {
						return c
					}
					return &cutter{Conn: c, left: 900_000, corrupt: corrupt}
				}
				w.away(3, false)
				w.arrives(t)
				if got := count(t, w.nodes[3].engine.metrics.resumed); got != 3 {
					t.Errorf("went on %v times, want 3", got)
				}
				if cuts != 4 {
					t.Errorf("%d connections, want 4", cuts)
				}
				sent := count(t, lead.engine.metrics.snapshotSent)
				if most := float64(size + 4*400_000); sent > most {
					t.Errorf("sent %v bytes of a group that has less than %d", sent, size)
				}
			})
		})
	}
}

// TestCutBeforeTheFirstKey: the header is there, and no key.
func TestCutBeforeTheFirstKey(t *testing.T) {
	behind(t, 80, func(t *testing.T, w *world, _ *node) {
		cuts := 0
		w.bulk.wrap = func(_, _ uint64, c net.Conn) net.Conn {
			if cuts++; cuts > 20 {
				return c
			}
			return &cutter{Conn: c, left: 10 * cuts}
		}
		w.away(3, false)
		w.arrives(t)
	})
}

// TestStreamIsGivenUp: when the connection stays broken both ends let go of what
// they have, and it starts anew later.
func TestStreamIsGivenUp(t *testing.T) {
	behind(t, 150, func(t *testing.T, w *world, lead *node) {
		w.bulk.wrap = func(_, _ uint64, c net.Conn) net.Conn { return &cutter{Conn: c, left: 900_000} }
		w.away(3, false)
		w.wait("something has arrived", func() bool { return w.nodes[3].status(1).Receiving != nil })
		if s := w.nodes[3].status(1).Receiving; s.Peer != lead.id {
			t.Errorf("arrives from %d", s.Peer)
		}
		w.away(3, true)
		w.pass(2*resumeFor + time.Second)
		if s := lead.status(1); len(s.Sending) > 0 {
			t.Errorf("still sends %+v", s.Sending)
		}
		if s := w.nodes[3].status(1); s.Receiving != nil {
			t.Errorf("still receives %+v", s.Receiving)
		}
		w.bulk.wrap = nil
		w.away(3, false)
		w.arrives(t)
	})
}

// TestReceiverCrashes cuts the power of the receiver at each step.
func TestReceiverCrashes(t *testing.T) {
	for _, at := range []string{"snapshot/admitted", "snapshot/chunk", "snapshot/complete", "snapshot/install", "snapshot/installed"} {
		for _, percent := range []int{0, 50} {
			t.Run(fmt.Sprint(at, " kept=", percent), func(t *testing.T) {
				behind(t, 80, func(t *testing.T, w *world, lead *node) {
					n := w.nodes[3]
					crashed := make(chan *vfs.MemFS, 1)
					rng := rand.New(rand.NewPCG(1, 1))
					var once sync.Once
					failpoint.Set(func(name string) {
						if name == at {
							once.Do(func() {
								w.mu.Lock()
								n.down = true
								w.mu.Unlock()
								w.sever(lead.id, 3)
								crashed <- n.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rng})
							})
						}
					})
					defer failpoint.Set(nil)
					w.away(3, false)
					disk := <-crashed
					w.close(n)
					for _, other := range []uint64{1, 2} {
						w.nodes[other].engine.PeerDown(3)
					}
					w.start(3, disk)
					lead.mustPut(1, "after the crash")
					w.same(1)
					if !w.nodes[3].has(1, "after the crash") || w.nodes[3].has(1, "early 3") {
						t.Error("the restarted node is not where the others are")
					}
				})
			})
		}
	}
}

// setSpeed makes a node copy at that speed from now on.
func (n *node) setSpeed(perSecond float64) {
	t := n.engine.traffic
	t.mu.Lock()
	defer t.mu.Unlock()
	t.speed = newSpeed(perSecond)
	t.limit()
}

// TestSenderLosesLeadership in the middle: the next leader sends it anew.
func TestSenderLosesLeadership(t *testing.T) {
	behind(t, 150, func(t *testing.T, w *world, lead *node) {
		for _, n := range w.nodes {
			n.setSpeed(leastSnapshotRate)
		}
		w.away(3, false)
		w.wait("a good part has arrived", func() bool {
			s := w.nodes[3].status(1).Receiving
			return s != nil && s.Bytes > 1<<19
		})
		next := uint64(3 - lead.id) // of 1 and 2 the other one
		if err := lead.engine.Transfer(1, next); err != nil {
			t.Fatal(err)
		}
		w.wait("another leader", func() bool { _, ok := w.nodes[next].engine.Leads(1); return ok })
		for _, n := range w.nodes {
			n.setSpeed(defaultSnapshotRate)
		}
		w.arrives(t)
		if got := count(t, w.nodes[next].engine.metrics.snapshots); got == 0 {
			t.Error("the next leader sent nothing")
		}
	})
}

// TestSenderDies in the middle.
func TestSenderDies(t *testing.T) {
	behind(t, 150, func(t *testing.T, w *world, lead *node) {
		lead.setSpeed(leastSnapshotRate)
		w.away(3, false)
		w.wait("something has arrived", func() bool {
			s := w.nodes[3].status(1).Receiving
			return s != nil && s.Bytes > 0
		})
		w.crash(lead.id, 0)
		w.arrives(t)
	})
}

// TestEngineClosesWhileGroupsMove: nothing keeps it, and nothing is left behind.
func TestEngineClosesWhileGroupsMove(t *testing.T) {
	behind(t, 150, func(t *testing.T, w *world, lead *node) {
		for _, n := range w.nodes {
			n.setSpeed(leastSnapshotRate)
		}
		w.away(3, false)
		w.wait("something has arrived", func() bool {
			s := w.nodes[3].status(1).Receiving
			return s != nil && s.Bytes > 0
		})
		if s := lead.status(1).Sending; len(s) != 1 || s[0].Peer != 3 || s[0].Keys == 0 {
			t.Errorf("sending %+v", s)
		}
		began := time.Now()
		w.crash(3, 100) // closes the engine and the store
		if took := time.Since(began); took > time.Second {
			t.Errorf("closing took %v", took)
		}
		w.restart(3)
		lead.setSpeed(defaultSnapshotRate)
		w.arrives(t)
	})
}

// TestManyGroupsMove: a node that has nothing gets all groups, two at a time.
func TestManyGroupsMove(t *testing.T) {
	groups := []uint16{0, 1, 2, 3, 4}
	bubble(t, 3, func(t *testing.T, w *world) {
		found(t, w.nodes[1], groups...)
		for _, g := range groups {
			w.leader(g)
			for i := range 40 {
				w.nodes[1].mustPut(g, fmt.Sprint(i))
			}
		}
		most := 0
		w.bulk.wrap = func(_, to uint64, c net.Conn) net.Conn {
			tr := w.nodes[to].engine.traffic
			tr.mu.Lock()
			most = max(most, len(tr.arriving))
			tr.mu.Unlock()
			return c
		}
		for _, g := range groups {
			w.nodes[1].engine.Change(g, Configuration{Voters: []uint64{1}, Learners: []uint64{2, 3}}, func(err error) {
				if err != nil {
					t.Error(err)
				}
			})
		}
		w.wait("learners have all", func() bool {
			for _, g := range groups {
				if !w.nodes[1].caughtUp(g) || len(w.nodes[1].status(g).Learners) != 2 {
					return false
				}
			}
			return true
		})
		for _, g := range groups {
			w.same(g)
		}
		if most > lanes {
			t.Errorf("%d groups arrived at once", most)
		}
		for id := uint64(2); id <= 3; id++ {
			n := w.nodes[id]
			n.mu.Lock()
			if len(n.seen) > 40 {
				t.Errorf("watchers of node %d saw %d entries after a snapshot", id, len(n.seen))
			}
			n.mu.Unlock()
		}
	})
}
