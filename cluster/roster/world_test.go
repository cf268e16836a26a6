package roster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	actorv1 "github.com/rouse-im/rouse/api/rouse/actor/v1"
	"github.com/rouse-im/rouse/storage"
)

var now = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

const clusterID = "00112233445566778899aabbccddeeff"

// world is a Roster on a real store.
type world struct {
	*Roster
	t    testing.TB
	dead map[uint64]bool
}

func newWorld(t testing.TB) *world {
	t.Helper()
	store, err := storage.Open("data", storage.Options{FS: vfs.NewMem(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	r, err := Open(Options{Store: store, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return &world{r, t, make(map[uint64]bool)}
}

// founded is a cluster of node 1, with two shards.
func founded(t testing.TB) *world {
	w := newWorld(t)
	w.do(func(v *View) ([]storage.Mutation, error) { return v.Found(clusterID, asks(1), now) })
	return w
}

func (w *world) propose(ms []storage.Mutation, done func(error)) {
	w.Store.Propose(storage.MetaShard, ms, done)
}

func (w *world) try(build func(*View) ([]storage.Mutation, error)) error {
	w.t.Helper()
	return w.Update(context.Background(), w.propose, build)
}

func (w *world) do(build func(*View) ([]storage.Mutation, error)) {
	w.t.Helper()
	if err := w.try(build); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) terms() Terms {
	return Terms{Shards: 2, Seal: []byte("seal"), Dead: func(n uint64) bool { return w.dead[n] }}
}

func (w *world) admit(a *actorv1.Admit) error {
	return w.try(func(v *View) ([]storage.Mutation, error) { return v.Admit(a, w.terms(), now) })
}

// asks is what node n asks with.
func asks(n uint64) *actorv1.Admit {
	return &actorv1.Admit{
		Node: n, Store: fmt.Sprintf("%016x%016x", n, n*7), Name: fmt.Sprintf("node-%d", n), Shards: 2, Seal: []byte("seal"), Version: "v1",
		Addresses: &actorv1.NodeAddresses{Peers: "h:1", Actors: "h:2", Gossip: "h:3"},
	}
}

func wants(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("got %v, want %v", err, want)
	}
}
