package meta

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/cockroachdb/pebble/v2/vfs"

	actorv1 "github.com/rouse-im/rouse/api/rouse/actor/v1"
	"github.com/rouse-im/rouse/cluster/memnet"
	"github.com/rouse-im/rouse/internal/quota"
	"github.com/rouse-im/rouse/storage"
)

var account = quota.Key{App: "app", Notifier: "n", Account: "1"}

// sharer is a node with one lane of a shared rate.
type sharer struct {
	leader *ShareLeader
	sys    *actor.ActorSystem
	cancel context.CancelFunc

	mu     sync.Mutex
	demand float64
	rate   float64
	until  time.Time
}

func (s *sharer) uses() float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !time.Now().Before(s.until) {
		return 0
	}
	return s.rate
}

// direct commits without a log.
func direct(s *storage.Store) func(uint64, []storage.Mutation, func(error)) {
	return func(_ uint64, ms []storage.Mutation, done func(error)) { s.Propose(storage.MetaShard, ms, done) }
}

// sure confirms every leadership.
func sure(_ uint64, done func(error)) { done(nil) }

// sharing is nodes over the same committed entries, of which one leads.
type sharing struct {
	nodes []*sharer
	net   *memnet.Net
	mu    sync.Mutex
	leads int
}

func (w *sharing) lead(i int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.leads = i
}

func (w *sharing) leading() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.leads
}

func newSharing(t *testing.T, n int) *sharing {
	t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	store, err := storage.Open("data", storage.Options{FS: vfs.NewMem(), Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	w := &sharing{net: memnet.New(memnet.Options{Latency: 10 * ms})}
	var running sync.WaitGroup
	t.Cleanup(running.Wait)
	for i := range n {
		s := &sharer{
			demand: 5000, leader: NewShareLeader(store, direct(store), sure, func(quota.Key) uint64 { return 3_000_000 }, 1),
			sys: actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return quiet })),
		}
		w.nodes = append(w.nodes, s)
		if err := w.net.Host(fmt.Sprint("n", i)).Attach(s.sys, ":9000"); err != nil {
			t.Fatal(err)
		}
	}
	for i, s := range w.nodes {
		asker, err := Start(Options{
			System: s.sys, Logger: quiet, Handlers: Handlers{Shares: s.leader.Ask},
			Leads: func() bool { return w.leading() == i }, Leader: func() string { return w.nodes[w.leading()].sys.Address() },
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		s.cancel = cancel
		shares := &Shares{Asker: asker, Node: uint64(i + 1), Logger: quiet, Now: time.Now, Lanes: func(time.Time) []SharedLane {
			s.mu.Lock()
			defer s.mu.Unlock()
			return []SharedLane{{Key: account, Demand: s.demand, Set: func(perSecond float64, until time.Time) {
				s.mu.Lock()
				defer s.mu.Unlock()
				s.rate, s.until = perSecond, until
			}}}
		}}
		running.Go(func() { shares.Run(ctx) })
		t.Cleanup(func() {
			cancel()
			asker.Stop()
			s.sys.Shutdown()
			<-time.After(10 * time.Second) // a throttle of dead letters ends with its period
		})
	}
	if err := w.nodes[0].leader.Lead(0, time.Now()); err != nil {
		t.Fatal(err)
	}
	return w
}

// pass lets time go by and checks at every 50 ms that the shares are within the
// limit.
func (w *sharing) pass(t *testing.T, d time.Duration) {
	t.Helper()
	for end := time.Now().Add(d); time.Now().Before(end); {
		<-time.After(50 * ms)
		sum := 0.0
		for _, s := range w.nodes {
			sum += s.uses()
		}
		if sum > 3000 {
			t.Fatalf("%v in use of 3000", sum)
		}
	}
}

func (w *sharing) want(t *testing.T, what string, least ...float64) {
	t.Helper()
	for i, s := range w.nodes {
		if got := s.uses(); got < least[i] {
			t.Errorf("%s: node %d uses %v, want %v at least", what, i, got, least[i])
		}
	}
}

// Three nodes share a rate by demand, through a partition and a fail-over, and
// never use more than there is.
func TestNodesShareARate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newSharing(t, 3)
		w.pass(t, 8*time.Second)
		w.want(t, "all busy", 950, 950, 950)
		w.nodes[2].mu.Lock()
		w.nodes[2].demand = 0
		w.nodes[2].mu.Unlock()
		w.pass(t, 8*time.Second)
		w.want(t, "one idle", 1350, 1350, 90)
		w.net.Partition([]string{"n0", "n1"}, []string{"n2"})
		w.pass(t, 4*time.Second)
		if w.nodes[2].uses() != 0 {
			t.Error("a node that is cut off uses its share for longer than its lease")
		}
		w.pass(t, 6*time.Second)
		w.want(t, "one cut off", 1450, 1450, 0)
		w.net.Heal()
		w.pass(t, 8*time.Second)
		w.want(t, "healed", 1300, 1300, 90)
		before := w.nodes[1].uses()
		w.lead(1)
		w.nodes[0].leader.Lose()
		if err := w.nodes[1].leader.Lead(0, time.Now()); err != nil {
			t.Fatal(err)
		}
		w.pass(t, 1500*ms)
		if w.nodes[0].uses() == 0 || w.nodes[1].uses() != before {
			t.Errorf("after a fail-over: %v and %v", w.nodes[0].uses(), w.nodes[1].uses())
		}
		w.nodes[0].cancel()
		w.pass(t, 10*time.Second)
		w.want(t, "one gone", 0, 2600, 90)
	})
}

