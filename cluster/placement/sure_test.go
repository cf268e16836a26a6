package placement

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/rouse-im/rouse/cluster/roster"
	"github.com/rouse-im/rouse/storage"
)

// A move is called off: the leader tells what the record wants now, as it has told
// for long, and may yet take a step for the former record. So the group is not
// settled before the leader has told the same for a while under the new one.
func TestCalledOffIsNotSettledAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, err := storage.Open("data", storage.Options{FS: vfs.NewMem(), Shards: 1, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		r, err := roster.Open(roster.Options{Store: store, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		write := func(build func(*roster.View) ([]storage.Mutation, error)) {
			t.Helper()
			propose := func(ms []storage.Mutation, done func(error)) { store.Propose(storage.MetaShard, ms, done) }
			if err := r.Update(t.Context(), propose, build); err != nil {
				t.Fatal(err)
			}
		}
		write(func(v *roster.View) ([]storage.Mutation, error) { return v.Found("c1", asks(1, 1), epoch) })
		const group = 1
		p := NewPlanner(PlannerOptions{
			Roster: r, Rules: DefaultRules(), DiskLow: func(uint64) bool { return false }, Deaf: func(uint64) bool { return false },
			Observe: func(context.Context, []uint16) map[uint16]Observed {
				return map[uint16]Observed{group: {Conf: Configuration{Voters: []uint64{1}}, Leader: 1, Term: 1}}
			},
		})
		now := epoch
		settles := func(after time.Duration) bool {
			now = now.Add(after)
			v := r.View()
			p.observe(t.Context(), v, now)
			return Plan(p.state(v, now), p.Rules, now)[group].Settled
		}
		want := func(record roster.Placement) {
			t.Helper()
			write(func(*roster.View) ([]storage.Mutation, error) {
				return roster.Place(map[uint16]roster.Placement{group: record})
			})
		}
		want(roster.Placement{Voters: []uint64{1}, Learners: []uint64{2}, Leader: 1})
		for range 10 {
			if settles(time.Second) {
				t.Error("settled without its learner")
			}
		}
		want(roster.Placement{Voters: []uint64{1}, Leader: 1})
		if settles(busyEvery) || settles(sureAfter-busyEvery) {
			t.Error("settled at once")
		}
		if !settles(busyEvery) {
			t.Error("not settled after a while")
		}
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
}
