package replica

import (
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// TestReplicaThatLost: a follower that comes back without what it had acknowledged
// is given the whole group, though nobody writes, and is no reason for a storm of
// frames. What else its disk has lost it is given, too.
func TestReplicaThatLost(t *testing.T) {
	lossy(t, 3, func(t *testing.T, w *world) {
		found(t, w.nodes[1], 0, 1, 2)
		w.leader(2)
		w.grow(3, 0, 1, 2)
		l := w.leader(1)
		gone := w.others(l.id)[0]
		l.putMany(1, "kept", 10)
		w.same(1)
		old := w.nodes[gone].copied()
		spoil(t, old, name(1, "kept3"))
		l.putMany(1, "lost", 10)
		w.same(1)
		term := l.status(1).Term
		n := w.restored(gone, old)
		before := w.frames(l.id, gone)
		w.wait("the loss is found out", func() bool { all, _ := n.engine.Losses(); return all == 1 })
		if s := n.status(1); s.Lacks <= s.Last {
			t.Errorf("%+v", s)
		}
		w.wait("the replica is whole", func() bool { return n.status(1).Lacks == 0 })
		w.same(1)
		n.wantMany(1, "kept", 10)
		n.wantMany(1, "lost", 10)
		if all, left := n.engine.Losses(); all != 1 || left != 0 || w.renounced() != 1 {
			t.Errorf("%d losses, %d left, %d leaderships ended", all, left, w.renounced())
		}
		if s := w.leader(1).status(1); s.Term <= term || w.leader(1) == l {
			t.Errorf("%+v after term %d of %d", s, term, l.id)
		}
		if sent := w.frames(l.id, gone) - before; sent > 200 {
			t.Errorf("%d frames until it was mended", sent)
		}
	})
}

// TestLoserIsNotTheHeir: a leader that still takes the replica for whole cannot make
// it lead, and no term is spent on that.
func TestLoserIsNotTheHeir(t *testing.T) {
	lossy(t, 3, func(t *testing.T, w *world) {
		found(t, w.nodes[1], 1)
		w.leader(1)
		w.grow(3, 1)
		l := w.leader(1)
		gone := w.others(l.id)[0]
		old := w.nodes[gone].copied()
		l.putMany(1, "lost", 10)
		w.same(1)
		term := l.status(1).Term
		n := w.restored(gone, old)
		w.wait("the loss is found out", func() bool { all, _ := n.engine.Losses(); return all == 1 })
		if err := l.engine.Transfer(1, gone); err != nil {
			t.Fatal(err)
		}
		w.pass(500 * time.Millisecond)
		if s := n.status(1); s.Term != term || s.Leader != l.id {
			t.Errorf("%+v after term %d of %d", s, term, l.id)
		}
	})
}

// TestLoserVotesForNobodyWithLess: of three nodes one dies that had an entry, one has
// lost it and one never had it. The two that are left rather wait than go on without,
// also when the one that lost it is restarted.
func TestLoserVotesForNobodyWithLess(t *testing.T) {
	for _, again := range []bool{false, true} {
		t.Run(fmt.Sprint("restarted=", again), func(t *testing.T) {
			lossy(t, 3, func(t *testing.T, w *world) {
				found(t, w.nodes[1], 1)
				w.leader(1)
				w.grow(3, 1)
				l := w.leader(1)
				gone, third := w.others(l.id)[0], w.others(l.id)[1]
				w.isolate(third, true)
				old := w.nodes[gone].copied()
				l.putMany(1, "lost", 10)
				n := w.restored(gone, old)
				w.wait("the loss is found out", func() bool { all, _ := n.engine.Losses(); return all == 1 })
				w.crash(l.id, 100)
				if again {
					w.crash(gone, 0)
					if lacks := lacksOnDisk(t, n.fs, gone); lacks < 10 {
						t.Errorf("whoever recovers this disk is told that it lacks entries up to %d", lacks)
					}
					n = w.restart(gone)
				}
				w.isolate(third, false)
				for range 600 {
					w.pass(100 * time.Millisecond)
					for _, id := range []uint64{gone, third} {
						if term, leads := w.nodes[id].engine.Leads(1); leads {
							t.Fatalf("node %d leads in term %d without what was acknowledged", id, term)
						}
					}
				}
				w.restart(l.id)
				w.same(1)
				for _, n := range w.nodes {
					n.wantMany(1, "lost", 10)
				}
				if all, left := n.engine.Losses(); all != 1 || left != 0 {
					t.Errorf("%d losses, %d left", all, left)
				}
			})
		})
	}
}

// TestLossOfMost: when both followers have lost what they acknowledged, the leader
// leads again and gives it to them.
func TestLossOfMost(t *testing.T) {
	lossy(t, 3, func(t *testing.T, w *world) {
		found(t, w.nodes[1], 1)
		w.leader(1)
		w.grow(3, 1)
		l := w.leader(1)
		others := w.others(l.id)
		olds := []*vfs.MemFS{w.nodes[others[0]].copied(), w.nodes[others[1]].copied()}
		l.putMany(1, "lost", 10)
		w.same(1)
		for i, id := range others {
			w.restored(id, olds[i])
		}
		w.wait("both are whole", func() bool {
			return !slices.ContainsFunc(others, func(id uint64) bool {
				all, left := w.nodes[id].engine.Losses()
				return all != 1 || left != 0
			})
		})
		w.leader(1).mustPut(1, "after")
		w.same(1)
		for _, n := range w.nodes {
			n.wantMany(1, "lost", 10)
		}
	})
}

// TestReplicaThatIsGone: a replica that is missing altogether is made anew. Nothing
// tells whether that was in order.
func TestReplicaThatIsGone(t *testing.T) {
	bubble(t, 3, func(t *testing.T, w *world) {
		found(t, w.nodes[1], 1)
		w.leader(1)
		w.grow(3, 1)
		l := w.leader(1)
		l.putMany(1, "lost", 10)
		w.same(1)
		n := w.nodes[w.others(l.id)[0]]
		gone := make(chan error, 1)
		if err := n.engine.ask(func() error {
			n.engine.loop.remove(n.engine.group(1), func(err error) { gone <- err })
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if err := w.answer(gone); err != nil {
			t.Fatal(err)
		}
		w.wait("it is there again", func() bool {
			s, err := n.engine.Status(1)
			return err == nil && s.Lacks == 0 && s.Last > 0
		})
		w.same(1)
		if w.renounced() != 1 {
			t.Errorf("%d leaderships ended", w.renounced())
		}
	})
}

// TestDiskThatLies: a disk has said that it had synced what is gone after a power cut.
func TestDiskThatLies(t *testing.T) {
	lossy(t, 2, func(t *testing.T, w *world) {
		var lies atomic.Bool
		disk := vfs.NewCrashableMem()
		w.startOn(3, lyingFS{disk, &lies}).fs = disk
		found(t, w.nodes[1], 1, 2, 3)
		w.leader(3)
		w.grow(3, 1, 2, 3)
		for g := uint16(1); g <= 3; g++ {
			l := w.leader(g)
			l.putMany(g, "kept", 5)
			if l.id == 3 {
				if err := l.engine.Transfer(g, 1); err != nil {
					t.Fatal(err)
				}
				w.wait("another leads", func() bool { return w.leader(g).id != 3 })
			}
			w.same(g)
		}
		lies.Store(true)
		for g := uint16(1); g <= 3; g++ {
			w.leader(g).putMany(g, "lost", 10)
			w.same(g)
		}
		w.crash(3, 0)
		lies.Store(false)
		n := w.restart(3)
		w.wait("the replicas are whole", func() bool { all, left := n.engine.Losses(); return all == 3 && left == 0 })
		for g := uint16(1); g <= 3; g++ {
			w.same(g)
			n.wantMany(g, "kept", 5)
			n.wantMany(g, "lost", 10)
		}
	})
}

// TestLossesAtRandom: one node after the other comes back on an older copy of its
// disk, while entries are proposed and leaderships change. Nothing acknowledged is
// lost as long as the others are spared until it is whole.
func TestLossesAtRandom(t *testing.T) {
	seeds := 10
	if testing.Short() {
		seeds = 3
	}
	for seed := 1; seed <= seeds; seed++ {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				bounds := limits{entries: 60, bytes: 1 << 20, trailingEntries: 20, trailingBytes: 1 << 19, most: 2 << 20, alone: 8 << 10, trim: 1 << 10}
				c := &chaos{
					world: newWorldOf(t, 4, uint64(seed), bounds), t: t, groups: []uint16{0, 1, 2},
					acked: map[uint16]map[string]bool{}, ended: map[string]int{},
				}
				c.lossy = true
				defer c.end()
				found(t, c.nodes[1], c.groups...)
				for _, g := range c.groups {
					c.acked[g] = map[string]bool{}
					c.leader(g)
				}
				c.grow(3, c.groups...)
				for _, g := range c.groups {
					if err := c.leader(g).change(g, []uint64{1, 2, 3}, []uint64{4}); err != nil {
						t.Fatal(err)
					}
				}
				losses := 0
				for range 8 {
					losses += c.loseSome()
				}
				c.heal()
				c.check()
				if losses == 0 {
					t.Error("nothing was lost: the test tests nothing")
				}
			})
		})
	}
}

