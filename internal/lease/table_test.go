package lease

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/rouse-im/rouse/actors"
	"github.com/rouse-im/rouse/storage"
)

const ttl = 15 * time.Second

func open(t testing.TB, fs vfs.FS) (*Table, *storage.Store) {
	t.Helper()
	store, err := storage.Open("data", storage.Options{FS: fs, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	table, err := Open(Options{Store: store, TTL: ttl, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return table, store
}

func shut(t testing.TB, store *storage.Store) {
	t.Helper()
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
}

func node(name string, incarnation uint64) actors.Node {
	return actors.Node{Name: name, Incarnation: incarnation}
}

// run starts the clock of a table and returns what stops it.
func run(t *testing.T, table *Table) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var ended sync.WaitGroup
	ended.Go(func() { table.Run(ctx) })
	return func() { cancel(); ended.Wait() }
}

// pass lets time go by and all that follows from it be done.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func TestLeaseLivesForOneTTLAfterTheLastSignOfLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table, store := open(t, vfs.NewMem())
		defer shut(t, store)
		defer run(t, table)()
		live := func() bool { return table.Live("app", "im-1", 7, time.Now()) }
		if live() {
			t.Fatal("an unknown node is live")
		}
		if err := table.Grant("app", node("im-1", 7), time.Now()); err != nil {
			t.Fatal(err)
		}
		pass(10 * time.Second)
		if !table.Renew("app", node("im-1", 7), time.Now()) {
			t.Fatal("not renewed")
		}
		pass(ttl - 1)
		if !live() {
			t.Fatal("dead before its time")
		}
		pass(1 + ttl/looks)
		if live() {
			t.Fatal("live after its time")
		}
		if table.Renew("app", node("im-1", 7), time.Now()) {
			t.Fatal("a lease that ended was renewed")
		}
		if err := table.Grant("app", node("im-1", 7), time.Now()); err != nil || !live() {
			t.Fatalf("a node that returns under the same incarnation is not live: %v", err)
		}
	})
}

func TestOnlyTheGrantedNodeOfTheAppIsLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table, store := open(t, vfs.NewMem())
		defer shut(t, store)
		now := time.Now()
		if err := table.Grant("app", node("im-1", 7), now); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			app, name   string
			incarnation uint64
			want        bool
		}{
			{"app", "im-1", 7, true},
			{"app", "", 0, true},
			{"app", "im-1", 6, false},
			{"app", "im-1", 8, false},
			{"app", "im-2", 7, false},
			{"other", "im-1", 7, false},
		} {
			if got := table.Live(c.app, c.name, c.incarnation, now); got != c.want {
				t.Errorf("%v: got %t", c, got)
			}
		}
	})
}

func TestHigherIncarnationReplacesTheLower(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table, store := open(t, vfs.NewMem())
		defer shut(t, store)
		now := time.Now()
		for _, incarnation := range []uint64{5, 5, 9} {
			if err := table.Grant("app", node("im-1", incarnation), now); err != nil {
				t.Fatal(err)
			}
		}
		if table.Live("app", "im-1", 5, now) || !table.Live("app", "im-1", 9, now) {
			t.Fatal("the old incarnation is live, or the new one is not")
		}
		var stale *StaleError
		if err := table.Grant("app", node("im-1", 5), now); !errors.Is(err, ErrStale) || !errors.As(err, &stale) || stale.Newest != 9 {
			t.Fatalf("got %v", err)
		}
		if table.Renew("app", node("im-1", 5), now) {
			t.Fatal("a replaced incarnation was renewed")
		}
	})
}

func TestRestartGivesEveryNodeOneTTL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := vfs.NewCrashableMem()
		table, store := open(t, fs)
		if err := table.Grant("app", node("im-1", 5), time.Now()); err != nil {
			t.Fatal(err)
		}
		if err := table.Grant("app", node("im-1", 6), time.Now()); err != nil {
			t.Fatal(err)
		}
		if err := table.Grant("app", node("im-1", 5), time.Now()); !errors.Is(err, ErrStale) {
			t.Fatalf("got %v", err)
		}
		<-time.After(time.Hour)
		crashed := fs.CrashClone(vfs.CrashCloneCfg{})
		shut(t, store)

		table, store = open(t, crashed)
		defer shut(t, store)
		if !table.Live("app", "im-1", 6, time.Now()) || table.Live("app", "im-1", 5, time.Now()) {
			t.Fatal("the stored incarnation is not the live one")
		}
		if err := table.Grant("app", node("im-1", 5), time.Now()); !errors.Is(err, ErrStale) {
			t.Fatalf("got %v", err)
		}
		defer run(t, table)()
		pass(ttl - 1)
		if !table.Live("app", "im-1", 6, time.Now()) {
			t.Fatal("a node that may still come back is dead")
		}
		pass(1 + ttl/looks)
		if table.Live("app", "im-1", 6, time.Now()) {
			t.Fatal("a node that did not come back is live")
		}
	})
}

func TestSweepForgetsWhatRanOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := vfs.NewMem()
		table, store := open(t, fs)
		stop := run(t, table)
		for i := range 3 {
			if err := table.Grant("app", node(fmt.Sprint("im-", i), 5), time.Now()); err != nil {
				t.Fatal(err)
			}
		}
		for range 4 { // im-0 stays alive
			pass(ttl / 2)
			if !table.Renew("app", node("im-0", 5), time.Now()) {
				t.Fatal("not renewed")
			}
		}
		stop()
		if err := table.Grant("app", node("im-1", 3), time.Now()); err != nil {
			t.Fatalf("a forgotten node: %v", err)
		}
		shut(t, store)
		table, store = open(t, fs)
		defer shut(t, store)
		for name, want := range map[string]bool{"im-0": true, "im-1": true, "im-2": false} {
			if got := table.Live("app", name, 5, time.Now()) || table.Live("app", name, 3, time.Now()); got != want {
				t.Errorf("%s after the restart: %t", name, got)
			}
		}
	})
}

func TestNodesOfAnAppAreBounded(t *testing.T) {
	table, store := open(t, vfs.NewMem())
	defer shut(t, store)
	now := time.Now()
	var grants sync.WaitGroup
	for w := range 50 {
		grants.Go(func() {
			for i := range MaxNodes / 50 {
				if err := table.Grant("app", node(fmt.Sprint(w, "-", i), 1), now); err != nil {
					t.Error(err)
				}
			}
		})
	}
	grants.Wait()
	if err := table.Grant("app", node("more", 1), now); !errors.Is(err, ErrTooMany) {
		t.Fatalf("got %v", err)
	}
	if err := table.Grant("other", node("more", 1), now); err != nil {
		t.Fatal(err)
	}
	if got := table.Sweep(time.Now().Add(ttl)); got != MaxNodes+1 {
		t.Fatalf("%d swept", got)
	}
	if err := table.Grant("app", node("more", 1), now); err != nil {
		t.Fatalf("after the sweep: %v", err)
	}
}

func TestRefusedWriteLeavesNoTrace(t *testing.T) {
	table, store := open(t, vfs.NewMem())
	now := time.Now()
	if err := table.Grant("app", node("im-1", 5), now); err != nil {
		t.Fatal(err)
	}
	shut(t, store)
	for _, n := range []actors.Node{node("im-1", 6), node("im-2", 1)} {
		if err := table.Grant("app", n, now); !errors.Is(err, storage.ErrClosed) {
			t.Fatalf("got %v", err)
		}
	}
	if !table.Live("app", "im-1", 5, now) || table.Live("app", "im-1", 6, now) || table.Live("app", "im-2", 1, now) {
		t.Fatal("a lease changed without being stored")
	}
	if k := table.leader; len(k.newest) != 1 || k.newest[id{"app", "im-1"}] != 5 || k.nodes["app"] != 1 {
		t.Fatalf("left behind: %v %v", k.newest, k.nodes)
	}
}

// Many goroutines grant rising incarnations, renew and sweep; the highest one
// must win and Live must never go back to a lower one.
func TestConcurrentGrants(t *testing.T) {
	table, store := open(t, vfs.NewMem())
	defer shut(t, store)
	now := time.Now()
	const top = 200
	var all sync.WaitGroup
	for w := range 4 {
		all.Go(func() {
			for i := uint64(1); i <= top; i++ {
				err := table.Grant("app", node("im-1", i), now)
				if err != nil && !errors.Is(err, ErrStale) {
					t.Error(err)
				}
				if err == nil && w == 0 && table.Live("app", "im-1", i-1, now) {
					t.Errorf("%d is live after the answer to %d", i-1, i)
				}
			}
		})
	}
	all.Wait()
	if !table.Live("app", "im-1", top, now) || table.leader.nodes["app"] != 1 {
		t.Fatal("the highest incarnation is not the live one")
	}
}

func BenchmarkLive(b *testing.B) {
	table, store := open(b, vfs.NewMem())
	defer shut(b, store)
	now := time.Now()
	for i := range 100 {
		if err := table.Grant("app", node(fmt.Sprint("im-", i), 1), now); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		if !table.Live("app", "im-50", 1, now) {
			b.Fatal("not live")
		}
	}
}
