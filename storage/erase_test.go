package storage

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

func TestEraseUserLeavesNothing(t *testing.T) {
	fs := vfs.NewMem()
	o := quiet(fs)
	o.Shards = 1 // neighbours share the shard
	s, err := Open("d", o)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	const victim, neighbour = "canary-user", "canary-neighbour"
	for _, user := range []string{victim, neighbour} {
		var ms []Mutation
		for day := uint16(10); day < 13; day++ {
			ms = append(ms, set(AppendOutcomeKey(nil, OutcomeKey{1, day, "a", user, "m"}), "value of "+user),
				set(AppendTraceKey(nil, TraceKey{1, day, "a", "m", user}), "value of "+user))
		}
		ms = append(ms,
			set(AppendUserKey(nil, 1, "a", user), "value of "+user),
			set(AppendTellingKey(nil, TellingKey{1, "a", 5, 1, user, "m1", "phone", "apns"}), "value of "+user),
			set(AppendSettingKey(nil, SettingKey{1, "a", user, 'g', "team"}), "value of "+user),
			set(AppendOutboxKey(nil, OutboxKey{1, 5, "a", user, "m1"}), "value of "+user),
			set(AppendOutboxKey(nil, OutboxKey{1, 9, "a", user, "m2"}), "value of "+user),
			set(AppendTraceKey(nil, TraceKey{1, 0, "a", "m2", user}), "value of "+user))
		if err := put(s, 1, ms...); err != nil {
			t.Fatal(err)
		}
	}
	// As after some running time: the records are in tables of the last level.
	if err := s.db.Compact(t.Context(), []byte("a"), []byte("z"), false); err != nil {
		t.Fatal(err)
	}
	ms, err := s.EraseUser("a", victim, 10, 12)
	if err != nil {
		t.Fatal(err)
	}
	if err := put(s, 1, ms...); err != nil {
		t.Fatal(err)
	}
	left := 0
	for _, r := range ShardRanges(1) {
		err := s.Scan(r, func(key, _ []byte) bool {
			if left++; bytes.Contains(key, []byte(victim)) {
				t.Errorf("%q is still there", key)
			}
			return true
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if left != 12 {
		t.Errorf("%d keys left, want the neighbour's 12", left)
	}
	if err := s.Compact(t.Context(), ms); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if s, err = Open("d", o); err != nil {
			t.Fatal(err)
		}
	}
	s.db.TestOnlyWaitForCleaning()
	if found := filesWith(t, fs, "d", victim); len(found) > 0 {
		t.Errorf("opened again, bytes of the erased user are still in %q", found)
	}
	if found := filesWith(t, fs, "d", neighbour); len(found) == 0 {
		t.Error("the search does not find the neighbour either")
	}
}

func filesWith(t *testing.T, fs vfs.FS, dir, text string) (found []string) {
	names, err := fs.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		f, err := fs.Open(fs.PathJoin(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(f)
		if err = errors.Join(err, f.Close()); err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(content, []byte(text)) {
			found = append(found, name)
		}
	}
	return found
}
