package replica

import (
	"fmt"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/rouse-im/rouse/storage"
)

// TestSurviveAlone: of three nodes the one that is left goes on with all that
// it has, entries that it had not applied among them, and leads at once.
func TestSurviveAlone(t *testing.T) {
	bubble(t, 3, func(t *testing.T, w *world) {
		found(t, w.nodes[1], 0, 1, 2)
		for g := range uint16(3) {
			w.leader(g)
		}
		w.grow(3, 0, 1)
		lead := w.leader(1)
		for i := range 20 {
			lead.mustPut(1, fmt.Sprint("acknowledged ", i))
		}
		last := uint64(1) // a follower, if node 1 leads
		if lead.id == 1 {
			last = 2
		}
		w.same(1)
		for id := uint64(1); id <= 3; id++ {
			w.crash(id, 0)
		}
		survive(t, w, last)
		n := w.restart(last)
		w.leader(1)
		n.mustPut(1, "alone")
		for i := range 20 {
			if what := fmt.Sprint("acknowledged ", i); !n.has(1, what) {
				t.Errorf("%s is lost", what)
			}
		}
		if s := n.status(1); !slices.Equal(s.Voters, []uint64{last}) || !s.Leads {
			t.Errorf("%+v", s)
		}
	})
}

// survive recovers a node's disk, twice, as after a crash in between.
func survive(t *testing.T, w *world, id uint64) {
	t.Helper()
	fs := w.nodes[id].fs
	for range 2 {
		s, err := storage.Open("data/store", storage.Options{FS: fs, Logger: testLog()})
		if err != nil {
			t.Fatal(err)
		}
		all, err := Survivors(s, id)
		if err != nil || len(all) < 2 {
			t.Fatalf("%+v, %v", all, err)
		}
		for _, g := range all {
			if g.Learner || g.Last < g.Applied {
				t.Errorf("%+v", g)
			}
			if err := Survive(s, g.Group, id); err != nil {
				t.Fatal(err)
			}
		}
		after, err := Survivors(s, id)
		for i, g := range after {
			if err != nil || g.Applied != all[i].Last || g.Last != all[i].Last || !slices.Equal(g.Voters, []uint64{id}) {
				t.Errorf("%+v after %+v, %v", g, all[i], err)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestSurviveAppliesTheLog: what is in the log and not in the state comes in,
// and a change of the configuration in it does not.
func TestSurviveAppliesTheLog(t *testing.T) {
	fs := vfs.NewMem()
	s, err := storage.Open("data/store", storage.Options{FS: fs, Shards: testShards, Logger: testLog()})
	if err != nil {
		t.Fatal(err)
	}
	b := s.NewBatch()
	b.SetState(1, storage.HardState, hardState{term: 5, vote: 7, commit: 11}.append(nil))
	b.SetState(1, storage.AppliedState, position{10, 4}.append(nil))
	b.SetState(1, storage.TruncatedState, position{9, 4}.append(nil))
	data := func(what string) []byte { return storage.AppendEntry(nil, entry(1, what)) }
	for index, record := range map[uint64][]byte{
		10: append([]byte{0, 4}, data("applied before")...),
		11: append([]byte{0, 5}, data("committed")...),
		12: append([]byte{2, 5}, "a change of the configuration"...),
		13: append([]byte{0, 5}, data("in the log")...),
	} {
		b.SetLog(1, index, record)
	}
	if err := b.Commit(true); err != nil {
		t.Fatal(err)
	}
	all, err := Survivors(s, 7)
	if err != nil || len(all) != 1 || all[0].Applied != 10 || all[0].Last != 13 {
		t.Fatalf("%+v, %v", all, err)
	}
	if err := Survive(s, 1, 7); err != nil {
		t.Fatal(err)
	}
	for what, want := range map[string]bool{"applied before": false, "committed": true, "in the log": true} {
		if _, err := s.Get(name(1, what)); (err == nil) != want {
			t.Errorf("%s: %v", what, err)
		}
	}
	hard, err := s.State(1, storage.HardState)
	if h, fault := readHardState(hard); err != nil || fault != nil || h != (hardState{term: 6, commit: 13}) {
		t.Errorf("hard state %+v, %v, %v", h, err, fault)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
