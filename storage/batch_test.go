package storage

import (
	"errors"
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/go-cmp/cmp"
)

func logs(t *testing.T, s *Store, group uint16, from uint64) (got []string) {
	t.Helper()
	err := s.Logs(group, from, func(index uint64, record []byte) error {
		got = append(got, fmt.Sprintf("%d=%s", index, record))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestBatchWritesLogsStateAndEntries(t *testing.T) {
	s := openTest(t, vfs.NewMem())
	user := AppendUserKey(nil, 7, "a", "u")
	b := s.NewBatch()
	for _, group := range []uint16{6, 7, 8} {
		for i := uint64(254); i < 258; i++ {
			b.SetLog(group, i, fmt.Append(nil, group))
		}
	}
	b.SetState(7, HardState, []byte("hard"))
	b.SetState(7, AppliedState, []byte("old"))
	if err := b.Apply(7, AppendEntry(nil, []Mutation{set(user, "v")})); err != nil {
		t.Fatal(err)
	}
	if b.Empty() || b.Bytes() == 0 {
		t.Error("the batch says that it is empty")
	}
	if err := b.Commit(true); err != nil || !b.Empty() {
		t.Fatal(err)
	}
	b.DeleteLogs(7, 0, 256)
	b.DeleteLogs(7, 300, 300)
	b.SetState(7, AppliedState, []byte("new"))
	if err := b.Commit(false); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"256=7", "257=7"}, logs(t, s, 7, 0)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"255=8", "256=8", "257=8"}, logs(t, s, 8, 255)); diff != "" {
		t.Error(diff)
	}
	if v, err := s.State(7, AppliedState); err != nil || string(v) != "new" {
		t.Errorf("state %q, %v", v, err)
	}
	if _, err := s.State(8, HardState); !errors.Is(err, ErrNotFound) {
		t.Errorf("state that nobody wrote: %v", err)
	}
	if v, err := s.Get(user); err != nil || string(v) != "v" {
		t.Errorf("entry %q, %v", v, err)
	}
	if got, err := s.Replicas(); err != nil || !cmp.Equal(got, []uint16{7}) {
		t.Errorf("replicas %v, %v", got, err)
	}
	stop := errors.New("stop")
	if err := s.Logs(6, 0, func(uint64, []byte) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("got %v", err)
	}
}

func TestBatchRefusesForeignKeys(t *testing.T) {
	s := openTest(t, vfs.NewMem())
	b := s.NewBatch()
	foreign := AppendEntry(nil, []Mutation{set(AppendUserKey(nil, 8, "a", "u"), "v")})
	for name, err := range map[string]error{
		"entry":  b.Apply(7, foreign),
		"record": b.Put(7, appendLogKey(nil, 7, 1), nil),
	} {
		if !errors.Is(err, ErrWrongShard) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := b.Apply(7, []byte{9}); !errors.Is(err, ErrBadEntry) {
		t.Error(err)
	}
}

func TestClearLeavesOtherGroups(t *testing.T) {
	s := openTest(t, vfs.NewMem())
	b := s.NewBatch()
	for _, group := range []uint16{6, 7, 8} {
		b.SetLog(group, 1, []byte("r"))
		b.SetState(group, HardState, []byte("h"))
		if err := b.Put(group, AppendUserKey(nil, group, "a", "u"), []byte("v")); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Commit(true); err != nil {
		t.Fatal(err)
	}
	b.Clear(7)
	kept := AppendTokenKey(nil, 7, ascending)
	if err := errors.Join(b.Put(7, kept, []byte("v")), b.Commit(true)); err != nil {
		t.Fatal(err)
	}
	for _, group := range []uint16{6, 7, 8} {
		_, err := s.Get(AppendUserKey(nil, group, "a", "u"))
		if gone := errors.Is(err, ErrNotFound); gone != (group == 7) || (len(logs(t, s, group, 0)) == 0) != gone {
			t.Errorf("group %d: user %v, log %v", group, err, logs(t, s, group, 0))
		}
	}
	if _, err := s.Get(kept); err != nil {
		t.Errorf("what was added after Clear: %v", err)
	}
}

func TestReplicatedStoreHandsEntriesOn(t *testing.T) {
	s := openTest(t, vfs.NewMem())
	var got []string
	s.Replicate(func(shard uint16, ms []Mutation, done func(error)) {
		got = append(got, fmt.Sprint(shard, len(ms)))
		done(ErrNotLeader)
	})
	key := AppendUserKey(nil, 3, "a", "u")
	if err := put(s, 3, set(key, "v")); !errors.Is(err, ErrNotLeader) {
		t.Error(err)
	}
	if err := put(s, 4, set(key, "v")); !errors.Is(err, ErrWrongShard) || !errors.Is(s.Check(4, []Mutation{set(key, "v")}), ErrWrongShard) {
		t.Error(err)
	}
	if diff := cmp.Diff([]string{"3 1"}, got); diff != "" {
		t.Error(diff)
	}
	if _, err := s.Get(key); !errors.Is(err, ErrNotFound) {
		t.Errorf("the store wrote by itself: %v", err)
	}
}

// TestFailedBatchEndsTheStore: as with the store's own writer, nothing is
// accepted after a commit that failed.
func TestFailedBatchEndsTheStore(t *testing.T) {
	fs := vfs.NewMem()
	if err := openTest(t, fs).Close(); err != nil {
		t.Fatal(err)
	}
	s := openReadOnly(t, fs)
	b := s.NewBatch()
	for range 2 {
		b.SetState(1, HardState, []byte("h"))
		if err := b.Commit(true); !errors.Is(err, pebble.ErrReadOnly) {
			t.Errorf("got %v", err)
		}
	}
	if err := put(s, 1); !errors.Is(err, pebble.ErrReadOnly) {
		t.Errorf("the writer goes on: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := b.Commit(true); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

func TestViewIsOneMoment(t *testing.T) {
	s := openTest(t, vfs.NewMem())
	write := func(value string) {
		b := s.NewBatch()
		b.SetState(7, AppliedState, []byte(value))
		if err := b.Put(7, AppendUserKey(nil, 7, "a", value), []byte(value)); err != nil {
			t.Fatal(err)
		}
		if err := b.Commit(false); err != nil {
			t.Fatal(err)
		}
	}
	write("1")
	v, err := s.View()
	if err != nil {
		t.Fatal(err)
	}
	write("2")
	var got []string
	if err := v.Scan(UserRange(7), func(_, value []byte) bool { got = append(got, string(value)); return true }); err != nil {
		t.Fatal(err)
	}
	state, err := v.State(7, AppliedState)
	if err != nil || string(state) != "1" || !cmp.Equal(got, []string{"1"}) {
		t.Errorf("state %q, records %v, %v", state, got, err)
	}
	if _, err := v.State(7, HardState); !errors.Is(err, ErrNotFound) {
		t.Errorf("got %v", err)
	}
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.View(); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}
