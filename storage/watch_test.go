package storage

import (
	"errors"
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/go-cmp/cmp"
)

// TestWatchTellsTheMetaShard: both ways of writing tell all watchers of meta
// entries, in order, when they can be read and before their done.
func TestWatchTellsTheMetaShard(t *testing.T) {
	key := func(name string) []byte { return AppendCatalogueKey(nil, 'a', name) }
	other := set(AppendUserKey(nil, 1, "a", "u"), "v")
	want := []string{"one", "done one", "two", "", "done two", "replaced", "three"}
	batch := func(s *Store, tell func(string)) error {
		b := s.NewBatch()
		err := errors.Join(
			b.Apply(0, AppendEntry(nil, []Mutation{set(key("one"), "v")})), b.Apply(1, AppendEntry(nil, []Mutation{other})), b.Commit(false))
		tell("done one")
		err = errors.Join(err, b.Apply(0, AppendEntry(nil, []Mutation{set(key("two"), "v"), CatalogueRange('b').Delete()})), b.Commit(true))
		tell("done two")
		b.Clear(0)
		return errors.Join(err, b.Apply(0, AppendEntry(nil, []Mutation{set(key("three"), "v")})), b.Commit(true))
	}
	direct := func(s *Store, tell func(string)) error {
		done := func(what string) func(error) {
			return func(err error) { tell("done " + what); _ = err }
		}
		s.Propose(0, []Mutation{set(key("one"), "v")}, done("one"))
		err := put(s, 1, other)
		s.Propose(0, []Mutation{set(key("two"), "v"), CatalogueRange('b').Delete()}, done("two"))
		return errors.Join(err, put(s, 1))
	}
	for name, c := range map[string]struct {
		write func(*Store, func(string)) error
		want  []string
	}{"batch": {batch, want}, "direct": {direct, want[:5]}} {
		t.Run(name, func(t *testing.T) {
			s := openTest(t, vfs.NewMem())
			var got []string
			second := 0
			s.Watch(func(ms []Mutation) {
				if ms == nil {
					got = append(got, "replaced")
				}
				for _, m := range ms {
					if _, err := s.Get(m.Key); m.Op == Set && err != nil {
						t.Errorf("told of %q before it can be read: %v", m.Key, err)
					}
					var parts [1]string
					_, _ = ParseCatalogueKey(m.Key, parts[:])
					got = append(got, parts[0])
				}
			})
			s.Watch(func([]Mutation) { second++ })
			if err := c.write(s, func(what string) { got = append(got, what) }); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
			if second == 0 {
				t.Error("the second watcher was told nothing")
			}
		})
	}
}

func TestWatchKeepsNothingAfterReset(t *testing.T) {
	s := openTest(t, vfs.NewMem())
	told := 0
	s.Watch(func([]Mutation) { told++ })
	b := s.NewBatch()
	if err := b.Apply(0, AppendEntry(nil, []Mutation{set(AppendCatalogueKey(nil, 'a', "x"), "v")})); err != nil {
		t.Fatal(err)
	}
	b.Reset()
	b.SetState(0, HardState, []byte("h"))
	if err := b.Commit(true); err != nil || told != 0 {
		t.Fatal(err, fmt.Sprint(told, " told of a batch that was given up"))
	}
}

// An entry without mutations must not look like a replaced catalogue.
func TestBarrierReplacesNothing(t *testing.T) {
	s := openTest(t, vfs.NewMem())
	var told [][]Mutation
	s.Watch(func(ms []Mutation) { told = append(told, ms) })
	if err := put(s, 0); err != nil {
		t.Fatal(err)
	}
	if len(told) != 1 || told[0] == nil || len(told[0]) != 0 {
		t.Errorf("told %v", told)
	}
}