// loseSome restores a node, and returns how many of its replicas noticed.
func (c *chaos) loseSome() int {
	id := uint64(1 + c.rng.IntN(4))
	if c.rng.IntN(2) == 0 {
		c.loss, c.latency = c.rng.IntN(2)*5, time.Duration(1+c.rng.IntN(20))*time.Millisecond
	}
	old := c.nodes[id].copied()
	c.propose(1 + c.rng.IntN(100))
	c.pass(time.Duration(c.rng.IntN(1000)) * time.Millisecond)
	c.crash(id, 100)
	for _, g := range c.groups {
		c.leader(g) // elected by those who have lost nothing
	}
	c.nodes[id].fs = old
	n := c.restart(id)
	for range c.rng.IntN(30) {
		c.propose(c.rng.IntN(10))
		c.pass(time.Duration(c.rng.IntN(100)) * time.Millisecond)
		if c.rng.IntN(10) == 0 {
			_ = c.leader(c.groups[c.rng.IntN(3)]).engine.Transfer(c.groups[c.rng.IntN(3)], uint64(1+c.rng.IntN(3)))
		}
	}
	c.reconnect()
	c.wait("the replicas are whole", func() bool { _, left := n.engine.Losses(); return left == 0 && c.level(c.groups...) })
	all, _ := n.engine.Losses()
	return all
}
