package replica

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/rouse-im/rouse/storage"
)

// bubble runs a test with a world of its own.
func bubble(t *testing.T, nodes int, test func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nodes, 1)
		defer w.end()
		test(t, w)
	})
}

func found(t *testing.T, n *node, groups ...uint16) {
	t.Helper()
	if err := n.engine.Found(groups...); err != nil {
		t.Fatal(err)
	}
}

func TestOneNode(t *testing.T) {
	bubble(t, 1, func(t *testing.T, w *world) {
		n := w.nodes[1]
		if err := n.put(1, "early"); !errors.Is(err, storage.ErrNotLeader) {
			t.Errorf("a group that does not exist: %v", err)
		}
		began := time.Now()
		found(t, n, 0, 1, 2)
		found(t, n, 1)
		w.leader(0)
		w.leader(2)
		if took := time.Since(began); took > 0 {
			t.Errorf("led after %v of fake time, want at once", took)
		}
		for i := range 10 {
			n.mustPut(1, fmt.Sprint(i))
			n.mustPut(0, fmt.Sprint(i))
		}
		term, _ := n.engine.Leads(1)
		answer := make(chan error, 1)
		n.engine.Propose(1, term+1, entry(1, "x"), func(err error) { answer <- err })
		if err := <-answer; !errors.Is(err, storage.ErrNotLeader) {
			t.Errorf("another term: %v", err)
		}
		if records(t, n, 1) > 0 {
			t.Error("a sole voter keeps a log on disk")
		}
		if got := n.engine.Groups(); !slices.Equal(got, []uint16{0, 1, 2}) {
			t.Errorf("groups %v", got)
		}
		w.crash(1, 0)
		n = w.restart(1)
		if again := w.leader(1); again != n {
			t.Fatal("not led")
		}
		for i := range 10 {
			if !n.has(1, fmt.Sprint(i)) || !n.has(0, fmt.Sprint(i)) {
				t.Errorf("entry %d is lost", i)
			}
		}
		if again, _ := n.engine.Leads(1); again <= term {
			t.Errorf("term %d after %d", again, term)
		}
	})
}

// records counts the log records of a group on disk.
func records(t *testing.T, n *node, group uint16) (count int) {
	t.Helper()
	if err := n.store.Logs(group, 0, func(uint64, []byte) error { count++; return nil }); err != nil {
		t.Error(err)
	}
	return count
}

func TestGrowAndShrink(t *testing.T) {
	bubble(t, 3, func(t *testing.T, w *world) {
		one := w.nodes[1]
		found(t, one, 0, 1)
		w.leader(1)
		one.mustPut(1, "alone")
		w.grow(3, 0, 1)
		one.mustPut(1, "together")
		w.same(1)
		if !w.nodes[3].has(1, "together") || !w.nodes[3].has(1, "alone") {
			t.Error("a voter lacks an entry")
		}
		if records(t, one, 1) == 0 {
			t.Error("three voters keep no log on disk")
		}
		l := w.leader(1)
		if err := l.change(1, []uint64{l.id}, nil); err != nil {
			t.Fatal(err)
		}
		w.wait("nothing is under way", func() bool { return w.level(1) })
		l.mustPut(1, "alone again")
		if n := records(t, l, 1); n > 0 {
			t.Errorf("%d records of the log are left", n)
		}
		w.crash(l.id, 0)
		w.restart(l.id)
		if n := w.leader(1); n.id != l.id || !n.has(1, "alone again") || !n.has(1, "together") {
			t.Error("lost in the crash")
		}
	})
}

// TestLeaderDies: what was acknowledged is there, and its connection's end starts
// the election.
func TestLeaderDies(t *testing.T) {
	bubble(t, 3, func(t *testing.T, w *world) {
		found(t, w.nodes[1], 1, 2, 3, 4)
		w.leader(4)
		w.grow(3, 1, 2, 3, 4)
		old := w.leader(1)
		old.mustPut(1, "kept")
		began := time.Now()
		w.crash(old.id, 0)
		for g := uint16(1); g <= 4; g++ {
			if w.leader(g) == old {
				t.Errorf("group %d is led by the dead", g)
			}
		}
		if took := time.Since(began); took > 400*time.Millisecond {
			t.Errorf("elected after %v", took)
		}
		n := w.leader(1)
		if !n.has(1, "kept") {
			t.Error("an acknowledged entry is lost")
		}
		n.mustPut(1, "new")
		w.restart(old.id)
		w.same(1)
		if !w.nodes[old.id].has(1, "new") {
			t.Error("the former leader lacks an entry")
		}
	})
}

func TestStaleLeaderCannotCommit(t *testing.T) {
	bubble(t, 3, func(t *testing.T, w *world) {
		found(t, w.nodes[1], 1)
		w.leader(1)
		w.grow(3, 1)
		old := w.leader(1)
		w.isolate(old.id, true)
		answer := make(chan error, 1)
		old.engine.Propose(1, 0, entry(1, "stale"), func(err error) { answer <- err })
		w.wait("another leader", func() bool {
			for _, n := range w.nodes {
				if _, ok := n.engine.Leads(1); ok && n != old {
					return true
				}
			}
			return false
		})
		w.leader(1).mustPut(1, "fresh")
		if err := <-answer; !errors.Is(err, storage.ErrUnknown) {
			t.Errorf("the stale leader's entry ended with %v", err)
		}
		w.isolate(old.id, false)
		w.same(1)
		if w.nodes[old.id].has(1, "stale") || !old.has(1, "fresh") {
			t.Error("the stale entry won")
		}
	})
}

