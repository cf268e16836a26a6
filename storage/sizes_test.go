package storage

import (
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

func TestGroupBytes(t *testing.T) {
	s, err := Open("d", quiet(vfs.NewMem()))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Unix(1000, 0)
	size := func(group uint16, now time.Time) uint64 {
		t.Helper()
		n, err := s.GroupBytes(group, now)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := size(1, now); n != 0 {
		t.Errorf("an empty group has %d bytes", n)
	}
	value := make([]byte, 100<<10)
	for i := range value {
		value[i] = byte(i * i >> 7) // hard to compress
	}
	for _, user := range []string{"a", "b", "c", "d", "e", "f"} {
		if err := put(s, 1, set(AppendUserKey(nil, 1, "app", user), string(value)+user)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.db.Flush(); err != nil {
		t.Fatal(err)
	}
	if n := size(1, now.Add(measureEvery-1)); n != 0 {
		t.Errorf("the estimate is made again within %v: %d", measureEvery, n)
	}
	full, beside := size(1, now.Add(measureEvery)), size(2, now)
	if full < 1<<10 || beside > full/2 { // it is by whole blocks of tables
		t.Errorf("group 1 has %d bytes, and group 2, to which nothing was written, %d", full, beside)
	}
	if _, err := s.GroupBytes(s.Shards()+1, now); err == nil {
		t.Error("a group that there is not has a size")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.GroupBytes(1, now); err == nil {
		t.Error("a closed store has sizes")
	}
}
