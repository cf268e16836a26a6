package shard

import (
	"bytes"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/rouse-im/rouse/actors"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/storage"
)

// erasure is ann's, numbered, and where its answer comes.
func erasureOf(op uint64) (*actors.Envelope, <-chan actors.Reply) {
	answered := make(chan actors.Reply, 1)
	return &actors.Envelope{App: "app", User: "ann", Command: &rousev1.EraseUserRequest{UserId: "ann"}, Op: op, Done: func(r actors.Reply) { answered <- r }}, answered
}

// eraseAt erases ann by way of node i; 0 has the router number it.
func (w *world) eraseAt(i int, op uint64) {
	w.t.Helper()
	m, answered := erasureOf(op)
	w.nodes[i].router.Route(m)
	if r := <-answered; r.Err != nil || r.Response == nil {
		w.t.Fatalf("%+v", r)
	}
}

// A user who came back after he was erased is not erased by a late repeat, whoever
// leads by then, and by whatever way it comes; a new erasure is carried out.
func TestErasureComesLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 3)
		k := w.nodes[0].store.ShardOf("app", "ann")
		w.move(k, 1)
		w.mustAt(0, "ann", bindRequest("ann", "aa"))
		bound := func(when string, want int) {
			t.Helper()
			r := w.mustAt(2, "ann", &rousev1.ListDevicesRequest{UserId: "ann"})
			if n := len(r.Response.(*rousev1.ListDevicesResponse).GetDevices()); n != want {
				t.Errorf("%d devices %s, want %d", n, when, want)
			}
		}
		w.eraseAt(0, 42)
		bound("after the erasure", 0)
		w.mustAt(2, "ann", bindRequest("ann", "bb"))
		<-time.After(5 * time.Second)
		w.eraseAt(0, 42)
		bound("after a late repeat", 1)
		w.move(k, 2)
		w.eraseAt(2, 42)
		bound("after a late repeat at the next leader", 1)
		w.move(k, 0)
		w.move(k, 1)
		w.eraseAt(2, 42)
		bound("after a late repeat under a later leadership", 1)
		w.eraseAt(0, 0)
		bound("after a new erasure", 0)
		w.stop()
	})
}

// Only an erasure is answered as one that was carried out, whatever numbers IM nodes
// give to their events.
func TestErasureIsOfItsKind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.mustAt(0, "ann", bindRequest("ann", "aa"))
		w.eraseAt(0, 42)
		answered := make(chan actors.Reply, 1)
		w.nodes[0].router.Route(&actors.Envelope{
			App: "app", User: "ann", Command: bindRequest("ann", "bb"), Op: 42, Done: func(r actors.Reply) { answered <- r },
		})
		if r := <-answered; r.Err != nil {
			t.Fatalf("%+v", r)
		}
		r := w.mustAt(0, "ann", &rousev1.ListDevicesRequest{UserId: "ann"})
		if n := len(r.Response.(*rousev1.ListDevicesResponse).GetDevices()); n != 1 {
			t.Errorf("%d devices after a bind, want 1", n)
		}
		w.stop()
	})
}

// numbered tells how many erasures a store knows.
func (e *engine) numbered(shard uint16) int {
	b, err := e.store.Get(storage.Erasures(shard).Lo)
	if errors.Is(err, storage.ErrNotFound) {
		return 0
	}
	known, fault := decodeErasures(b, time.Time{})
	if err = errors.Join(err, fault); err != nil {
		e.t.Fatal(err)
	}
	return len(known)
}

// Numbers of erasures are bounded, and leave the stores when none can come again,
// however long a leadership that was not the first has known them.
func TestErasuresAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2)
		k := w.nodes[0].store.ShardOf("app", "ann")
		w.move(k, 0)
		stored := func(when string, want int) {
			t.Helper()
			synctest.Wait()
			for i, n := range w.nodes {
				if got := n.numbered(k); got != want {
					t.Errorf("%s: node %d has %d numbers, want %d", when, i, got, want)
				}
			}
		}
		for range maxErasures + 36 {
			w.eraseAt(0, 0)
		}
		stored("after many", maxErasures)
		<-time.After(erasuresFor * 3 / 4)
		w.move(k, 1)
		<-time.After(erasuresFor * 3 / 4)
		stored("under the second leadership", maxErasures)
		w.eraseAt(0, 7)
		stored("after one more", maxErasures)
		<-time.After(erasuresFor / 2)
		stored("when only that one is known", 1)
		<-time.After(erasuresFor)
		stored("in the end", 0)
		w.stop()
	})
}

// The number of an erasure whose commit failed is not known, and while its fate is
// open no repeat is told that it was carried out.
func TestErasureThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := startEngine(t, vfs.NewMem(), nil)
		e.bind("ann", "phone", "aa")
		synctest.Wait()
		var end func(error)
		e.hold(func(_ uint16, _ []storage.Mutation, done func(error)) { end = done })
		first, answered := erasureOf(42)
		e.set.Route(first)
		synctest.Wait()
		again, answeredAgain := erasureOf(42)
		e.set.Route(again)
		synctest.Wait()
		if len(answered)+len(answeredAgain) > 0 {
			t.Error("answered before the commit")
		}
		e.held.Store(nil)
		end(storage.ErrBusy)
		for _, c := range []<-chan actors.Reply{answered, answeredAgain} {
			if r := <-c; !r.Err.GetTemporary() {
				t.Errorf("%+v", r)
			}
		}
		third, answered := erasureOf(42)
		e.set.Route(third)
		if r := <-answered; r.Err != nil {
			t.Errorf("%+v", r)
		}
		r := e.must("ann", &rousev1.ListDevicesRequest{UserId: "ann"})
		if n := len(r.Response.(*rousev1.ListDevicesResponse).GetDevices()); n != 0 {
			t.Errorf("%d devices after the erasure", n)
		}
		e.stop()
	})
}

// A shard whose record of erasures is of a newer release serves, and writes it anew.
func TestErasuresOfANewerRelease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := vfs.NewMem()
		e := startEngine(t, fs, nil)
		k := shardOf(e, "ann")
		planted := make(chan error, 1)
		e.store.Propose(k, []storage.Mutation{{Op: storage.Set, Key: storage.Erasures(k).Lo, Value: []byte{erasuresVersion + 1, 7}}}, func(err error) { planted <- err })
		if err := <-planted; err != nil {
			t.Fatal(err)
		}
		e.stop()
		e = startEngine(t, fs, nil)
		e.bind("ann", "phone", "aa")
		m, answered := erasureOf(42)
		e.set.Route(m)
		if r := <-answered; r.Err != nil || e.numbered(k) != 1 {
			t.Errorf("%+v, %d numbers", r, e.numbered(k))
		}
		e.stop()
	})
}

func FuzzErasures(f *testing.F) {
	f.Add(erasures{{op: 1}, {op: 1<<64 - 1}}.encode(nil))
	f.Add([]byte{erasuresVersion})
	f.Fuzz(func(t *testing.T, b []byte) {
		if e, err := decodeErasures(b, time.Time{}); err == nil && (len(e) > maxErasures || !bytes.Equal(e.encode(nil), b)) {
			t.Errorf("%x came back as %x", b, e.encode(nil))
		}
	})
}
