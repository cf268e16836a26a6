package replica

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"testing"

	"github.com/rouse-im/rouse/storage"
)

// push is the entry of one push: record, outbox in, outbox out, outcome.
func push(shard uint16, n int) []storage.Mutation {
	user, message := fmt.Sprintf("user-%07d", n%10_000), fmt.Sprintf("message-%012d", n)
	box := storage.AppendOutboxKey(nil, storage.OutboxKey{Shard: shard, DueMilli: uint64(n), App: "app", User: user, Message: message})
	return []storage.Mutation{
		{Op: storage.Set, Key: storage.AppendUserKey(nil, shard, "app", user), Value: make([]byte, 400)},
		{Op: storage.Set, Key: box, Value: make([]byte, 200)},
		{Op: storage.Delete, Key: box},
		{Op: storage.Set, Key: storage.AppendOutcomeKey(nil, storage.OutcomeKey{Shard: shard, Day: 20_000, App: "app", User: user, Message: message}), Value: make([]byte, 100)},
	}
}

// BenchmarkPropose compares entries of a sole voter with the same entries
// through the store's own writer, on the same disk. Every caller keeps one entry
// in flight, like a shard, and has a group of its own.
func BenchmarkPropose(b *testing.B) {
	for _, callers := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("direct/callers=%d", callers), func(b *testing.B) {
			inFlight(b, callers, benchStore(b).Propose)
		})
		b.Run(fmt.Sprintf("replica/callers=%d", callers), func(b *testing.B) {
			e := benchEngine(b, callers)
			inFlight(b, callers, func(shard uint16, ms []storage.Mutation, done func(error)) { e.Propose(shard, 0, ms, done) })
		})
	}
}

func benchStore(b *testing.B) *storage.Store {
	s, err := storage.Open(b.TempDir(), storage.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() })
	return s
}

func benchEngine(b *testing.B, groups int) *Engine {
	var led sync.WaitGroup
	led.Add(groups)
	s := benchStore(b)
	e, err := Open(Options{
		ID: NodeID(s.NodeID()), Store: s, Send: func(uint64, []byte) error { return nil },
		Open: func(context.Context, uint64) (net.Conn, error) { return nil, net.ErrClosed },
		Lead: func(uint16, uint64) { led.Done() },
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = e.Close() })
	var ids []uint16
	for g := range groups {
		ids = append(ids, uint16(g+1))
	}
	if err := e.Found(ids...); err != nil {
		b.Fatal(err)
	}
	led.Wait()
	return e
}

// inFlight runs b.N entries, callers at a time.
func inFlight(b *testing.B, callers int, propose func(uint16, []storage.Mutation, func(error))) {
	entries := make([][][]storage.Mutation, callers)
	for c := range entries {
		for n := range 64 {
			entries[c] = append(entries[c], push(uint16(c+1), n*callers+c))
		}
	}
	b.ReportAllocs()
	b.ResetTimer()
	var wg sync.WaitGroup
	for c := range callers {
		share := b.N / callers
		if c < b.N%callers {
			share++
		}
		wg.Go(func() {
			answer := make(chan error, 1)
			done := func(err error) { answer <- err }
			for i := range share {
				propose(uint16(c+1), entries[c][i%64], done)
				if err := <-answer; err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// BenchmarkIdleTick is a tick of 64 groups that have nothing to do.
func BenchmarkIdleTick(b *testing.B) {
	e := benchEngine(b, 64)
	b.ReportAllocs()
	for b.Loop() {
		_ = e.ask(func() error { e.loop.tick(); return nil })
	}
}

// BenchmarkThreeNodes is BenchmarkPropose with three voters in one process, each
// with a disk of its own, and frames that arrive at once. One node leads all.
func BenchmarkThreeNodes(b *testing.B) {
	const callers = 64
	one := threeEngines(b, callers)
	inFlight(b, callers, func(shard uint16, ms []storage.Mutation, done func(error)) { one.Propose(shard, 0, ms, done) })
}

// BenchmarkConfirm is what answers cost that no commit follows upon: of one voter,
// and of three as in BenchmarkThreeNodes, each caller with a group of its own.
func BenchmarkConfirm(b *testing.B) {
	confirm := func(b *testing.B, e *Engine, callers int) {
		terms := make([]uint64, callers+1)
		for g := range terms {
			terms[g], _ = e.Leads(uint16(g))
		}
		inFlight(b, callers, func(shard uint16, _ []storage.Mutation, done func(error)) { e.Confirm(shard, terms[shard], done) })
	}
	b.Run("voters=1", func(b *testing.B) { confirm(b, benchEngine(b, 1), 1) })
	for _, callers := range []int{1, 64} {
		b.Run(fmt.Sprintf("voters=3/callers=%d", callers), func(b *testing.B) { confirm(b, threeEngines(b, callers), callers) })
	}
}

// threeEngines returns the leader of groups with three voters.
func threeEngines(b *testing.B, callers int) *Engine {
	nodes := map[uint64]*Engine{}
	var mu sync.Mutex
	var led sync.WaitGroup
	led.Add(callers)
	start := func(id uint64, lead func(uint16, uint64)) {
		e, err := Open(Options{
			ID: id, Store: benchStore(b), Lead: lead, Logger: slog.New(slog.DiscardHandler),
			Open: func(_ context.Context, to uint64) (net.Conn, error) {
				mu.Lock()
				defer mu.Unlock()
				here, there := net.Pipe()
				go nodes[to].Bulk(id, there)
				return here, nil
			},
			Send: func(to uint64, frame []byte) error {
				mu.Lock()
				defer mu.Unlock()
				if n := nodes[to]; n != nil {
					n.Receive(id, frame)
				}
				return nil
			},
		})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = e.Close() })
		mu.Lock()
		nodes[id] = e
		mu.Unlock()
	}
	start(1, func(uint16, uint64) { led.Done() })
	start(2, nil)
	start(3, nil)
	one := nodes[1]
	for g := range uint16(callers) {
		if err := one.Found(g + 1); err != nil {
			b.Fatal(err)
		}
	}
	led.Wait()
	for g := range uint16(callers) {
		for _, want := range []Configuration{{[]uint64{1}, []uint64{2, 3}}, {[]uint64{1, 2, 3}, nil}} {
			answer := make(chan error, 1)
			one.Change(g+1, want, func(err error) { answer <- err })
			if err := <-answer; err != nil {
				b.Fatal(err)
			}
		}
	}
	return one
}
