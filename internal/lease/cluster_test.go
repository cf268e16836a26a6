package lease

import (
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/rouse-im/rouse/actors"
	"github.com/rouse-im/rouse/storage"
)

var errCut = errors.New("cut off")

// pair is two nodes over the same committed entries; asks of one go to whichever
// leads, as long as it is not cut off.
type pair struct {
	nodes [2]*Table
	leads atomic.Int32
	cut   atomic.Bool
	tells atomic.Int32
}

func newPair(t *testing.T) (*pair, *storage.Store) {
	t.Helper()
	store, err := storage.Open("data", storage.Options{FS: vfs.NewMem(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	p := &pair{}
	for i := range p.nodes {
		p.nodes[i], err = Open(Options{
			Store: store, TTL: ttl, Logger: slog.New(slog.DiscardHandler),
			Grant: func(app string, node actors.Node, done func(error)) {
				if p.cut.Load() {
					done(errCut)
					return
				}
				p.nodes[p.leads.Load()].GrantHere(app, node, done)
			},
			Renew: func(signs []Sign, done func(error)) {
				p.tells.Add(1)
				if p.cut.Load() {
					done(errCut)
					return
				}
				p.nodes[p.leads.Load()].Renewed(signs)
				done(nil)
			},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	p.nodes[0].Lead(0)
	return p, store
}

func (p *pair) live() [2]bool {
	return [2]bool{p.nodes[0].Live("app", "im-1", 7, time.Now()), p.nodes[1].Live("app", "im-1", 7, time.Now())}
}

// An IM node at a follower lives as long as it speaks there, everywhere, and is
// dead everywhere one ttl after its last word.
func TestSignsOfLifeReachTheLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, store := newPair(t)
		defer shut(t, store)
		defer run(t, p.nodes[0])()
		defer run(t, p.nodes[1])()
		follower := p.nodes[1]
		if err := follower.Grant("app", node("im-1", 7), time.Now()); err != nil {
			t.Fatal(err)
		}
		for range 30 {
			pass(ttl / 3)
			if !follower.Renew("app", node("im-1", 7), time.Now()) {
				t.Fatal("not renewed")
			}
		}
		if p.live() != [2]bool{true, true} {
			t.Fatalf("while it speaks: %v", p.live())
		}
		if n := p.tells.Load(); n > 40 {
			t.Errorf("the leader was told %d times in ten ttls", n)
		}
		pass(ttl - ttl/looks)
		if p.live() != [2]bool{true, true} {
			t.Fatalf("before its time: %v", p.live())
		}
		pass(3 * ttl / looks)
		if p.live() != [2]bool{} {
			t.Fatalf("after its time: %v", p.live())
		}
	})
}

// A new leader gives every lease one full ttl; the old one ends none any more.
func TestNewLeaderGivesOneTTL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, store := newPair(t)
		defer shut(t, store)
		defer run(t, p.nodes[0])()
		defer run(t, p.nodes[1])()
		if err := p.nodes[0].Grant("app", node("im-1", 7), time.Now()); err != nil {
			t.Fatal(err)
		}
		pass(ttl - time.Second)
		p.nodes[0].Lose()
		pass(5 * time.Second) // nobody leads
		p.leads.Store(1)
		p.nodes[1].Lead(0)
		pass(ttl - 1)
		if p.live() != [2]bool{true, true} {
			t.Fatalf("before the new term: %v", p.live())
		}
		var stale *StaleError
		if err := p.nodes[0].Grant("app", node("im-1", 6), time.Now()); !errors.As(err, &stale) || stale.Newest != 7 {
			t.Fatalf("got %v", err)
		}
		pass(1 + ttl/looks)
		if p.live() != [2]bool{} {
			t.Fatalf("after it: %v", p.live())
		}
		done := make(chan error, 1)
		p.nodes[0].GrantHere("app", node("im-1", 8), func(err error) { done <- err })
		if err := <-done; !errors.Is(err, storage.ErrNotLeader) {
			t.Fatalf("a former leader granted: %v", err)
		}
	})
}

// Signs of life that did not reach the leader are told again.
func TestLostRenewalIsRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, store := newPair(t)
		defer shut(t, store)
		defer run(t, p.nodes[0])()
		defer run(t, p.nodes[1])()
		if err := p.nodes[1].Grant("app", node("im-1", 7), time.Now()); err != nil {
			t.Fatal(err)
		}
		pass(ttl / 2)
		p.cut.Store(true)
		if err := p.nodes[1].Grant("app", node("im-2", 1), time.Now()); !errors.Is(err, errCut) {
			t.Fatalf("got %v", err)
		}
		p.nodes[1].Renew("app", node("im-1", 7), time.Now())
		pass(ttl / 4)
		p.cut.Store(false)
		pass(ttl/2 + ttl/4 - time.Second) // less than one ttl after the sign
		if p.live() != [2]bool{true, true} {
			t.Fatalf("within a ttl of the sign: %v", p.live())
		}
		pass(time.Second + 2*ttl/looks)
		if p.live() != [2]bool{} {
			t.Fatalf("after it: %v", p.live())
		}
	})
}

// A deletion that was not written is tried again.
func TestRefusedSweepIsRepeated(t *testing.T) {
	table, store := open(t, vfs.NewMem())
	now := time.Now()
	if err := table.Grant("app", node("im-1", 5), now); err != nil {
		t.Fatal(err)
	}
	shut(t, store)
	for range 2 {
		if n := table.Sweep(now.Add(2 * ttl)); n != 1 {
			t.Fatalf("%d swept", n)
		}
	}
}

// A snapshot takes the place of all leases.
func TestReloadTakesWhatIsStored(t *testing.T) {
	table, store := open(t, vfs.NewMem())
	defer shut(t, store)
	if err := table.Grant("app", node("im-1", 5), time.Now()); err != nil {
		t.Fatal(err)
	}
	kept := table.index.find(id{"app", "im-1"})
	table.index.change(map[id]*lease{{"app", "gone"}: {incarnation: 1}})
	table.apply(nil)
	if table.Live("app", "gone", 1, time.Now()) || table.index.find(id{"app", "im-1"}) != kept {
		t.Fatal("what is shown is not what is stored, or a sign of life was forgotten")
	}
}

// Grants and ends of leases are written under the term in which they were decided.
func TestEntriesNameTheirTerm(t *testing.T) {
	store, err := storage.Open("data", storage.Options{FS: vfs.NewMem(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer shut(t, store)
	term := uint64(7)
	table, err := Open(Options{
		Store: store, TTL: ttl, Logger: slog.New(slog.DiscardHandler), Grant: func(_ string, _ actors.Node, done func(error)) { done(errCut) },
		Propose: func(of uint64, ms []storage.Mutation, done func(error)) {
			if of != term {
				done(storage.ErrNotLeader)
				return
			}
			store.Propose(storage.MetaShard, ms, done)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	table.Lead(7)
	if err := table.Grant("app", node("im-1", 7), time.Now()); err != nil {
		t.Fatal(err)
	}
	term = 9
	if err := table.Grant("app", node("im-2", 1), time.Now()); !errors.Is(err, storage.ErrNotLeader) {
		t.Errorf("granted under a term that is over: %v", err)
	}
	table.Sweep(time.Now().Add(2 * ttl))
	if !table.Live("app", "im-1", 7, time.Now()) {
		t.Error("ended under a term that is over")
	}
	table.Lead(9)
	if err := table.Grant("app", node("im-2", 1), time.Now()); err != nil {
		t.Error(err)
	}
}