// A node alone has all of the rate with the first answer.
func TestSoleNodeNeedNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newSharing(t, 1)
		w.pass(t, 50*ms)
		w.want(t, "alone", 3000)
	})
}

// What changes nothing is confirmed and not written, and refused if the leadership
// is not confirmed.
func TestRenewalIsConfirmed(t *testing.T) {
	store, err := storage.Open("data", storage.Options{FS: vfs.NewMem(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close() //nolint:errcheck // in memory
	var written, confirmed int
	var doubt error
	l := NewShareLeader(store, func(term uint64, ms []storage.Mutation, done func(error)) {
		written++
		direct(store)(term, ms, done)
	}, func(term uint64, done func(error)) {
		confirmed++
		if term != 7 {
			t.Errorf("term %d is to be confirmed", term)
		}
		done(doubt)
	}, func(quota.Key) uint64 { return 1000 }, 1)
	if err := l.Lead(7, time.Now()); err != nil {
		t.Fatal(err)
	}
	for seq := range uint64(5) {
		doubt = nil
		if seq == 3 {
			doubt = storage.ErrNotLeader
		}
		done := make(chan error, 1)
		l.Ask(requestOf(quota.Question{Node: 1, Run: 1, Seq: seq + 1, Wishes: []quota.Wish{{Key: account, Demand: 1}}}), func(g *actorv1.ShareGrant, fault error) {
			if fault == nil && g.GetShares()[0].GetRate() != 1000 {
				t.Errorf("question %d: %v", seq, g)
			}
			done <- fault
		})
		if err := <-done; !errors.Is(err, doubt) {
			t.Errorf("question %d: %v, want %v", seq, err, doubt)
		}
	}
	if written != 1 || confirmed != 4 {
		t.Errorf("%d entries and %d confirmations for five questions, of which the first gives a share", written, confirmed)
	}
}

// A former leader grants nothing: its entry does not commit.
func TestFormerLeaderGrantsNothing(t *testing.T) {
	store, err := storage.Open("data", storage.Options{FS: vfs.NewMem(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	l := NewShareLeader(store, direct(store), func(_ uint64, done func(error)) {
		v, err := store.View()
		if err == nil {
			err = v.Close()
		}
		done(err)
	}, func(quota.Key) uint64 { return 1000 }, 1)
	ask := func(seq uint64) (g *actorv1.ShareGrant, err error) {
		done := make(chan struct{})
		l.Ask(requestOf(quota.Question{Node: 1, Run: 1, Seq: seq, Wishes: []quota.Wish{{Key: account, Demand: 1}}}), func(m *actorv1.ShareGrant, fault error) {
			g, err = m, fault
			close(done)
		})
		<-done
		return g, err
	}
	if _, err := ask(1); !errors.Is(err, storage.ErrNotLeader) {
		t.Errorf("before Lead: %v", err)
	}
	if err := l.Lead(0, time.Now()); err != nil {
		t.Fatal(err)
	}
	if g, err := ask(2); err != nil || len(g.GetShares()) != 1 || g.GetShares()[0].GetRate() != 1000 {
		t.Errorf("%v, %v", g, err)
	}
	if _, err := ask(2); !errors.Is(err, errSuperseded) {
		t.Errorf("a question that was answered before: %v", err)
	}
	again := NewShareLeader(store, direct(store), l.confirm, l.limit, 1) // reads what is durable
	if err := again.Lead(0, time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := ask(3); !errors.Is(err, storage.ErrClosed) {
		t.Errorf("an entry that was refused: %v", err)
	}
	if l.busy || len(l.queue) != 0 {
		t.Error("something waits for ever")
	}
}
