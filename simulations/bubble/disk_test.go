package bubble

import (
	"context"
	"io"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/rouse-im/rouse/cluster/memnet"
	"github.com/rouse-im/rouse/storage"
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
		after := d.crash(tt.percent, 1)
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

// A slow disk makes those wait who sync, and nobody who holds a mutex of Pebble's,
// for whom the clock of a bubble would stand still: memtables are full here, and logs
// end, while somebody else writes.
func TestSlowDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &process{m: &machine{}}
		p.m.slow.Store(int64(3 * time.Second))
		s, err := storage.Open("db", storage.Options{
			FS: p.watched(newDisk()), BeforeSync: p.m.wait, Shards: 1, MemTableBytes: 256 << 10, Logger: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			t.Fatal(err)
		}
		const commits = 20
		began, value := time.Now(), make([]byte, 50<<10)
		commit := func(sync bool) {
			b := s.NewBatch()
			for range commits {
				b.SetState(1, storage.AppliedState, value)
				if err := b.Commit(sync); err != nil {
					t.Error(err)
				}
				if !sync {
					<-time.After(time.Second)
				}
			}
		}
		var others sync.WaitGroup
		others.Go(func() { commit(false) })
		commit(true)
		if took := time.Since(began); took != commits*3*time.Second {
			t.Errorf("%d synced commits took %v", commits, took)
		}
		others.Wait()
		do(t, s.Close)
	})
}

// A sync that fails is the end of its run, and of no other: what it would have
// made durable may be lost, what was synced before is not.
func TestFailingSync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &Engine{net: memnet.New(memnet.Options{}), fate: &fate{r: rand.New(rand.NewPCG(1, 2))}}
		m := &machine{e: e, name: "node-0", disk: newDisk()}
		run := func() *process {
			_, cancel := context.WithCancel(t.Context())
			p := &process{m: m, dead: make(chan struct{}), cancel: cancel}
			m.run.Store(p)
			return p
		}
		dies := func(p *process) bool {
			select {
			case <-p.dead:
				return true
			default:
				return false
			}
		}
		first, before := run(), m.disk
		f, err := first.watched(before).Create("000001.log", vfs.WriteCategoryUnspecified)
		if err != nil {
			t.Fatal(err)
		}
		dir, err := before.OpenDir("")
		if err != nil {
			t.Fatal(err)
		}
		write(t, f, "synced")
		do(t, f.Sync, dir.Sync)
		if dies(first) {
			t.Fatal("a disk that is well ends a run")
		}
		m.failing.Store(true)
		write(t, f, ", maybe")
		do(t, f.Sync)
		if !dies(first) || m.disk == before {
			t.Fatal("a failing sync does not end the run")
		}
		if got := content(t, m.disk, "000001.log"); !strings.HasPrefix("synced, maybe", got) || len(got) < len("synced") {
			t.Errorf("the next run finds %q", got)
		}
		second := run()
		do(t, f.Sync)
		if dies(second) {
			t.Error("what still runs of a dead node ends the next run")
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
