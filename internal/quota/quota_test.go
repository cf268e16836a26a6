package quota

import (
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/rouse-im/rouse/storage"
)

var (
	noon     = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	midnight = time.Date(2026, 11, 27, 0, 0, 0, 0, time.UTC)
)

func open(t *testing.T, fs vfs.FS, now time.Time) (*storage.Store, *Book) {
	t.Helper()
	s, err := storage.Open("db", storage.Options{FS: fs, Shards: 1, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	b, err := Open(Options{Store: s, Asks: &Asks{}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	b.Lead(0, now)
	return s, b
}

func take(t *testing.T, a *Account, class int, n, limit uint64, end, now time.Time) uint64 {
	t.Helper()
	done := make(chan uint64, 1)
	a.Take(class, n, limit, end, now, func(n uint64, err error) {
		if err != nil {
			t.Error(err)
		}
		done <- n
	})
	return <-done
}

func giveBack(a *Account, class int, n uint64, end time.Time) {
	done := make(chan struct{})
	a.Return(class, n, end, func() { close(done) })
	<-done
}

func TestUseOutlivesARestart(t *testing.T) {
	fs := vfs.NewMem()
	s, b := open(t, fs, noon)
	a := b.Account("app", "n", "1")
	if b.Account("app", "n", "1") != a || b.Account("app", "n", "2") == a {
		t.Error("an account is known by its names")
	}
	got := []uint64{take(t, a, 1, 60, 100, midnight, noon), take(t, a, 1, 60, 100, midnight, noon), take(t, a, 1, 60, 100, midnight, noon)}
	if diff := cmp.Diff([]uint64{60, 40, 0}, got); diff != "" {
		t.Errorf("taken (-want +got):\n%s", diff)
	}
	giveBack(a, 1, 30, midnight)
	giveBack(a, 1, 30, midnight.Add(time.Hour)) // of another day
	a.Exhaust(2, midnight, "33")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s, b = open(t, fs, noon)
	want := [Classes]Use{1: {Used: 70}, 2: {Until: midnight.Local(), Code: "33"}}
	if diff := cmp.Diff(want, b.Account("app", "n", "1").Today(noon)); diff != "" {
		t.Errorf("after the restart (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([Classes]Use{}, b.Account("app", "n", "1").Today(midnight)); diff != "" {
		t.Errorf("tomorrow (-want +got):\n%s", diff)
	}
	if got := take(t, b.Account("app", "n", "1"), 1, 60, 100, midnight.Add(24*time.Hour), midnight); got != 60 {
		t.Errorf("%d taken of the new day", got)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// Records of past days go: at a start, and when a day begins.
func TestPastDaysAreRemoved(t *testing.T) {
	fs := vfs.NewMem()
	s, b := open(t, fs, noon)
	stored := func() (accounts []string) {
		if err := s.Scan(storage.CatalogueRange(keyKind), func(key, _ []byte) bool {
			var parts [3]string
			if _, err := storage.ParseCatalogueKey(key, parts[:]); err != nil {
				t.Error(err)
			}
			accounts = append(accounts, parts[2])
			return true
		}); err != nil {
			t.Fatal(err)
		}
		return accounts
	}
	take(t, b.Account("app", "n", "old"), 0, 1, 1, midnight, noon)
	b.Account("app", "n", "word").Exhaust(0, midnight.Add(time.Hour), "")
	take(t, b.Account("app", "n", "new"), 0, 1, 1, midnight.Add(24*time.Hour), midnight)
	take(t, b.Account("app", "n", "new"), 1, 1, 1, midnight.Add(24*time.Hour), midnight) // after the deletion
	if diff := cmp.Diff([]string{"new", "word"}, stored()); diff != "" {
		t.Errorf("stored (-want +got):\n%s", diff)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s, b = open(t, fs, midnight.Add(48*time.Hour))
	giveBack(b.Account("app", "n", "x"), 0, 0, noon)
	take(t, b.Account("app", "n", "last"), 0, 1, 1, midnight.Add(72*time.Hour), midnight.Add(48*time.Hour))
	if diff := cmp.Diff([]string{"last"}, stored()); diff != "" {
		t.Errorf("stored (-want +got):\n%s", diff)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// What the store refuses is not taken.
func TestClosedStore(t *testing.T) {
	s, b := open(t, vfs.NewMem(), noon)
	a := b.Account("app", "n", "1")
	take(t, a, 0, 10, 100, midnight, noon)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	failed := make(chan error, 1)
	a.Take(0, 10, 100, midnight, noon, func(n uint64, err error) {
		if n != 0 {
			t.Errorf("%d taken", n)
		}
		failed <- err
	})
	if err := <-failed; !errors.Is(err, storage.ErrClosed) {
		t.Errorf("%v", err)
	}
}

func TestRecord(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var r record
		second := func(name string) time.Time {
			if s := rapid.Int64Range(0, 1<<35).Draw(t, name); s > 0 {
				return time.Unix(s, 0)
			}
			return time.Time{}
		}
		r.end = second("end")
		for c := range r.uses {
			r.uses[c] = Use{rapid.Uint64().Draw(t, "used"), second("until"), rapid.StringN(0, 20, maxCode).Draw(t, "code")}
		}
		got, err := parse(r.encode(nil))
		if err != nil || got != r {
			t.Fatalf("%+v became %+v, %v", r, got, err)
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add((&record{end: noon, uses: [Classes]Use{{Used: 1, Until: midnight, Code: "c"}}}).encode(nil))
	f.Add([]byte(strings.Repeat("\x01", 40)))
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := parse(b); err == nil {
			if again, err := parse(r.encode(nil)); err != nil || again != r {
				t.Errorf("%x: %+v, then %+v, %v", b, r, again, err)
			}
		}
	})
}

// TestClockWasAYearAhead: what a clock wrote that has been set back since keeps
// nobody from sending for a year.
func TestClockWasAYearAhead(t *testing.T) {
	s, b := open(t, vfs.NewMem(), noon)
	a, year := b.Account("app", "n", "1"), 365*24*time.Hour
	if got := take(t, a, 1, 60, 100, midnight.Add(year), noon.Add(year)); got != 60 {
		t.Errorf("%d taken", got)
	}
	a.Exhaust(2, midnight.Add(year), "33")
	if got := take(t, a, 1, 60, 100, midnight, noon); got != 40 {
		t.Errorf("%d taken, want what is left", got)
	}
	if use := a.Today(noon)[2]; !use.Until.IsZero() || use.Code != "" {
		t.Errorf("a word of next year counts: %+v", use)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
