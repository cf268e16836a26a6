package replica

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/cockroachdb/pebble/v2/vfs"
	dto "github.com/prometheus/client_model/go"

	"github.com/rouse-im/rouse/storage"
)

// lossy runs a test with a world whose disks may lose what was synced.
func lossy(t *testing.T, nodes int, test func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nodes, 1)
		w.lossy = true
		defer w.end()
		test(t, w)
	})
}

// copied is the disk of a node as it is now.
func (n *node) copied() *vfs.MemFS {
	n.w.mu.Lock()
	defer n.w.mu.Unlock()
	return n.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: n.w.rng})
}

// restored is a node that was killed and comes back on an older copy of its disk.
func (w *world) restored(id uint64, old *vfs.MemFS) *node {
	w.crash(id, 100)
	w.nodes[id].fs = old
	return w.restart(id)
}

// others are the nodes beside one, ascending.
func (w *world) others(id uint64) (ids []uint64) {
	for other := range w.nodes {
		if other != id {
			ids = append(ids, other)
		}
	}
	slices.Sort(ids)
	return ids
}

// frames counts what two nodes have sent to each other.
func (w *world) frames(a, b uint64) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.count[[2]uint64{a, b}] + w.count[[2]uint64{b, a}]
}

// renounced counts the leaderships that nodes have ended because of others' losses.
func (w *world) renounced() (sum int) {
	for _, n := range w.nodes {
		var m dto.Metric
		if err := n.engine.metrics.renounced.Write(&m); err != nil {
			w.t.Error(err)
		}
		sum += int(m.GetCounter().GetValue())
	}
	return sum
}

func (n *node) putMany(group uint16, what string, count int) {
	n.w.t.Helper()
	for i := range count {
		n.mustPut(group, fmt.Sprint(what, i))
	}
}

func (n *node) wantMany(group uint16, what string, count int) {
	n.w.t.Helper()
	for i := range count {
		if !n.has(group, fmt.Sprint(what, i)) {
			n.w.t.Errorf("node %d lacks %s%d", n.id, what, i)
			return
		}
	}
}

// spoil deletes a key from the disk of a node that is down: nothing tells of that.
func spoil(t *testing.T, fs vfs.FS, key []byte) {
	t.Helper()
	s, err := storage.Open("data/store", storage.Options{FS: fs, Shards: testShards, Logger: testLog()})
	if err != nil {
		t.Fatal(err)
	}
	b := s.NewBatch()
	entry := storage.AppendEntry(nil, []storage.Mutation{{Op: storage.Delete, Key: key}})
	if err := errors.Join(b.Apply(1, entry), b.Commit(true), s.Close()); err != nil {
		t.Fatal(err)
	}
}

// lacksOnDisk is what is known to be lost of the group 1 of a node that is down.
func lacksOnDisk(t *testing.T, fs vfs.FS, id uint64) uint64 {
	t.Helper()
	s, err := storage.Open("data/store", storage.Options{FS: fs, Shards: testShards, Logger: testLog()})
	if err != nil {
		t.Fatal(err)
	}
	all, err := Survivors(s, id)
	if err := errors.Join(err, s.Close()); err != nil || len(all) != 1 || all[0].Group != 1 {
		t.Fatalf("%+v, %v", all, err)
	}
	return all[0].Lacks
}

// lyingFS answers syncs without doing them, while it lies.
type lyingFS struct {
	vfs.FS
	lies *atomic.Bool
}

type lyingFile struct {
	vfs.File
	lies *atomic.Bool
}

func (f lyingFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	file, err := f.FS.Create(name, c)
	return lyingFile{file, f.lies}, err
}

func (f lyingFS) ReuseForWrite(old, name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	file, err := f.FS.ReuseForWrite(old, name, c)
	return lyingFile{file, f.lies}, err
}

func (f lyingFile) Sync() error {
	if f.lies.Load() {
		return nil
	}
	return f.File.Sync()
}

func (f lyingFile) SyncData() error {
	if f.lies.Load() {
		return nil
	}
	return f.File.SyncData()
}

func (f lyingFile) SyncTo(length int64) (bool, error) {
	if f.lies.Load() {
		return true, nil
	}
	return f.File.SyncTo(length)
}
