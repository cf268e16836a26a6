package storage

import (
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// planted is a future release: two migrations that append to one key, each in
// two steps, the second of which may be cut off.
type planted struct{ cut string }

var errCut = errors.New("power cut")

func (p *planted) formats() formats {
	step := func(name string) func(*pebble.DB) error {
		return func(db *pebble.DB) error {
			key := []byte("mtrail")
			trail, err := getCopy(db, key)
			if err != nil && !errors.Is(err, pebble.ErrNotFound) {
				return err
			}
			if !strings.HasSuffix(string(trail), name) { // idempotent
				if err := db.Set(key, append(trail, name...), pebble.Sync); err != nil {
					return err
				}
			}
			if p.cut == name {
				return errCut
			}
			return nil
		}
	}
	return formats{current: 4, migrations: []migration{
		{from: 3, to: 4, run: step("b")},
		{from: 2, to: 3, run: step("a")},
	}}
}

func TestUpgradeRunsInOrderAndResumes(t *testing.T) {
	fs := vfs.NewMem()
	if err := openTest(t, fs).Close(); err != nil {
		t.Fatal(err)
	}
	release := &planted{cut: "b"}
	for range 2 {
		if _, err := open("data/store", quiet(fs), release.formats()); !errors.Is(err, errCut) || !strings.Contains(err.Error(), "from format 3 to 4") {
			t.Fatalf("got %v", err)
		}
	}
	release.cut = ""
	for range 2 {
		s, err := open("data/store", quiet(fs), release.formats())
		if err != nil {
			t.Fatal(err)
		}
		trail, err := s.Get([]byte("mtrail"))
		if err != nil || string(trail) != "ab" {
			t.Errorf("migrations left %q, %v", trail, err)
		}
		version, err := s.Get(formatKey)
		if err != nil || binary.BigEndian.Uint32(version) != 4 {
			t.Errorf("version %x, %v", version, err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Open("data/store", quiet(fs)); !errors.Is(err, ErrNewerFormat) || !strings.Contains(err.Error(), "has format 4") {
		t.Errorf("an old release opened a newer store: %v", err)
	}
}

func TestUpgradeNeedsAWholeChain(t *testing.T) {
	fs := vfs.NewMem()
	if err := openTest(t, fs).Close(); err != nil {
		t.Fatal(err)
	}
	gap := (&planted{}).formats()
	gap.migrations = gap.migrations[:1]
	if _, err := open("data/store", quiet(fs), gap); err == nil || !strings.Contains(err.Error(), "older release first") {
		t.Fatalf("got %v", err)
	}
	if err := openTest(t, fs).Close(); err != nil {
		t.Fatalf("the refused open changed the store: %v", err)
	}
}

func TestNewStoreStartsAtTheCurrentFormat(t *testing.T) {
	s, err := open("d", quiet(vfs.NewMem()), (&planted{cut: "a"}).formats())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestReleasedChain: every format since the first leads to the current one.
func TestReleasedChain(t *testing.T) {
	for v := uint32(1); v < released.current; v++ {
		if _, ok := released.from(v); !ok {
			t.Errorf("no migration from format %d", v)
		}
	}
}

// TestUpgradeFromFormat1: a store without logs opens, keeps its data, and is
// closed to older releases from then on.
func TestUpgradeFromFormat1(t *testing.T) {
	fs := vfs.NewMem()
	first := formats{current: 1}
	s, err := open("data/store", quiet(fs), first)
	if err != nil {
		t.Fatal(err)
	}
	key := AppendUserKey(nil, 1, "a", "u")
	if err := errors.Join(put(s, 1, set(key, "v")), s.Close()); err != nil {
		t.Fatal(err)
	}
	s = openTest(t, fs)
	if v, err := s.Get(key); err != nil || string(v) != "v" {
		t.Errorf("got %q, %v", v, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := open("data/store", quiet(fs), first); !errors.Is(err, ErrNewerFormat) {
		t.Errorf("a release of format 1 opened it again: %v", err)
	}
}
