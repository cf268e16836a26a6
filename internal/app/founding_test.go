//go:build !race

package app

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rouse-im/rouse/actors/shard"
	"github.com/rouse-im/rouse/cluster/certs"
	"github.com/rouse-im/rouse/internal/backup"
	"github.com/rouse-im/rouse/internal/config"
	"github.com/rouse-im/rouse/storage"
)

// founds starts a node that is not told to join, and answers the id of its cluster.
func founds(t *testing.T, c config.Config, anew bool) (id string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	n, err := StartContext(ctx, Options{Config: c, Logger: slog.New(slog.DiscardHandler), Version: "test", FoundAnew: anew})
	if err != nil {
		return "", err
	}
	id = n.roster.View().Cluster()
	stop(t, n)
	return id, nil
}

// stored does something to the store of a stopped node.
func stored(t *testing.T, c config.Config, shards uint16, do func(*storage.Store) error) {
	t.Helper()
	s, err := storage.Open(c.Data.Dir, storage.Options{Shards: shards, MinFreeBytes: 64 << 20, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(do(s), s.Close()); err != nil {
		t.Fatal(err)
	}
}

func refusedToFound(t *testing.T, when string, c config.Config) {
	t.Helper()
	if id, err := founds(t, c, false); !errors.Is(err, errFounded) {
		t.Errorf("%s: cluster %q, %v", when, id, err)
	}
	stored(t, c, 4, func(s *storage.Store) error {
		if held, err := s.Replicas(); err != nil || len(held) > 0 {
			t.Errorf("%s: it holds %v, %v", when, held, err)
		}
		return nil
	})
}

// A node that lost its disk, and is not told to join, founds no second cluster; what
// has facts goes on, and an operator who means it may found anew.
func TestNoSecondClusterByAccident(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := memberConfig(dir, "one", "")
	first, err := founds(t, c, false)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := founds(t, c, false); err != nil || again != first {
		t.Errorf("restarted on its data: cluster %q, not %q, %v", again, first, err)
	}
	var archive bytes.Buffer
	stored(t, c, 4, func(s *storage.Store) error {
		_, err := backup.Write(&archive, s, backup.Options{Now: time.Now()})
		return err
	})
	kept := c.Data.Dir + "-kept"
	if err := os.Rename(c.Data.Dir, kept); err != nil {
		t.Fatal(err)
	}
	refusedToFound(t, "the founder without its disk", c)
	refusedToFound(t, "the founder without its disk, again", c)
	refusedToFound(t, "a new node on the same directory of secrets", memberConfig(dir, "two", ""))

	restored := memberConfig(dir, "restored", "")
	stored(t, restored, 4, func(s *storage.Store) error {
		_, err := backup.Restore(bytes.NewReader(archive.Bytes()), s, shard.IntentHome, nil)
		return err
	})
	if id, err := founds(t, restored, false); err != nil || id == first {
		t.Errorf("restored: cluster %q, %v", id, err)
	}
	c.Data.Dir = kept
	stored(t, c, 4, backup.Recover)
	if id, err := founds(t, c, false); err != nil || id == first {
		t.Errorf("recovered: cluster %q, %v", id, err)
	}
	c.Data.Dir = filepath.Join(dir, "anew")
	if id, err := founds(t, c, true); err != nil || id == first {
		t.Errorf("told to found anew: cluster %q, %v", id, err)
	}
	if again, err := founds(t, c, false); err != nil || again == first {
		t.Errorf("founded anew, and restarted: cluster %q, %v", again, err)
	}
}

// A member whose replicas had not come when it stopped does not found, even where its
// directory of secrets is its own and its store the same.
func TestMemberWithoutReplicasFoundsNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	one, err := startWithin(t, 20*time.Second, memberConfig(dir, "one", ""))
	if err != nil {
		t.Fatal(err)
	}
	defer stop(t, one)
	bundle := filepath.Join(dir, "bundle")
	if _, err := certs.Bundle(one.o.Config.Cluster.Dir, "two", nil, bundle); err != nil {
		t.Fatal(err)
	}
	c := memberConfig(dir, "two", "")
	c.Cluster.Dir = bundle
	refusedToFound(t, "a new node with the bundle of a cluster", c)

	if err := os.Remove(filepath.Join(bundle, "founded")); err != nil { // as rouse certs init and issue make one before there is a node
		t.Fatal(err)
	}
	c.Cluster.Join = gossipOf(t, one)
	two, err := startWithin(t, 20*time.Second, c)
	if err != nil {
		t.Fatal(err)
	}
	stop(t, two)
	id := two.store.NodeID()
	if o, err := certs.CheckOrigin(bundle); err != nil || o == nil || *o != (certs.Origin{Store: id}) {
		t.Fatalf("admitted: %+v, %v", o, err)
	}
	c.Cluster.Join = ""
	stored(t, c, 4, func(s *storage.Store) error { // as it was before the first frame came
		b := s.NewBatch()
		for group := range s.Shards() + 1 {
			b.Clear(group)
		}
		return b.Commit(true)
	})
	refusedToFound(t, "admitted, and without replicas", c)
}