// isolate cuts a node off, or brings it back.
func (w *world) isolate(id uint64, off bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for other := range w.nodes {
		w.cut[[2]uint64{id, other}], w.cut[[2]uint64{other, id}] = off, off
	}
}

func TestTransferAndRemove(t *testing.T) {
	bubble(t, 3, func(t *testing.T, w *world) {
		found(t, w.nodes[1], 1)
		w.leader(1)
		w.grow(3, 1)
		old := w.leader(1)
		to := uint64(1)
		if old.id == 1 {
			to = 2
		}
		if err := old.engine.Transfer(1, to); err != nil {
			t.Fatal(err)
		}
		w.wait("the other leads", func() bool { return w.leader(1).id == to })
		l := w.leader(1)
		if err := l.engine.Transfer(1, 9); err == nil {
			t.Error("to a stranger")
		}
		if err := l.change(1, slices.DeleteFunc([]uint64{1, 2, 3}, func(id uint64) bool { return id == old.id }), nil); err != nil {
			t.Fatal(err)
		}
		w.wait("the removed one knows", func() bool { return !slices.Contains(old.status(1).Voters, old.id) })
		answer := make(chan error, 1)
		l.engine.Remove(1, func(err error) { answer <- err })
		if err := <-answer; !errors.Is(err, storage.ErrBusy) {
			t.Errorf("a leader was removed: %v", err)
		}
		old.engine.Remove(1, func(err error) { answer <- err })
		if err := <-answer; !errors.Is(err, storage.ErrBusy) {
			t.Errorf("removed though a leader was heard, which may count it in by now: %v", err)
		}
		w.wait("it is removed", func() bool {
			old.engine.Remove(1, func(err error) { answer <- err })
			return <-answer == nil
		})
		if len(old.content(1)) > 0 || records(t, old, 1) > 0 || len(old.engine.Groups()) > 0 {
			t.Errorf("groups %v, %d records, content %d bytes", old.engine.Groups(), records(t, old, 1), len(old.content(1)))
		}
		if err := old.engine.Found(1); !errors.Is(err, ErrConfiguration) {
			t.Errorf("a group that lives elsewhere was founded: %v", err)
		}
		w.crash(old.id, 0)
		if old = w.restart(old.id); len(old.engine.Groups()) > 0 {
			t.Errorf("groups %v are back after a restart", old.engine.Groups())
		}
		if err := l.change(1, []uint64{1, 2, 3}, nil); err != nil {
			t.Fatal(err)
		}
		l.mustPut(1, "back")
		w.same(1)
	})
}

// A node that hears nobody keeps its replicas: what it knows of memberships may be
// old, and a leader counts on what a replica has acknowledged.
func TestNothingIsRemovedUnheard(t *testing.T) {
	bubble(t, 3, func(t *testing.T, w *world) {
		for group := range uint16(2) {
			found(t, w.nodes[1], group)
			w.leader(group)
			w.grow(3, group)
		}
		l := w.leader(1)
		gone := w.nodes[l.id%3+1]
		if w.leader(metaGroup) == gone {
			gone = w.nodes[gone.id%3+1]
		}
		if err := l.change(1, slices.DeleteFunc([]uint64{1, 2, 3}, func(id uint64) bool { return id == gone.id }), nil); err != nil {
			t.Fatal(err)
		}
		w.isolate(gone.id, true)
		w.pass(time.Minute)
		answer := make(chan error, 1)
		gone.engine.Remove(1, func(err error) { answer <- err })
		if err := <-answer; !errors.Is(err, storage.ErrBusy) {
			t.Errorf("removed by what may be old: %v", err)
		}
		w.isolate(gone.id, false)
		w.wait("it is removed", func() bool {
			gone.engine.Remove(1, func(err error) { answer <- err })
			return <-answer == nil
		})
	})
}

func TestNodeID(t *testing.T) {
	fs := vfs.NewMem()
	s, err := storage.Open("d", storage.Options{FS: fs})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close() //nolint:errcheck // of a test
	if id := NodeID(s.NodeID()); id == 0 || fmt.Sprintf("%016x", id) != s.NodeID()[:16] {
		t.Errorf("%x of %s", id, s.NodeID())
	}
	if NodeID("not hex") != 0 || NodeID("00") != 0 {
		t.Error("an id of nothing")
	}
}

// TestLeaderDiesAndOneNoticesLater: who campaigns before the others have noticed is
// refused, and does not wait for the turns of all others to try again.
func TestLeaderDiesAndOneNoticesLater(t *testing.T) {
	bubble(t, 3, func(t *testing.T, w *world) {
		groups := []uint16{1, 2, 3, 4}
		found(t, w.nodes[1], groups...)
		w.grow(3, groups...)
		w.pass(time.Second)
		w.mu.Lock()
		for _, id := range []uint64{2, 3} {
			w.cut[[2]uint64{1, id}], w.cut[[2]uint64{id, 1}] = true, true
		}
		w.mu.Unlock()
		w.nodes[2].engine.PeerDown(1)
		w.pass(30 * time.Millisecond)
		w.nodes[3].engine.PeerDown(1)
		noticed := time.Now()
		w.wait("others lead all", func() bool {
			for _, g := range groups {
				_, two := w.nodes[2].engine.Leads(g)
				if _, three := w.nodes[3].engine.Leads(g); !two && !three {
					return false
				}
			}
			return true
		})
		if took := time.Since(noticed); took > 150*time.Millisecond {
			t.Errorf("it took %s", took)
		}
	})
}
