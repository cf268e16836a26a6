package roster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"google.golang.org/protobuf/testing/protocmp"
	"pgregory.net/rapid"

	actorv1 "github.com/rouse-im/rouse/api/rouse/actor/v1"
	"github.com/rouse-im/rouse/storage"
)

func TestFounding(t *testing.T) {
	w := newWorld(t)
	if v := w.View(); v.Cluster() != "" || len(v.Members()) != 0 {
		t.Fatalf("an empty store has the cluster %q", v.Cluster())
	}
	wants(t, w.admit(asks(2)), ErrNotFounded)
	w.do(func(v *View) ([]storage.Mutation, error) { return v.Found(clusterID, asks(1), now) })
	v := w.View()
	if v.Cluster() != clusterID || len(v.Members()) != 1 || v.Members()[0].GetAdmittedAtMs() != now.UnixMilli() {
		t.Errorf("founded: %v", v.Members())
	}
	want := Placement{Voters: []uint64{1}, Leader: 1, Settled: true}
	if got := v.Placements(); len(got) != 3 || !maps.EqualFunc(got, map[uint16]Placement{0: want, 1: want, 2: want}, func(a, b Placement) bool { return cmp.Equal(a, b) }) {
		t.Errorf("placements: %v", got)
	}
	wants(t, w.try(func(v *View) ([]storage.Mutation, error) { return v.Found(NewCluster(), asks(1), now) }), ErrFounded)
	other := newWorld(t)
	stranger := asks(1)
	stranger.Node = 2
	wants(t, other.try(func(v *View) ([]storage.Mutation, error) { return v.Found(clusterID, stranger, now) }), ErrInvalid)
}

func TestClusterIDsDiffer(t *testing.T) {
	a, b := NewCluster(), NewCluster()
	if a == b || len(a) != 32 {
		t.Errorf("%q, %q", a, b)
	}
}

// A view that was given out does not change, and a new one is announced once.
func TestViewsAreFixed(t *testing.T) {
	w := founded(t)
	changed := w.Changed()
	before := w.View()
	for n := range uint64(3) {
		if err := w.admit(asks(n + 2)); err != nil {
			t.Fatal(err)
		}
	}
	if len(before.Members()) != 1 || len(w.View().Members()) != 4 {
		t.Errorf("before %d, now %d members", len(before.Members()), len(w.View().Members()))
	}
	if len(changed) != 1 {
		t.Errorf("%d announcements wait", len(changed))
	}
	<-changed
	w.apply([]storage.Mutation{{Op: storage.Set, Key: storage.AppendCatalogueKey(nil, 'a', "app"), Value: nil}})
	if len(changed) != 0 {
		t.Error("another's record was announced")
	}
}

func TestFind(t *testing.T) {
	w := founded(t)
	hex := asks(2)
	hex.Name = NodeID(1) // a name like an id of another node
	twin := asks(3)
	twin.Name = "node-1"
	w.dead[1] = true
	for _, a := range []*actorv1.Admit{hex, twin} {
		if err := w.admit(a); err != nil {
			t.Fatal(err)
		}
	}
	v := w.View()
	if m, err := v.Find(NodeID(1)); err != nil || m.GetNode() != 1 {
		t.Errorf("an id goes before a name: %v, %v", m, err)
	}
	_, err := v.Find("node-1")
	wants(t, err, ErrAmbiguous)
	_, err = v.Find("node-9")
	wants(t, err, ErrNotMember)
	if m, err := v.Find(NodeID(3)); err != nil || m.GetName() != "node-1" {
		t.Error(m, err)
	}
}

// Whatever entries do to the records, the view is that of a fresh read.
func TestViewIsWhatIsStored(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := founded(t)
		for range rapid.IntRange(1, 20).Draw(rt, "entries") {
			var ms []storage.Mutation
			for range rapid.IntRange(1, 4).Draw(rt, "mutations") {
				ms = append(ms, drawMutation(rt))
			}
			w.do(func(*View) ([]storage.Mutation, error) { return ms, nil })
		}
		fresh, err := Open(w.Options)
		if err != nil {
			rt.Fatal(err)
		}
		got, want := w.View(), fresh.View()
		if d := cmp.Diff(want.members, got.members, protocmp.Transform(), cmpopts.EquateEmpty()); d != "" {
			rt.Fatal(d)
		}
		if d := cmp.Diff(want.placements, got.placements, cmpopts.EquateEmpty()); d != "" {
			rt.Fatal(d)
		}
		if d := cmp.Diff(want.present, got.present, protocmp.Transform()); d != "" || want.removed != got.removed || want.cluster != got.cluster || want.rebalances != got.rebalances {
			rt.Fatalf("%s %+v %+v", d, want, got)
		}
	})
}

