package quota

import (
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	actorv1 "github.com/rouse-im/rouse/api/rouse/actor/v1"
	"github.com/rouse-im/rouse/storage"
)

var errLost = errors.New("lost")

// nodes are books over the same committed entries, of which one leads. Asks are
// answered at once; an answer may be lost.
type nodes struct {
	now   time.Time
	books [3]*Book
	leads int
	// lost decides whether the next answer is lost.
	lost func() bool
}

func newNodes(t interface{ Fatal(...any) }, store *storage.Store) *nodes {
	n := &nodes{now: noon, lost: func() bool { return false }}
	for i := range n.books {
		var err error
		n.books[i], err = Open(Options{Store: store, Logger: slog.New(slog.DiscardHandler), Asks: &Asks{
			Take: func(m *actorv1.QuotaTake, done func(uint64, error)) {
				n.books[n.leads].TakeHere(m, n.now, n.answer(done))
			},
			Return: func(m *actorv1.QuotaReturn, done func(error)) {
				n.books[n.leads].ReturnHere(m, done)
			},
			Exhaust: func(m *actorv1.QuotaExhaust) { n.books[n.leads].ExhaustHere(m, func(error) {}) },
		}})
		if err != nil {
			t.Fatal(err)
		}
	}
	n.books[0].Lead(0, noon)
	return n
}

func (n *nodes) answer(done func(uint64, error)) func(uint64, error) {
	if n.lost() {
		return func(uint64, error) { done(0, errLost) }
	}
	return done
}

func memStore(t interface{ Fatal(...any) }) *storage.Store {
	s, err := storage.Open("db", storage.Options{FS: vfs.NewMem(), Shards: 1, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// got takes a block as a node's lane does.
func (n *nodes) got(node int, size, limit uint64, end time.Time) (uint64, error) {
	type answer struct {
		n   uint64
		err error
	}
	done := make(chan answer, 1)
	n.books[node].Account("app", "n", "1").Take(1, size, limit, end, n.now, func(got uint64, err error) { done <- answer{got, err} })
	a := <-done
	return a.n, a.err
}

// Never more is handed out in a day than the limit, whatever is lost and
// whoever leads; what is lost may be wasted.
func TestNeverMoreThanTheLimit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		store := memStore(t)
		defer store.Close() //nolint:errcheck // a test's
		n := newNodes(t, store)
		limit := rapid.Uint64Range(1, 100).Draw(t, "limit")
		end := midnight
		var held [3]uint64 // blocks of the day that a node has
		sent, wasted := uint64(0), uint64(0)
		n.lost = func() bool { return rapid.Bool().Draw(t, "lost") }
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			node := rapid.IntRange(0, 2).Draw(t, "node")
			switch rapid.SampledFrom([]string{"take", "take", "return", "send", "lead", "tomorrow", "crash"}).Draw(t, "do") {
			case "take":
				before := n.books[n.leads].leader.records[id{"app", "n", "1"}]
				used := uint64(0)
				if before != nil && before.end.Equal(end) {
					used = before.uses[1].Used
				}
				got, err := n.got(node, rapid.Uint64Range(1, 20).Draw(t, "n"), limit, end)
				if err == nil {
					held[node] += got
				} else if after := n.books[n.leads].leader.records[id{"app", "n", "1"}]; after != nil {
					wasted += after.uses[1].Used - used
				}
			case "return":
				back := min(held[node], rapid.Uint64Range(0, 20).Draw(t, "n"))
				done := make(chan struct{})
				n.books[node].Account("app", "n", "1").Return(1, back, end, func() { close(done) })
				<-done
				held[node] -= back
			case "send":
				sent += held[node]
				held[node] = 0
			case "lead":
				n.books[n.leads].Lose()
				n.leads = node
				n.books[node].Lead(0, n.now)
			case "tomorrow":
				n.now, end = end, end.Add(24*time.Hour)
				held, sent, wasted = [3]uint64{}, 0, 0
			case "crash":
				wasted += held[node]
				held[node] = 0
			}
			out := sent + held[0] + held[1] + held[2]
			if out > limit {
				t.Fatalf("%d of %d are handed out", out, limit)
			}
			if used := n.books[node].Account("app", "n", "1").Today(n.now)[1].Used; used != out+wasted {
				t.Fatalf("%d are used by what node %d sees, %d were handed out and %d wasted", used, node, out, wasted)
			}
		}
	})
}

