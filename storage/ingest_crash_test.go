package storage

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// TestPowerLossDuringInstall cuts the power before every single operation on
// the disk that an installation makes: the group is the old one or the new one
// as a whole, it is the new one once Install has returned, and no other group
// changes.
func TestPowerLossDuringInstall(t *testing.T) {
	for _, percent := range []int{0, 50, 100} {
		for _, group := range []uint16{MetaShard, 7} {
			for _, flushed := range []bool{false, true} {
				t.Run(fmt.Sprintf("kept=%d group=%d flushed=%t", percent, group, flushed), func(t *testing.T) {
					testCuts(t, percent, group, flushed)
				})
			}
		}
	}
}

// cuts clones the disk before each operation that changes it.
type cuts struct {
	mu     sync.Mutex
	on     bool
	disk   *vfs.MemFS
	cfg    vfs.CrashCloneCfg
	clones []*vfs.MemFS
}

func (c *cuts) before(op errorfs.Op) error {
	if op.Kind.ReadOrWrite() != errorfs.OpIsWrite {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.on {
		c.clones = append(c.clones, c.disk.CrashClone(c.cfg))
	}
	return nil
}

func (c *cuts) set(on bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.on = on
}

func testCuts(t *testing.T, percent int, group uint16, flushed bool) {
	disk := vfs.NewCrashableMem()
	rng := rand.New(rand.NewPCG(3, uint64(percent)))
	c := &cuts{disk: disk, cfg: vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rng}}
	s := openTest(t, errorfs.Wrap(disk, errorfs.InjectorFunc(c.before)))
	s.tableBytes = 2 << 10
	old := replica(group, 40, "old")
	other := replica(9, 10, "other")
	load(t, s, old)
	load(t, s, other)
	if flushed {
		if err := s.db.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	// What follows is not synced, as a replica's applied entries are not; the
	// family of traces and the log end empty in memory alone.
	without := maps.Clone(old)
	for _, r := range []Range{ShardRanges(group)[0], LogRange(group)} {
		if err := s.db.DeleteRange(r.Lo, r.Hi, pebble.NoSync); err != nil {
			t.Fatal(err)
		}
		maps.DeleteFunc(without, func(key, _ string) bool { return r.Contains([]byte(key)) })
	}
	fresh := replica(group, 60, "new")
	first := ShardRanges(group)[0]
	maps.DeleteFunc(fresh, func(key, _ string) bool { return first.Contains([]byte(key)) })
	g := collect(t, s, group, fresh)
	c.set(true)
	if err := g.Install(newStates...); err != nil {
		t.Fatal(err)
	}
	c.set(false)
	after := disk.CrashClone(vfs.CrashCloneCfg{})
	want := installed(group, fresh, newStates...)
	partly := maps.Clone(old) // the first of the two deletions survived
	maps.DeleteFunc(partly, func(key, _ string) bool { return first.Contains([]byte(key)) })

	news := 0
	for i, clone := range c.clones {
		again := openTest(t, clone)
		got := groupKeys(t, again, group)
		switch {
		case maps.Equal(got, want):
			news++
		case news > 0:
			t.Errorf("cut %d of %d: the new replica was there, and is not any more", i, len(c.clones))
		case !maps.Equal(got, old) && !maps.Equal(got, without) && !maps.Equal(got, partly):
			t.Errorf("cut %d of %d: a mixture of %d keys", i, len(c.clones), len(got))
		}
		same(t, "another group", groupKeys(t, again, 9), other)
		if err := again.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if len(c.clones) < 8 || news == 0 || news == len(c.clones) {
		t.Errorf("%d cuts, %d of them after the step: the test has lost its aim", len(c.clones), news)
	}
	same(t, "after Install returned", groupKeys(t, openTest(t, after), group), want)
}