func drawMutation(rt *rapid.T) storage.Mutation {
	node := rapid.Uint64Range(1, 4).Draw(rt, "node")
	group := rapid.Uint16Range(0, 3).Draw(rt, "group")
	set, err := setMember(&actorv1.Member{Node: node, Name: fmt.Sprint(rapid.IntRange(0, 9).Draw(rt, "name")), RemovedAtMs: int64(rapid.IntRange(0, 1).Draw(rt, "removed"))})
	place, err2 := Placement{Voters: []uint64{node}, Settled: rapid.Bool().Draw(rt, "settled")}.Set(group)
	if err != nil || err2 != nil {
		rt.Fatal(err, err2)
	}
	kind := rapid.SampledFrom([]byte{'a', kindMember, kindPlacement, kindCluster, kindRebalances}).Draw(rt, "kind")
	return rapid.SampledFrom([]storage.Mutation{
		set, place, (&View{rebalances: node}).Rebalance()[0],
		{Op: storage.Delete, Key: memberKey(node)},
		{Op: storage.Delete, Key: placementKey(group)},
		{Op: storage.Delete, Key: rebalancesKey()},
		storage.CatalogueRange(kind).Delete(),
		{Op: storage.DeleteRange, Key: memberKey(node), Value: storage.CatalogueRange(kindMember).Hi},
		{Op: storage.Set, Key: clusterKey(), Value: []byte(clusterID)},
	}).Draw(rt, "mutation")
}

func TestBadRecords(t *testing.T) {
	w := founded(t)
	log := &bytes.Buffer{}
	w.Logger = slog.New(slog.NewTextHandler(log, nil))
	before := w.View()
	w.do(func(*View) ([]storage.Mutation, error) {
		return []storage.Mutation{
			{Op: storage.Set, Key: memberKey(1), Value: []byte{0xff}},
			{Op: storage.Set, Key: storage.AppendCatalogueKey(nil, kindPlacement, "70000"), Value: nil},
			{Op: storage.Set, Key: rebalancesKey(), Value: []byte{1}},
		}, nil
	})
	if w.View() != before || bytes.Count(log.Bytes(), []byte("cannot be read")) != 3 {
		t.Errorf("log: %s", log)
	}
	if _, err := Open(w.Options); err == nil {
		t.Error("a store with records that cannot be read was opened")
	}
}

// A snapshot replaces all records at once.
func TestReplaced(t *testing.T) {
	w, other := founded(t), newWorld(t)
	before := w.View()
	w.Store = other.Store // as if it was what came with a snapshot
	w.apply(nil)
	if v := w.View(); v == before || v.Cluster() != "" || len(v.Members()) != 0 {
		t.Errorf("after a snapshot: %q", v.Cluster())
	}
}

// Changes take turns: each sees those before it, also when their callers are
// gone.
func TestUpdatesTakeTurns(t *testing.T) {
	w := founded(t)
	held := make(chan func(error), 1)
	ctx, cancel := context.WithCancel(context.Background())
	hold := func(ms []storage.Mutation, done func(error)) {
		cancel()
		held <- func(err error) { w.apply(ms); done(err) }
	}
	wants(t, w.Update(ctx, hold, func(v *View) ([]storage.Mutation, error) { return v.Rebalance(), nil }), context.Canceled)
	if len(w.turn) != 1 {
		t.Error("the turn was over before its change was written")
	}
	(<-held)(nil)
	w.do(func(v *View) ([]storage.Mutation, error) {
		if v.Rebalances() != 1 {
			t.Errorf("%d orders seen", v.Rebalances())
		}
		return v.Rebalance(), nil
	})
	if n := w.View().Rebalances(); n != 2 {
		t.Errorf("%d orders", n)
	}
	refused := errors.New("not the leader")
	wants(t, w.Update(context.Background(), func(_ []storage.Mutation, done func(error)) { done(refused) },
		func(v *View) ([]storage.Mutation, error) { return v.Rebalance(), nil }), refused)
	w.do(func(*View) ([]storage.Mutation, error) { return nil, nil })
}

