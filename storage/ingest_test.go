package storage

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// content is all that a store holds of some groups, by key.
type content map[string]string

// groupKeys is the content of a group: its keys, its log and its state.
func groupKeys(t testing.TB, s *Store, groups ...uint16) content {
	t.Helper()
	found := content{}
	for _, group := range groups {
		for _, r := range append(ShardRanges(group), LogRange(group), StateRange(group)) {
			err := s.Scan(r, func(key, value []byte) bool { found[string(key)] = string(value); return true })
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	return found
}

// replica is n keys in each family of a group, a log and a state, all named.
func replica(group uint16, n int, name string) content {
	made := content{}
	for _, r := range ShardRanges(group) {
		for i := range n {
			made[string(binary.BigEndian.AppendUint32(bytes.Clone(r.Lo), uint32(i)))] = fmt.Sprint(name, i)
		}
	}
	for i := range uint64(n) {
		made[string(appendLogKey(nil, group, i))] = name
	}
	made[string(appendStateKey(nil, group, HardState))] = name
	made[string(appendStateKey(nil, group, ConfState))] = name
	return made
}

func load(t testing.TB, s *Store, c content) {
	t.Helper()
	b := s.db.NewBatch()
	for key, value := range c {
		if err := b.Set([]byte(key), []byte(value), nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Commit(pebble.Sync); err != nil {
		t.Fatal(err)
	}
}

// collect adds all but log and state, which are left out of what is wanted.
func collect(t testing.TB, s *Store, group uint16, c content) *Ingest {
	t.Helper()
	g, err := s.NewIngest(group)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = g.Abort() }) // the store waits for it
	for _, key := range slices.Sorted(maps.Keys(c)) {
		if owns(group, []byte(key)) {
			if err := g.Add([]byte(key), []byte(c[key])); err != nil {
				t.Fatal(err)
			}
		}
	}
	return g
}

func installed(group uint16, c content, states ...State) content {
	want := content{}
	for key, value := range c {
		if owns(group, []byte(key)) {
			want[key] = value
		}
	}
	for _, x := range states {
		want[string(appendStateKey(nil, group, x.Kind))] = string(x.Value)
	}
	return want
}

func same(t testing.TB, what string, got, want content) {
	t.Helper()
	if maps.Equal(got, want) {
		return
	}
	var missing, more int
	for key, value := range want {
		if got[key] != value {
			missing++
		}
	}
	for key := range got {
		if _, ok := want[key]; !ok {
			more++
		}
	}
	t.Errorf("%s: of %d keys %d are missing or have another value, and there are %d more", what, len(want), missing, more)
}

var newStates = []State{{HardState, []byte("new hard")}, {AppliedState, []byte("new applied")}}

// TestInstallReplacesTheGroup: with the old keys in memory, in tables and in
// both; with fewer, other, more and no new keys; with one and with many tables.
func TestInstallReplacesTheGroup(t *testing.T) {
	old := map[string]int{"no old keys": 0, "few old keys": 3, "many old keys": 500}
	fresh := map[string]int{"empty": 0, "few": 2, "many": 700}
	for oldName, o := range old {
		for freshName, n := range fresh {
			for _, group := range []uint16{MetaShard, 7} {
				for _, flushed := range []bool{false, true} {
					t.Run(fmt.Sprint(oldName, " ", freshName, " group=", group, " flushed=", flushed), func(t *testing.T) {
						testInstall(t, group, o, n, flushed)
					})
				}
			}
		}
	}
}

func testInstall(t *testing.T, group uint16, o, n int, flushed bool) {
	s := openTest(t, vfs.NewMem())
	s.tableBytes = 4 << 10
	others := content{}
	for _, other := range []uint16{MetaShard, 6, 7, 8} {
		if other != group {
			maps.Copy(others, replica(other, 20, "other"))
		}
	}
	load(t, s, others)
	load(t, s, replica(group, o, "old"))
	if flushed {
		if err := s.db.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	fresh := replica(group, n, "new")
	before, err := s.View()
	if err != nil {
		t.Fatal(err)
	}
	g := collect(t, s, group, fresh)
	if err := g.Install(newStates...); err != nil {
		t.Fatal(err)
	}
	want := installed(group, fresh, newStates...)
	same(t, "after the installation", groupKeys(t, s, group), want)
	seen := 0
	if err := before.Scan(ShardRanges(group)[0], func(_, value []byte) bool {
		seen++
		if string(value[:3]) != "old" {
			t.Errorf("an older view sees %q", value)
		}
		return true
	}); err != nil || seen != o {
		t.Errorf("an older view sees %d of %d keys, %v", seen, o, err)
	}
	if err := before.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.db.Compact(t.Context(), []byte{0}, []byte{255}, false); err != nil {
		t.Fatal(err)
	}
	same(t, "after a compaction", groupKeys(t, s, group), want)
	later := set(append(bytes.Clone(ShardRanges(group)[0].Lo), "later"...), "v")
	if err := put(s, group, later); err != nil {
		t.Fatal(err)
	}
	want[string(later.Key)] = "v"
	same(t, "with a later write", groupKeys(t, s, group), want)
	for _, other := range []uint16{MetaShard, 6, 7, 8} {
		if other != group {
			same(t, fmt.Sprint("group ", other), groupKeys(t, s, other), replica(other, 20, "other"))
		}
	}
	if left, err := s.fs.List(s.fs.PathJoin(s.dir, ingestDir)); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestIngestRefuses(t *testing.T) {
	s := openTest(t, vfs.NewMem())
	if _, err := s.NewIngest(s.Shards() + 1); !errors.Is(err, ErrWrongShard) {
		t.Errorf("an unknown group: %v", err)
	}
	good := AppendUserKey(nil, 3, "a", "m")
	for name, c := range map[string]struct {
		key  []byte
		want error
	}{
		"another group": {AppendUserKey(nil, 4, "a", "n"), ErrWrongShard},
		"a catalogue":   {AppendCatalogueKey(nil, 'a', "n"), ErrWrongShard},
		"a log":         {appendLogKey(nil, 3, 1), ErrWrongShard},
		"a state":       {appendStateKey(nil, 3, HardState), ErrWrongShard},
		"no key":        {nil, ErrWrongShard},
		"the same":      {good, ErrOutOfOrder},
		"a lower key":   {AppendUserKey(nil, 3, "a", "l"), ErrOutOfOrder},
		"a lower range": {AppendOutboxKey(nil, OutboxKey{Shard: 3}), ErrOutOfOrder},
	} {
		t.Run(name, func(t *testing.T) {
			g, err := s.NewIngest(3)
			if err != nil {
				t.Fatal(err)
			}
			if err := g.Add(good, nil); err != nil {
				t.Fatal(err)
			}
			if err := g.Add(c.key, nil); !errors.Is(err, c.want) {
				t.Errorf("added: %v", err)
			}
			if err := g.Install(); !errors.Is(err, c.want) {
				t.Errorf("installed: %v", err)
			}
			if err := errors.Join(g.Abort(), g.Abort()); err != nil {
				t.Error(err)
			}
			if err := g.Install(); !errors.Is(err, ErrClosed) {
				t.Errorf("installed after the end: %v", err)
			}
		})
	}
	same(t, "the refused group", groupKeys(t, s, 3), content{})
}

func TestIngestCountsAndResumes(t *testing.T) {
	s := openTest(t, vfs.NewMem())
	fresh := replica(3, 10, "new")
	g := collect(t, s, 3, fresh)
	last := AppendUserKey(nil, 3, "z", "z")
	if g.Keys() != 80 || g.Last()[0] != familyIntent {
		t.Errorf("%d keys, last of family %c", g.Keys(), g.Last()[0])
	}
	if g.Bytes() != 80*(3+4+4) {
		t.Errorf("%d bytes", g.Bytes())
	}
	if err := g.Add(last, nil); !errors.Is(err, ErrOutOfOrder) {
		t.Errorf("a key below the last one: %v", err)
	}
	if err := g.Abort(); err != nil {
		t.Fatal(err)
	}
}

// TestOpenDropsWhatWasIncoming: the tables of a process that died are removed.
func TestOpenDropsWhatWasIncoming(t *testing.T) {
	fs := vfs.NewCrashableMem()
	s := openTest(t, fs)
	g := collect(t, s, 3, replica(3, 10, "new"))
	crashed := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rand.New(rand.NewPCG(1, 2))})
	if err := g.Abort(); err != nil {
		t.Fatal(err)
	}
	again := openTest(t, crashed)
	if left, err := again.fs.List(again.fs.PathJoin(again.dir, ingestDir)); err == nil {
		t.Errorf("left behind: %v", left)
	}
	same(t, "the group", groupKeys(t, again, 3), content{})
}

func TestCheckpointIsTheStoreOfThatMoment(t *testing.T) {
	fs := vfs.NewMem()
	s := openTest(t, fs)
	load(t, s, replica(3, 10, "old"))
	g := collect(t, s, 3, replica(3, 20, "new"))
	if err := g.Install(newStates...); err != nil {
		t.Fatal(err)
	}
	if err := s.Checkpoint("data/copy"); err != nil {
		t.Fatal(err)
	}
	if err := s.Checkpoint("data/copy"); err == nil {
		t.Error("a second checkpoint in the same place")
	}
	want := groupKeys(t, s, 3)
	if err := put(s, 3, UserRange(3).Delete()); err != nil {
		t.Fatal(err)
	}
	c, err := Open("data/copy", quiet(fs))
	if err != nil {
		t.Fatal(err)
	}
	same(t, "the copy", groupKeys(t, c, 3), want)
	if c.NodeID() != s.NodeID() {
		t.Error("the copy has another node id")
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
}
