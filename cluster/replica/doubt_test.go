package replica

import (
	"fmt"
	"testing"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"
)

// TestLossHasNoThird: with the third node away, a leader and the replica that lost go
// on with each other as soon as that has the group again.
func TestLossHasNoThird(t *testing.T) {
	lossy(t, 3, func(t *testing.T, w *world) {
		found(t, w.nodes[1], 1)
		w.leader(1)
		w.grow(3, 1)
		l := w.leader(1)
		gone, third := w.others(l.id)[0], w.others(l.id)[1]
		w.crash(third, 100)
		old := w.nodes[gone].copied()
		l.putMany(1, "lost", 10)
		n := w.restored(gone, old)
		w.wait("the replica is whole", func() bool { all, left := n.engine.Losses(); return all == 1 && left == 0 })
		w.leader(1).mustPut(1, "after")
		n.wantMany(1, "lost", 10)
		w.restart(third)
		w.same(1)
	})
}

// TestHeirOutOfReach: a leader that reaches no other voter but the one that lost ends
// its term nevertheless.
func TestHeirOutOfReach(t *testing.T) {
	lossy(t, 3, func(t *testing.T, w *world) {
		found(t, w.nodes[1], 1)
		w.leader(1)
		w.grow(3, 1)
		l := w.leader(1)
		gone, third := w.others(l.id)[0], w.others(l.id)[1]
		old := w.nodes[gone].copied()
		l.putMany(1, "lost", 10)
		w.same(1)
		n := w.restored(gone, old)
		w.wait("the third is about to lead", func() (ripe bool) {
			_ = l.engine.ask(func() error {
				d := l.engine.group(1).doubts[gone]
				ripe = d != nil && d.age == l.engine.o.Election-1
				return nil
			})
			return ripe
		})
		w.mu.Lock()
		w.cut[[2]uint64{l.id, third}] = true
		w.mu.Unlock()
		w.wait("the replica is whole", func() bool { return n.status(1).Lacks == 0 })
		n.wantMany(1, "lost", 10)
	})
}

// TestLossOfALearner: who leads alone goes on, and its learner is given all again.
func TestLossOfALearner(t *testing.T) {
	lossy(t, 2, func(t *testing.T, w *world) {
		one := w.nodes[1]
		found(t, one, 1)
		w.leader(1)
		if err := one.change(1, []uint64{1}, []uint64{2}); err != nil {
			t.Fatal(err)
		}
		w.same(1)
		old := w.nodes[2].copied()
		one.putMany(1, "lost", 10)
		w.same(1)
		n := w.restored(2, old)
		var led []string
		last, gap := time.Now(), time.Duration(0)
		w.wait("the learner is whole", func() bool {
			what := fmt.Sprint("meanwhile", len(led))
			if err := one.put(1, what); err == nil {
				led = append(led, what)
				gap, last = max(gap, time.Since(last)), time.Now()
			}
			return w.renounced() > 0 && n.status(1).Lacks == 0
		})
		if term, leads := one.engine.Leads(1); !leads || gap > 100*time.Millisecond {
			t.Errorf("term %d, leads: %v; nothing was taken for %v", term, leads, gap)
		}
		for _, what := range led {
			if !one.has(1, what) {
				t.Errorf("%s was acknowledged and is not there", what)
			}
		}
		w.same(1)
		n.wantMany(1, "lost", 10)
	})
}

// TestOldRejections: words from before an acknowledgement, late or twice, end nothing.
func TestOldRejections(t *testing.T) {
	bubble(t, 3, func(t *testing.T, w *world) {
		found(t, w.nodes[1], 1)
		w.leader(1)
		w.grow(3, 1)
		l := w.leader(1)
		l.putMany(1, "a", 10)
		w.same(1)
		term, from := l.status(1).Term, w.others(l.id)[0]
		for i := range 100 {
			l.engine.Receive(from, appendMessage([]byte{frameMessages}, 1, &pb.Message{
				Type: pb.MsgAppResp.Enum(), Term: &term, Index: new(uint64(3 + i%10)), Reject: new(true), RejectHint: new(uint64(i % 3)),
			}))
			w.pass(50 * time.Millisecond)
			if i%10 == 9 {
				l.mustPut(1, fmt.Sprint("b", i))
			}
		}
		for range 5 { // nobody writes, so that nothing is acknowledged
			l.engine.Receive(from, appendMessage([]byte{frameMessages}, 1, &pb.Message{
				Type: pb.MsgAppResp.Enum(), Term: &term, Index: new(uint64(3)), Reject: new(true), RejectHint: new(uint64(2)),
			}))
			w.pass(50 * time.Millisecond)
		}
		w.pass(5 * time.Second)
		if w.renounced() > 0 || l.status(1).Term != term {
			t.Errorf("%d leaderships ended, term %d after %d", w.renounced(), l.status(1).Term, term)
		}
	})
}
