package steward

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	actorv1 "github.com/rouse-im/rouse/api/rouse/actor/v1"
	"github.com/rouse-im/rouse/cluster/roster"
	"github.com/rouse-im/rouse/storage"
)

var now = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

// newOrders is a founded cluster of node 1 with two shards, which leads.
func newOrders(t testing.TB) *Orders {
	t.Helper()
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	quiet := slog.New(slog.DiscardHandler)
	store, err := storage.Open("data", storage.Options{FS: vfs.NewMem(), Logger: quiet})
	ok(err)
	t.Cleanup(func() { _ = store.Close() })
	r, err := roster.Open(roster.Options{Store: store, Logger: quiet})
	ok(err)
	o := &Orders{
		Roster: r, Logger: quiet, Leads: func() (uint64, bool) { return 1, true },
		Propose: func(_ uint64, ms []storage.Mutation, done func(error)) {
			store.Propose(storage.MetaShard, ms, done)
		},
		Preview: func(time.Time) map[uint16]roster.Placement { return nil },
		Led:     func(context.Context) map[uint16]uint64 { return nil },
		Terms: func(time.Time) roster.Terms {
			return roster.Terms{Shards: 2, Dead: func(uint64) bool { return false }}
		},
	}
	ok(o.update(context.Background(), func(v *roster.View) ([]storage.Mutation, error) {
		return v.Found("c1", asks(1), now)
	}))
	return o
}

func asks(id uint64) *actorv1.Admit {
	return &actorv1.Admit{
		Node: id, Store: fmt.Sprintf("%016x%016x", id, id), Name: fmt.Sprint("node-", id), Shards: 2,
		Addresses: &actorv1.NodeAddresses{Peers: "p", Actors: "a", Gossip: "g"},
	}
}
