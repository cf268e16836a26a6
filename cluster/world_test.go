package cluster

import (
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	actorv1 "github.com/rouse-im/rouse/api/rouse/actor/v1"
	"github.com/rouse-im/rouse/cluster/memnet"
)

const gossipPort = 7946

// world is a cluster on a network in memory, on fake time.
type world struct {
	t       *testing.T
	net     *memnet.Net
	up      map[string]*Membership
	runs    map[string]int
	changed chan struct{}
	keys    func() *Keyring
}

func newWorld(t *testing.T, o memnet.Options) *world {
	w := &world{t: t, net: memnet.New(o), up: map[string]*Membership{}, runs: map[string]int{}, changed: make(chan struct{}, 1)}
	t.Cleanup(func() {
		w.net.Heal()
		for _, m := range w.up {
			if err := m.Close(); err != nil {
				t.Error(err)
			}
		}
		<-time.After(time.Minute) // memberlist's last timers
	})
	return w
}

func quiet() *slog.Logger {
	if os.Getenv("GOSSIP_LOG") != "" {
		return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	return slog.New(slog.DiscardHandler)
}

func (w *world) options(name string, seeds ...string) Options {
	w.t.Helper()
	g, err := w.net.Host(name).Gossip(fmt.Sprint(":", gossipPort))
	if err != nil {
		w.t.Fatal(err)
	}
	w.runs[name]++
	host := w.net.Host(name)
	o := Options{
		Name: name, Label: "test", Transport: g, Resolve: w.net.LookupHost, Logger: quiet().With("node", name),
		Self:    Member{Node: uint64(len(w.runs)), System: fmt.Sprint("system-", name, "-", w.runs[name]), Version: "v1", Addresses: &actorv1.NodeAddresses{Actors: host.Addr(9000), Peers: host.Addr(9001)}},
		Changed: func([]Member) { wake(w.changed) },
	}
	for _, s := range seeds {
		o.Seeds = append(o.Seeds, fmt.Sprint(s, ":", gossipPort))
	}
	if w.keys != nil {
		o.Keys = w.keys()
	}
	return o
}

func (w *world) start(o Options) *Membership {
	w.t.Helper()
	m, err := Join(o)
	if err != nil {
		w.t.Fatal(err)
	}
	w.up[o.Name] = m
	return m
}

func (w *world) join(name string, seeds ...string) *Membership {
	w.t.Helper()
	return w.start(w.options(name, seeds...))
}

// grow starts n nodes a, b, ...; the seeds of all are the first two.
func (w *world) grow(n int) []string {
	w.t.Helper()
	var names []string
	for i := range n {
		names = append(names, fmt.Sprintf("n%02d", i))
		w.net.Host(names[i])
	}
	for _, name := range names {
		w.join(name, names[:min(2, n)]...)
	}
	w.within(10*time.Second, "all meet", w.allSee(names...))
	return names
}

func (w *world) crash(name string) {
	w.net.Crash(name)
	_ = w.up[name].Close() // its goroutines; nobody hears of it
	delete(w.up, name)
}

// within waits for a state that members bring about, and returns how long it took.
func (w *world) within(d time.Duration, what string, is func() bool) time.Duration {
	w.t.Helper()
	start := time.Now()
	limit := time.NewTimer(d)
	defer limit.Stop()
	for !is() {
		select {
		case <-w.changed:
		case <-limit.C:
			for _, name := range slices.Sorted(maps.Keys(w.up)) {
				w.t.Logf("%s sees %v", name, seen(w.up[name]))
			}
			w.t.Fatalf("not within %v: %s", d, what)
		}
	}
	return time.Since(start)
}

func seen(m *Membership) (ids []string) {
	for _, x := range m.Members() {
		ids = append(ids, x.Name+"="+x.ID())
	}
	return ids
}

func names(m *Membership) (names []string) {
	for _, x := range m.Members() {
		names = append(names, x.Name)
	}
	return names
}

// allSee: everybody named sees exactly those.
func (w *world) allSee(who ...string) func() bool {
	slices.Sort(who)
	return func() bool {
		for _, name := range who {
			if !slices.Equal(names(w.up[name]), who) {
				return false
			}
		}
		return true
	}
}

func member(m *Membership, name string) Member {
	for _, x := range m.Members() {
		if x.Name == name {
			return x
		}
	}
	return Member{}
}

// blocklist gives up the ids of members that left for ever, as protoactor does,
// and says so when one is there again.
type blocklist struct {
	mu            sync.Mutex
	blocked, last map[string]bool
}

func (b *blocklist) has(id string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.blocked[id]
}

func (b *blocklist) watch(m *Membership) {
	b.blocked, b.last = map[string]bool{}, map[string]bool{}
	m.Watch(func(now []Member) {
		b.mu.Lock()
		defer b.mu.Unlock()
		ids := map[string]bool{}
		for _, x := range now {
			ids[x.ID()] = true
			if b.blocked[x.ID()] {
				m.Exile(x.ID())
			}
		}
		for id := range b.last {
			if !ids[id] {
				b.blocked[id] = true
			}
		}
		b.last = ids
	})
}

func long(n int) string { return strings.Repeat("x", n) }

func systemLog(*actor.ActorSystem) *slog.Logger { return quiet() }
