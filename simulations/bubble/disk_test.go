package bubble

import (
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Of a log, what was synced survives a crash; of the rest, as much as is asked for.
func TestDiskCrashes(t *testing.T) {
	for _, tt := range []struct {
		percent int
		want    string
	}{{0, "synced"}, {100, "synced, lost"}} {
		d := newDisk()
		former, err := d.Create("000001.log", vfs.WriteCategoryUnspecified)
		if err != nil {
			t.Fatal(err)
		}
		dir, err := d.OpenDir("")
		if err != nil {
			t.Fatal(err)
		}
		write(t, former, strings.Repeat("x", 100))
		do(t, former.Sync, former.Close)
		f, err := d.ReuseForWrite("000001.log", "000002.log", vfs.WriteCategoryUnspecified)
		if err != nil {
			t.Fatal(err)
		}
		write(t, f, "syn")
		write(t, f, "ced")
		do(t, f.Sync, dir.Sync)
		write(t, f, ", lost")
		after := d.crash(tt.percent, rand.New(rand.NewPCG(1, 1)))
		write(t, f, ", written by what still runs")
		do(t, f.Sync, f.Close)
		if got, want := content(t, after, "000002.log"), tt.want+strings.Repeat("x", 100-len(tt.want)); got != want {
			t.Errorf("with %d %%: %q, want %q", tt.percent, got, want)
		}
		if n := len(d.logs); n > 0 {
			t.Errorf("%d closed logs are kept", n)
		}
	}
}

// A slow disk makes those wait who write a log, and not those who hold Pebble's
// mutex, for whom the clock of a bubble would stand still.
func TestSlowDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &machine{}
		m.slow.Store(int64(3 * time.Second))
		d := m.slowed(newDisk())
		f, err := d.Create("000001.log", vfs.WriteCategoryUnspecified)
		if err != nil {
			t.Fatal(err)
		}
		dir, err := d.OpenDir("")
		if err != nil {
			t.Fatal(err)
		}
		for _, tt := range []struct {
			what string
			sync func() error
			want time.Duration
		}{{"directory", dir.Sync, 0}, {"log", f.Sync, 3 * time.Second}, {"log's data", f.SyncData, 3 * time.Second}} {
			began := time.Now()
			do(t, tt.sync)
			if got := time.Since(began); got != tt.want {
				t.Errorf("syncing the %s took %v, want %v", tt.what, got, tt.want)
			}
		}
	})
}

func write(t *testing.T, f vfs.File, text string) {
	t.Helper()
	if _, err := io.WriteString(f, text); err != nil {
		t.Fatal(err)
	}
}

func do(t *testing.T, all ...func() error) {
	t.Helper()
	for _, f := range all {
		if err := f(); err != nil {
			t.Fatal(err)
		}
	}
}

func content(t *testing.T, fs vfs.FS, name string) string {
	t.Helper()
	f, err := fs.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	text, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
