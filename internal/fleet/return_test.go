package fleet

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

// three is a small cluster of one test, whole; spaces may be nil.
func three(t *testing.T, shards int, spaces *Spaces) *town {
	t.Helper()
	w := ownTown(t, 3, shards, spaces)
	for _, d := range w.doors[1:] {
		if err := d.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	w.whole(t)
	return w
}

// flood writes so many messages for one user of each shard, a batch at a time.
func (w *town) flood(t *testing.T, prefix string, d *door, each int) []string {
	t.Helper()
	users := w.everywhere(prefix, 1)
	until(t, 10*time.Second, "phones", func() error { return d.offline(t.Context(), users) })
	for n := 0; n < each; n += 100 {
		r := &rousev1.IngestBatchRequest{}
		for i := range 100 {
			for _, user := range users {
				r.Events = append(r.Events, message(fmt.Sprint(prefix, n+i), user))
			}
		}
		until(t, 20*time.Second, "a batch", func() error {
			response, err := d.intake.IngestBatch(t.Context(), r)
			for _, item := range response.GetItems() {
				if item.GetError() != nil {
					err = fmt.Errorf("%v", item.GetError())
				}
			}
			return err
		})
	}
	return users
}

// TestReturn has nodes come back: one that the groups have moved on from, and one
// that lost its disk. Both serve what the others know.
func TestReturn(t *testing.T) {
	t.Parallel()
	w := three(t, 2, nil)
	victim := w.doors[2]
	if err := victim.Kill(); err != nil {
		t.Fatal(err)
	}
	const each = 1500
	users := w.flood(t, "away", w.doors[0], each)
	began := time.Now()
	if err := victim.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.whole(t)
	t.Logf("caught up with %d messages after %s", each*len(users), time.Since(began).Round(time.Millisecond))

	// The disk of another one is gone: it is another node of the same name.
	victim = w.doors[1]
	if err := victim.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(victim.Dir); err != nil {
		t.Fatal(err)
	}
	before, err := w.doors[0].status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	began = time.Now()
	if err := victim.Launch(); err != nil {
		t.Fatal(err)
	}
	// Its former self is dead, and an operator says that it will not come back; a
	// minute later the cluster would take that for granted.
	old := idOf(before, victim.Name)
	until(t, 20*time.Second, "remove the lost one", func() error {
		_, err := w.doors[0].cluster.RemoveNode(t.Context(), &rousev1.RemoveNodeRequest{Node: old})
		return err
	})
	if err := victim.Ready(ctx); err != nil {
		t.Fatal(err)
	}
	until(t, 40*time.Second, "whole again", func() error { return victim.settled(t.Context(), 3) })
	t.Logf("a node with an empty disk holds all after %s", time.Since(began).Round(time.Millisecond))
	until(t, 20*time.Second, "its former self is forgotten", func() error {
		now, err := victim.status(t.Context())
		if err == nil && (len(now.GetNodes()) != 3 || idOf(now, victim.Name) == old) {
			err = fmt.Errorf("the nodes are %v", now.GetNodes())
		}
		return err
	})
	// What is left holds everything without the two that were there all the time.
	if err := w.doors[0].Kill(); err != nil {
		t.Fatal(err)
	}
	for _, d := range w.others(w.doors[0]) {
		if err := eachOf(users, func(user string) error { return d.counts(t.Context(), user, each) }); err != nil {
			t.Error(err)
		}
	}
}

func idOf(s *rousev1.GetClusterStatusResponse, name string) string {
	for _, n := range s.GetNodes() {
		if n.GetName() == name {
			return n.GetNodeId()
		}
	}
	return ""
}

// TestStrangersAreRefused starts nodes that may not become members.
func TestStrangersAreRefused(t *testing.T) {
	t.Parallel()
	w := three(t, 2, nil)
	// A removed node cannot come back with its data.
	removed := w.doors[2]
	if _, err := w.doors[0].cluster.RemoveNode(t.Context(), &rousev1.RemoveNodeRequest{Node: removed.Name}); err != nil {
		t.Fatal(err)
	}
	until(t, 30*time.Second, "forgotten", func() error {
		s, err := w.doors[0].status(t.Context())
		if err == nil && len(s.GetNodes()) != 2 && idOf(s, removed.Name) != "" {
			for _, n := range s.GetNodes() {
				if n.GetName() == removed.Name && n.GetState() != rousev1.NodeState_NODE_STATE_UNADMITTED {
					err = fmt.Errorf("%s is %v", n.GetName(), n.GetState())
				}
			}
		}
		return err
	})
	ctx, cancel := context.WithTimeout(t.Context(), 25*time.Second)
	defer cancel()
	if err := removed.Stop(ctx); err != nil {
		t.Log(err)
	}
	w.refused(t, removed, "the cluster refuses this node")

	// What a node of another cluster holds was sealed there.
	foreign, err := newTown(t.TempDir(), 1, 2, nil)
	if err != nil {
		t.Fatal(err)
	}
	stranger := w.addNode(t, 3)
	if err := errors.Join(foreign.doors[0].Stop(ctx), foreign.close(), os.CopyFS(stranger.Dir, os.DirFS(foreign.doors[0].Dir))); err != nil {
		t.Fatal(err)
	}
	w.refused(t, stranger, "cannot start: ")

	// Another number of shards.
	w.fleet.o.Env = append(w.fleet.o.Env, "ROUSE_DATA_SHARDS=3")
	w.refused(t, w.addNode(t, 4), "number of shards")
	w.served(t, w.doors[1])
}

// refused wants a node to end by itself, or never to serve, and to say why.
func (w *town) refused(t *testing.T, d *door, why string) {
	t.Helper()
	if err := d.Launch(); err != nil {
		t.Fatal(err)
	}
	said := ""
	until(t, 20*time.Second, d.Name+" says that it is refused", func() error {
		b, err := os.ReadFile(d.LogFile())
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(b)) {
			if strings.Contains(line, why) {
				said = strings.TrimSpace(line)
				return nil
			}
		}
		return errNotYet
	})
	t.Logf("%s: %s", d.Name, said)
	if s, err := w.doors[0].status(t.Context()); err != nil || s.GetTotals().GetNodes() > 2 {
		t.Errorf("members: %v, %v", s.GetTotals(), err)
	}
	if err := d.Kill(); err != nil {
		t.Error(err)
	}
}
