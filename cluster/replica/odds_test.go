package replica

import (
	"strings"
	"testing"
	"time"
)

// TestCopyFromBeforeTheOthers: a node comes back on its directory of the time when it
// was alone. Where it leads beside another leader of the same term it ends.
func TestCopyFromBeforeTheOthers(t *testing.T) {
	lossy(t, 3, func(t *testing.T, w *world) {
		found(t, w.nodes[1], 1)
		w.leader(1)
		old := w.nodes[1].copied()
		w.grow(3, 1)
		w.leader(1).putMany(1, "kept", 10)
		w.same(1)
		w.crash(1, 100)
		l := w.leader(1)
		w.nodes[1].fs = old
		n := w.restart(1)
		w.wait("the node ends", func() bool {
			n.mu.Lock()
			defer n.mu.Unlock()
			return n.died != nil
		})
		if w.crash(1, 100); !strings.Contains(n.died.Error(), "empty one") {
			t.Error(n.died)
		}
		l.mustPut(1, "after")
	})
}

// TestAtOdds: a replica with another history than the leader's says so and is left
// alone. No leadership ends for it, and no storm of frames begins.
func TestAtOdds(t *testing.T) {
	lossy(t, 3, func(t *testing.T, w *world) {
		found(t, w.nodes[1], 1)
		w.leader(1)
		old := w.nodes[1].copied()
		w.grow(3, 1)
		w.leader(1).putMany(1, "kept", 10)
		w.same(1)
		w.crash(1, 100)
		w.nodes[1].fs = old
		other := w.leader(1)
		for range 2 { // terms in which nobody knows of node 1
			if err := other.engine.Transfer(1, 5-other.id); err != nil {
				t.Fatal(err)
			}
			w.wait("the other leads", func() bool { return w.leader(1).id == 5-other.id })
			other = w.leader(1)
		}
		w.isolate(1, true)
		n, term := w.restart(1), other.status(1).Term
		w.wait("it leads alone", func() bool { _, leads := n.engine.Leads(1); return leads })
		n.putMany(1, "alone", 7)
		w.isolate(1, false)
		w.wait("it says so", func() bool { all, left := n.engine.Losses(); return all == 1 && left == 1 })
		before := w.frames(1, other.id)
		w.pass(20 * time.Second)
		other.mustPut(1, "after")
		w.pass(time.Second)
		if s := other.status(1); s.Term != term || !s.Leads || w.renounced() > 0 {
			t.Errorf("%+v after term %d, %d leaderships ended", s, term, w.renounced())
		}
		if sent := w.frames(1, other.id) - before; sent > 500 {
			t.Errorf("%d frames in 20 s", sent)
		}
		if all, left := n.engine.Losses(); all != 1 || left != 1 || n.has(1, "after") {
			t.Errorf("%d losses, %d left", all, left)
		}
	})
}
