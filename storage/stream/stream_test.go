package stream

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"
)

// pairsOf returns n pairs of all sizes, some above a chunk.
func pairsOf(n int, seed uint64) (keys, values [][]byte) {
	rng := rand.New(rand.NewPCG(seed, 1))
	for i := range n {
		keys = append(keys, fmt.Appendf(nil, "key %06d", i))
		size := rng.IntN(2000)
		if i%50 == 0 {
			size = rng.IntN(1 << 20)
		}
		value := make([]byte, size)
		for j := range value {
			value[j] = byte(rng.Uint32())
		}
		values = append(values, value)
	}
	return keys, values
}

func written(t testing.TB, keys, values [][]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := NewWriter(&b)
	for i := range keys {
		if err := w.Add(keys[i], values[i]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.End(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// readAll returns what a careful reader gets.
func readAll(b []byte) (keys, values [][]byte, err error) {
	r, total := NewReader(bytes.NewReader(b)), NewTotal()
	for {
		kind, payload, err := r.Next()
		if err != nil {
			return keys, values, err
		}
		if kind == End {
			return keys, values, total.Check(payload)
		}
		err = ReadPairs(payload, func(key, value []byte) error {
			total.Add(key, value)
			keys, values = append(keys, bytes.Clone(key)), append(values, bytes.Clone(value))
			return nil
		})
		if err != nil {
			return keys, values, err
		}
	}
}

func TestPairsArrive(t *testing.T) {
	for _, n := range []int{0, 1, 300} {
		keys, values := pairsOf(n, 1)
		gotKeys, gotValues, err := readAll(written(t, keys, values))
		if err != nil || len(gotKeys) != n {
			t.Fatalf("%d of %d pairs, %v", len(gotKeys), n, err)
		}
		for i := range keys {
			if !bytes.Equal(keys[i], gotKeys[i]) || !bytes.Equal(values[i], gotValues[i]) {
				t.Fatalf("pair %d differs", i)
			}
		}
	}
}

// TestEveryDamageIsSeen changes, drops and repeats bytes and frames.
func TestEveryDamageIsSeen(t *testing.T) {
	keys, values := pairsOf(120, 2)
	whole := written(t, keys, values)
	rng := rand.New(rand.NewPCG(7, 7))
	for range 300 {
		b := bytes.Clone(whole)
		what := rng.IntN(3)
		i := rng.IntN(len(b))
		switch what {
		case 0:
			b[i] ^= 1 << rng.IntN(8)
		case 1:
			b = b[:i]
		case 2:
			b = append(b[:i:i], b[i+1:]...)
		}
		if _, _, err := readAll(b); err == nil || !errors.Is(err, ErrDamaged) && !errors.Is(err, io.EOF) {
			t.Fatalf("damage %d at %d: %v", what, i, err)
		}
	}
}

func TestAFrameLeftOutOrTwiceIsSeen(t *testing.T) {
	keys, values := pairsOf(200, 3)
	whole := written(t, keys, values)
	var at []int
	for i := 0; i < len(whole); i += lengthBytes + int(binary.BigEndian.Uint32(whole[i:])) + sumBytes {
		at = append(at, i)
	}
	if len(at) < 4 {
		t.Fatalf("%d frames", len(at))
	}
	without := append(bytes.Clone(whole[:at[1]]), whole[at[2]:]...)
	twice := append(bytes.Clone(whole[:at[2]]), whole[at[1]:]...)
	for _, b := range [][]byte{without, twice} {
		if _, _, err := readAll(b); !errors.Is(err, ErrDamaged) {
			t.Errorf("got %v", err)
		}
	}
	if _, _, err := readAll(whole[:at[2]]); !errors.Is(err, io.EOF) {
		t.Errorf("cut between frames: %v", err)
	}
}

func TestSkippedPairsCount(t *testing.T) {
	keys, values := pairsOf(10, 4)
	var b bytes.Buffer
	w := NewWriter(&b)
	there := NewTotal()
	for i := range keys {
		if i < 6 {
			w.Skip(keys[i], values[i])
			there.Add(keys[i], values[i])
		} else if err := w.Add(keys[i], values[i]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.End(); err != nil {
		t.Fatal(err)
	}
	r := NewReader(&b)
	for {
		kind, payload, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		if kind == End {
			if err := there.Check(payload); err != nil {
				t.Fatal(err)
			}
			return
		}
		if err := ReadPairs(payload, func(key, value []byte) error { there.Add(key, value); return nil }); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTooLarge(t *testing.T) {
	if err := WriteFrame(io.Discard, 9, make([]byte, maxFrameBytes)); err == nil {
		t.Error("a frame above the limit was written")
	}
	if err := new(Total).Check([]byte("short")); !errors.Is(err, ErrDamaged) {
		t.Errorf("got %v", err)
	}
}

func FuzzReader(f *testing.F) {
	keys := [][]byte{[]byte("a"), []byte("b"), []byte("c")}
	f.Add(written(f, keys, [][]byte{nil, []byte("short"), make([]byte, 300)}))
	f.Add([]byte{0, 0, 0, 1, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _, err := readAll(b)
		if err != nil && !errors.Is(err, ErrDamaged) && !errors.Is(err, io.EOF) {
			t.Error(err)
		}
	})
}
