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
	return formats{current: 3, migrations: []migration{
		{from: 2, to: 3, run: step("b")},
		{from: 1, to: 2, run: step("a")},
	}}
}

func TestUpgradeRunsInOrderAndResumes(t *testing.T) {
	fs := vfs.NewMem()
	if err := openTest(t, fs).Close(); err != nil {
		t.Fatal(err)
	}
	release := &planted{cut: "b"}
	for range 2 {
		if _, err := open("data/store", quiet(fs), release.formats()); !errors.Is(err, errCut) || !strings.Contains(err.Error(), "from format 2 to 3") {
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
		if err != nil || binary.BigEndian.Uint32(version) != 3 {
			t.Errorf("version %x, %v", version, err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Open("data/store", quiet(fs)); !errors.Is(err, ErrNewerFormat) || !strings.Contains(err.Error(), "has format 3") {
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