func TestDrainAndRemove(t *testing.T) {
	w := founded(t)
	wants(t, w.try(func(v *View) ([]storage.Mutation, error) { return v.Remove(1) }), ErrLast)
	if err := w.admit(asks(2)); err != nil {
		t.Fatal(err)
	}
	order := func(f func(*View, uint64) ([]storage.Mutation, error), node uint64) error {
		return w.try(func(v *View) ([]storage.Mutation, error) { return f(v, node) })
	}
	for _, step := range []struct {
		do                func(*View, uint64) ([]storage.Mutation, error)
		node              uint64
		want              error
		draining, leaving bool
	}{
		{(*View).Drain, 9, ErrNotMember, false, false},
		{(*View).Drain, 2, nil, true, false},
		{(*View).Drain, 2, nil, true, false},
		{(*View).Undrain, 2, nil, false, false},
		{(*View).Drain, 2, nil, true, false},
		{(*View).Remove, 2, nil, true, true},
		{(*View).Remove, 2, nil, true, true},
		{(*View).Undrain, 2, ErrLeaving, true, true},
		{(*View).Remove, 1, ErrLast, true, true},
	} {
		wants(t, order(step.do, step.node), step.want)
		if m, ok := w.View().Member(2); !ok || m.GetDraining() != step.draining || m.GetLeaving() != step.leaving {
			t.Fatalf("%+v: %v", step, m)
		}
	}
}

func TestForget(t *testing.T) {
	w := founded(t)
	if err := w.admit(asks(2)); err != nil {
		t.Fatal(err)
	}
	forget := func(v *View) ([]storage.Mutation, error) { return v.Forget(2, now) }
	place := func(p Placement) {
		w.do(func(*View) ([]storage.Mutation, error) { return Place(map[uint16]Placement{1: p}) })
	}
	wants(t, w.try(forget), ErrInUse) // it does not leave
	w.do(func(v *View) ([]storage.Mutation, error) { return v.Remove(2) })
	place(Placement{Voters: []uint64{1}, Learners: []uint64{2}, Settled: true})
	wants(t, w.try(forget), ErrInUse)
	place(Placement{Voters: []uint64{1}, Leader: 1})
	wants(t, w.try(forget), ErrInUse) // not yet carried out
	place(Placement{Voters: []uint64{1}, Leader: 1, Settled: true})
	w.do(forget)
	if _, ok := w.View().Member(2); ok || !w.View().Removed(2) || len(w.View().Members()) != 1 {
		t.Error("it is still a member")
	}
	wants(t, w.admit(asks(2)), ErrRemoved)
	again := asks(2)
	again.Cluster = clusterID
	wants(t, w.admit(again), ErrRemoved)
}

func TestRemovedNodesAreBounded(t *testing.T) {
	v := draft{View: View{cluster: clusterID}}
	v.setMember(&actorv1.Member{Node: 1})
	for n := range uint64(MaxRemoved) {
		v.setMember(&actorv1.Member{Node: n + 10, RemovedAtMs: int64(n) + 5})
	}
	v.setMember(&actorv1.Member{Node: 2, Leaving: true})
	v.sort()
	ms, err := v.Forget(2, now)
	if err != nil || len(ms) != 2 || ms[1].Op != storage.Delete || !slices.Equal(ms[1].Key, memberKey(10)) {
		t.Errorf("%v, %v", ms, err)
	}
}

func TestUpdateEndsWithItsContext(t *testing.T) {
	w := founded(t)
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	cancel()
	w.turn <- struct{}{} // another's turn that does not end
	wants(t, w.Update(ctx, w.propose, func(v *View) ([]storage.Mutation, error) { return v.Rebalance(), nil }), context.Canceled)
}
