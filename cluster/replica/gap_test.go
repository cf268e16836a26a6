package replica

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

// standStill makes the node's loop find that its last tick is long ago.
func (n *node) standStill(d time.Duration) { n.engine.beat.Add(-int64(d)) }

// A leader that stood still is not sure of it until the voters have answered.
func TestStandstill(t *testing.T) {
	bubble(t, 3, func(t *testing.T, w *world) {
		l, term := three(t, w, 1)
		if !l.engine.Sure(1) {
			t.Error("a leader is not sure")
		}
		l.standStill(500 * time.Millisecond) // shorter than an election takes
		<-time.After(150 * time.Millisecond)
		if !l.engine.Sure(1) {
			t.Error("a short pause makes unsure")
		}
		w.isolate(l.id, true)
		l.standStill(5 * time.Second)
		if l.engine.Sure(1) {
			t.Error("sure before it has looked at the clock")
		}
		<-time.After(250 * time.Millisecond)
		if _, leads := l.engine.Leads(1); !leads || l.engine.Sure(1) {
			t.Errorf("it leads: %v; sure without an answer of the voters: %v", leads, l.engine.Sure(1))
		}
		w.isolate(l.id, false)
		w.wait("sure again", func() bool { return l.engine.Sure(1) })
		if now, _ := l.engine.Leads(1); now != term {
			t.Errorf("the leadership of term %d ended, now %d", term, now)
		}
		if stood, lost := testutil.ToFloat64(l.engine.metrics.stood), testutil.ToFloat64(l.engine.metrics.lost); stood != 1 || lost != 0 {
			t.Errorf("it stood still %v times and lost %v leaderships, want 1 and 0", stood, lost)
		}
	})
}

// Others lead by the time it wakes up.
func TestStandstillOfAFormerLeader(t *testing.T) {
	bubble(t, 3, func(t *testing.T, w *world) {
		l, _ := three(t, w, 1)
		w.isolate(l.id, true)
		w.wait("another leader", func() bool { return w.leader(1) != l })
		l.standStill(5 * time.Second)
		w.isolate(l.id, false)
		w.wait("it knows", func() bool { _, leads := l.engine.Leads(1); return !leads })
		if l.engine.Sure(1) {
			t.Error("it is sure to lead what it does not lead")
		}
		now := w.leader(1)
		if !now.engine.Sure(1) {
			t.Error("the new leader is not sure")
		}
		if got := testutil.ToFloat64(l.engine.metrics.lost); got != 1 {
			t.Errorf("it counts %v leaderships that it lost, want 1", got)
		}
		if err := now.engine.Transfer(1, l.id); err != nil {
			t.Fatal(err)
		}
		w.wait("it leads again", func() bool { _, leads := l.engine.Leads(1); return leads })
		w.wait("the other knows", func() bool { _, leads := now.engine.Leads(1); return !leads })
		if got := testutil.ToFloat64(now.engine.metrics.lost); got != 0 {
			t.Errorf("handing over counts as %v lost", got)
		}
	})
}

// A node that is alone has nobody to ask.
func TestStandstillAlone(t *testing.T) {
	bubble(t, 1, func(t *testing.T, w *world) {
		found(t, w.nodes[1], 1)
		l := w.leader(1)
		l.standStill(time.Hour)
		if !l.engine.Sure(1) {
			t.Error("not sure")
		}
	})
}
