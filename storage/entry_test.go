package storage

import (
	"bytes"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func readAll(entry []byte) (ms []Mutation, err error) {
	err = ReadEntry(entry, func(m Mutation) error { ms = append(ms, m); return nil })
	return ms, err
}

func TestEntryRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var ms []Mutation
		for range rapid.IntRange(0, 5).Draw(t, "mutations") {
			m := Mutation{Op: Op(rapid.IntRange(int(Set), int(DeleteRange)).Draw(t, "op")), Key: []byte(name.Draw(t, "key"))}
			if m.Op != Delete {
				m.Value = rapid.SliceOf(rapid.Byte()).Draw(t, "value")
			}
			ms = append(ms, m)
		}
		entry := AppendEntry([]byte("head"), ms)
		if string(entry[:4]) != "head" || len(entry)-4 > EntrySize(ms) {
			t.Fatalf("%d bytes, bound %d", len(entry)-4, EntrySize(ms))
		}
		got, err := readAll(entry[4:])
		if err != nil || !cmp.Equal(got, ms) {
			t.Fatalf("%v came back as %v, %v", ms, got, err)
		}
	})
}

func TestEntryStopsAtTheCallersError(t *testing.T) {
	stop := errors.New("stop")
	n := 0
	entry := AppendEntry(nil, []Mutation{set([]byte("a"), "1"), set([]byte("b"), "2")})
	if err := ReadEntry(entry, func(Mutation) error { n++; return stop }); !errors.Is(err, stop) || n != 1 {
		t.Fatalf("got %v after %d", err, n)
	}
}

// FuzzReadEntry: no input panics, and what is accepted says the same again.
func FuzzReadEntry(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{entryVersion})
	f.Add([]byte{entryVersion + 1, 1, 0, 0})
	f.Add(AppendEntry(nil, []Mutation{set([]byte("k"), "v"), {Op: Delete, Key: []byte("k")}, {DeleteRange, []byte("a"), []byte("b")}}))
	f.Add([]byte{entryVersion, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, entry []byte) {
		ms, err := readAll(entry)
		if err != nil {
			if !errors.Is(err, ErrBadEntry) {
				t.Fatalf("untyped error %v", err)
			}
			return
		}
		again, err := readAll(AppendEntry(nil, ms))
		if err != nil || len(again) != len(ms) {
			t.Fatalf("%v, then %v, %v", ms, again, err)
		}
		for i := range ms {
			if ms[i].Op != again[i].Op || !bytes.Equal(ms[i].Key, again[i].Key) || !bytes.Equal(ms[i].Value, again[i].Value) {
				t.Fatalf("mutation %d: %v, then %v", i, ms[i], again[i])
			}
		}
	})
}
