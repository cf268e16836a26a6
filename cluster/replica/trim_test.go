package replica

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rouse-im/rouse/storage"
)

// TestLogIsTrimmed: what all replicas have is cut off all logs, in memory and on
// disk; what one of them lacks is kept by all, and it needs no snapshot.
func TestLogIsTrimmed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bounds := defaultLimits
		bounds.trim = 2 << 10
		w := newWorldOf(t, 3, 1, bounds)
		defer w.end()
		found(t, w.nodes[1], 1)
		w.leader(1)
		w.grow(3, 1)
		l := w.leader(1)
		put := func(from, to int) {
			for i := from; i < to; i++ {
				l.mustPut(1, fmt.Sprint(i))
			}
		}
		short := func(n *node) bool {
			s := n.status(1)
			return s.Last-s.First < 20 && records(t, n, 1) < 20
		}
		put(0, 100)
		w.wait("logs are short everywhere", func() bool {
			return short(w.nodes[1]) && short(w.nodes[2]) && short(w.nodes[3])
		})

		away := 1 + l.id%3
		w.crash(away, 0)
		l = w.leader(1)
		put(100, 200)
		w.pass(time.Second)
		for id, n := range w.nodes {
			if id != away && records(t, n, 1) < 100 {
				t.Errorf("node %d has %d records, though node %d lacks a hundred", id, records(t, n, 1), away)
			}
		}
		// Whoever leads next has them, too.
		if err := l.engine.Transfer(1, 6-l.id-away); err != nil {
			t.Fatal(err)
		}
		w.wait("another leads", func() bool { return w.leader(1) != l })
		w.restart(away)
		w.same(1)
		w.wait("logs are short again", func() bool {
			l = w.leader(1)
			return short(w.nodes[1]) && short(w.nodes[2]) && short(w.nodes[3])
		})
		for _, n := range w.nodes {
			if v := count(t, n.engine.metrics.snapshotReceived); n.id == away && v != 0 {
				t.Errorf("node %d got %v bytes of a snapshot", n.id, v)
			}
		}
	})
}

// TestTrimIsOfTheTerm: a trim of another term, or beyond what is applied, leaves
// the log as it is.
func TestTrimIsOfTheTerm(t *testing.T) {
	bubble(t, 3, func(t *testing.T, w *world) {
		found(t, w.nodes[1], 1)
		w.leader(1)
		w.grow(3, 1)
		l := w.leader(1)
		for i := range 30 {
			l.mustPut(1, fmt.Sprint(i))
		}
		w.same(1)
		n := w.nodes[1+l.id%3]
		before := n.status(1)
		hear := func(tr trim) Status {
			n.engine.Receive(l.id, appendTrim([]byte{frameTrims}, 1, tr))
			w.pass(time.Second)
			return n.status(1)
		}
		for _, term := range []uint64{before.Term - 1, before.Term + 1} {
			if s := hear(trim{term: term, index: before.Applied}); s.First != before.First {
				t.Errorf("a trim of term %d in term %d: the log begins at %d, not %d", term, before.Term, s.First, before.First)
			}
		}
		if s := hear(trim{term: before.Term, index: before.Applied + 9}); s.First != before.Applied || records(t, n, 1) != 1 {
			t.Errorf("a trim beyond the end: the log is %d..%d, %d records", s.First, s.Last, records(t, n, 1))
		}
		l.mustPut(1, "more")
		w.same(1)
	})
}

func TestFramesOfOtherReleases(t *testing.T) {
	bubble(t, 1, func(t *testing.T, w *world) {
		n := w.nodes[1]
		whole := appendTrim([]byte{frameTrims}, storage.MetaShard, trim{term: 300, index: 70_000})
		for i, frame := range [][]byte{{frameTrims + 1}, {frameTrims + 1, 0, 0}, whole[:len(whole)-1], slices.Concat(whole, []byte{0})} {
			n.engine.Receive(2, frame)
			synctest.Wait()
			if c := count(t, n.engine.metrics.malformed); int(c) != i+1 {
				t.Errorf("frame %d: %v are malformed", i, c)
			}
		}
		if ms, ok := n.engine.read(2, whole); !ok || len(ms) != 1 || ms[0] != (message{group: storage.MetaShard, trim: trim{300, 70_000}}) {
			t.Errorf("%v, %v", ms, ok)
		}
	})
}