// Nodes whose clocks differ do not begin the day twice, and do not lose it.
func TestClocksAroundMidnight(t *testing.T) {
	tomorrow := midnight.Add(24 * time.Hour)
	for name, c := range map[string]struct {
		at, end time.Time
		want    uint64
		err     error
		used    uint64 // of the day of the record, after it
	}{
		"same day":                    {noon, midnight, 10, nil, 60},
		"ahead, within the tolerance": {midnight.Add(-time.Second), tomorrow, 10, nil, 10},
		"far ahead":                   {midnight.Add(-time.Minute), tomorrow, 0, errDay, 50},
		"behind":                      {midnight.Add(time.Second), midnight, 0, errDay, 50},
		"in time":                     {midnight, tomorrow, 10, nil, 10},
		"zone moved west":             {noon, midnight.Add(8 * time.Hour), 10, nil, 60},
		"zone moved east":             {noon, midnight.Add(-8 * time.Hour), 10, nil, 60},
	} {
		t.Run(name, func(t *testing.T) {
			r := record{end: midnight, uses: [Classes]Use{1: {Used: 50}}}
			got, _, err := r.take(1, 10, 100, c.end, c.at)
			if got != c.want || !errors.Is(err, c.err) || r.uses[1].Used != c.used {
				t.Errorf("%d, %v, %d used", got, err, r.uses[1].Used)
			}
		})
	}
	// A slow node asks for the day that another node has ended.
	r := record{end: midnight, uses: [Classes]Use{1: {Used: 100}}}
	for _, c := range []struct {
		end  time.Time
		want uint64
	}{{tomorrow, 10}, {midnight, 0}, {tomorrow, 10}} {
		if got, _, _ := r.take(1, 10, 100, c.end, midnight.Add(-time.Second)); got != c.want {
			t.Errorf("%d taken of the day that ends at %v, want %d", got, c.end, c.want)
		}
	}
	if r.uses[1].Used != 20 {
		t.Errorf("%d are used of the new day", r.uses[1].Used)
	}
}

// What one node learns of the vendor is seen by all; a node that does not lead
// counts nothing.
func TestAllNodesSeeTheVendorsWord(t *testing.T) {
	store := memStore(t)
	defer store.Close() //nolint:errcheck // a test's
	n := newNodes(t, store)
	n.books[2].Account("app", "n", "1").Exhaust(3, midnight, "33")
	if _, err := n.got(1, 5, 10, midnight); err != nil { // committed after the word
		t.Fatal(err)
	}
	want := [Classes]Use{1: {Used: 5}, 3: {Until: midnight.Local(), Code: "33"}}
	for i, b := range n.books {
		if diff := cmp.Diff(want, b.Account("app", "n", "1").Today(noon)); diff != "" {
			t.Errorf("node %d (-want +got):\n%s", i, diff)
		}
	}
	n.books[1].TakeHere(&actorv1.QuotaTake{N: 1, Limit: 1, EndMs: midnight.UnixMilli()}, noon, func(got uint64, err error) {
		if got != 0 || !errors.Is(err, storage.ErrNotLeader) {
			t.Errorf("a follower gave %d, %v", got, err)
		}
	})
	n.books[0].TakeHere(&actorv1.QuotaTake{N: 1, Limit: 1, Class: Classes, EndMs: midnight.UnixMilli()}, noon, func(got uint64, err error) {
		if got != 0 || err == nil {
			t.Errorf("of an unknown class: %d, %v", got, err)
		}
	})
}

// A snapshot takes the place of all records.
func TestReload(t *testing.T) {
	s, b := open(t, vfs.NewMem(), noon)
	defer s.Close() //nolint:errcheck // a test's
	take(t, b.Account("app", "n", "1"), 1, 7, 100, midnight, noon)
	b.view = map[id]record{{"app", "n", "gone"}: {}}
	b.apply(nil)
	if len(b.view) != 1 || b.Account("app", "n", "1").Today(noon)[1].Used != 7 {
		t.Errorf("%+v", b.view)
	}
}

// A block is written under the term that it was counted in: what a later leader
// counted is not overwritten by one who lost the lead and has it again.
func TestEntriesNameTheirTerm(t *testing.T) {
	store := memStore(t)
	defer store.Close() //nolint:errcheck // a test's
	term := uint64(7)
	b, err := Open(Options{Store: store, Asks: &Asks{}, Logger: slog.New(slog.DiscardHandler), Propose: func(of uint64, ms []storage.Mutation, done func(error)) {
		if of != term {
			done(storage.ErrNotLeader)
			return
		}
		store.Propose(storage.MetaShard, ms, done)
	}})
	if err != nil {
		t.Fatal(err)
	}
	b.Lead(7, noon)
	a := b.Account("app", "n", "1")
	if got := take(t, a, 1, 10, 100, midnight, noon); got != 10 {
		t.Errorf("%d taken", got)
	}
	term = 9
	refused := make(chan error, 1)
	a.Take(1, 10, 100, midnight, noon, func(n uint64, err error) {
		if n != 0 {
			t.Errorf("%d taken under a term that is over", n)
		}
		refused <- err
	})
	if err := <-refused; !errors.Is(err, storage.ErrNotLeader) {
		t.Error(err)
	}
	b.Lead(9, noon)
	if got := take(t, a, 1, 100, 100, midnight, noon); got != 90 {
		t.Errorf("%d taken, 90 are left", got)
	}
}
