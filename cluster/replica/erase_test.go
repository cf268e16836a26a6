package replica

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/rouse-im/rouse/storage"
)

// filesWith names the files of a node in which text stands.
func (n *node) filesWith(text string) (found []string) {
	n.w.t.Helper()
	const dir = "data/store"
	names, err := n.fs.List(dir)
	if err != nil {
		n.w.t.Fatal(err)
	}
	for _, name := range names {
		f, err := n.fs.Open(n.fs.PathJoin(dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue // the database has just removed it
		}
		if err != nil {
			n.w.t.Fatal(err)
		}
		content, err := io.ReadAll(f)
		if err != nil && name != "incoming" { // a directory
			n.w.t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			n.w.t.Error(err)
		}
		if bytes.Contains(content, []byte(text)) {
			found = append(found, name)
		}
	}
	return found
}

// openedTwice lets a store recycle the log of the database, as storage.Compact says.
func (w *world) openedTwice(id uint64) *node {
	n := w.nodes[id]
	for range 2 {
		w.close(n)
		n = w.restart(id)
	}
	return n
}

// raw writes a user whose record does not get smaller by compression.
func (n *node) raw(user string) {
	n.w.t.Helper()
	value := make([]byte, 40<<10)
	for i := range value {
		value[i] = byte(n.w.rng.Uint32())
	}
	answer := make(chan error, 1)
	n.engine.Propose(1, 0, []storage.Mutation{{Op: storage.Set, Key: name(1, user), Value: append(value, user...)}}, func(err error) { answer <- err })
	if err := n.w.answer(answer); err != nil {
		n.w.t.Fatal(err)
	}
}

const witness = "witness-neighbour"

// eraseCanary writes a user among others, and erases him.
func (w *world) eraseCanary(canary string) {
	lead := w.leader(1)
	lead.raw(witness)
	lead.raw(canary)
	w.wait("all have him", func() bool { return w.level(1) })
	for _, n := range w.nodes {
		if !n.down && len(n.filesWith(canary)) == 0 {
			w.t.Errorf("node %d: the search does not find him before he is erased", n.id)
		}
	}
	answer := make(chan error, 1)
	lead.engine.Propose(1, 0, []storage.Mutation{{Op: storage.Delete, Key: name(1, canary)}}, func(err error) { answer <- err })
	if err := w.answer(answer); err != nil {
		w.t.Fatal(err)
	}
}

// An erased user leaves the disks of all replicas within the stated time, the logs
// too, though nothing is written after him and no log is near its bounds.
func TestErasedBytesLeaveAllReplicas(t *testing.T) {
	const canary, stated = "canary-user", 2 * time.Minute
	bubble(t, 0, func(t *testing.T, w *world) {
		for id := uint64(1); id <= 3; id++ {
			w.start(id, vfs.NewCrashableMem())
		}
		found(t, w.nodes[1], 1)
		w.grow(3, 1)
		w.eraseCanary(canary)
		w.pass(stated)
		for id := uint64(1); id <= 3; id++ {
			n := w.openedTwice(id)
			if in := n.filesWith(canary); len(in) > 0 {
				t.Errorf("node %d has bytes of him in %q", id, in)
			}
			if in := n.filesWith(witness); len(in) == 0 {
				t.Errorf("node %d: the search does not find the neighbour either", id)
			}
		}
		w.leader(1).mustPut(1, "goes on")
		w.same(1)
	})
}

// A replica that ended before it did its part does it after it is started again, by
// what its log holds; one that was away when he was erased does it when it is back.
func TestErasedBytesLeaveAfterARestart(t *testing.T) {
	const canary = "canary-user"
	bubble(t, 0, func(t *testing.T, w *world) {
		for id := uint64(1); id <= 3; id++ {
			w.start(id, vfs.NewCrashableMem())
		}
		found(t, w.nodes[1], 1)
		w.grow(3, 1)
		lead := w.leader(1)
		away := 1 + lead.id%3
		w.crash(away, 100)
		w.eraseCanary(canary)
		w.close(lead) // in order: it will not apply the entry again
		w.restart(lead.id)
		w.restart(away)
		w.leader(1)
		w.pass(2 * time.Minute)
		for id := uint64(1); id <= 3; id++ {
			in := w.openedTwice(id).filesWith(canary)
			in = slices.DeleteFunc(in, func(name string) bool { return strings.HasPrefix(name, "MANIFEST") }) // see storage.Compact
			if len(in) > 0 {
				t.Errorf("node %d has bytes of him in %q", id, in)
			}
		}
		w.same(1)
	})
}
