package storage

import (
	"fmt"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2"
)

// push is the entry of one push: record, outbox in, outbox out, outcome.
func push(shard uint16, n int) []Mutation {
	user, message := fmt.Sprintf("user-%07d", n%10_000), fmt.Sprintf("message-%012d", n)
	box := AppendOutboxKey(nil, OutboxKey{shard, uint64(n), "app", user, message})
	return []Mutation{
		{Set, AppendUserKey(nil, shard, "app", user), make([]byte, 400)},
		{Set, box, make([]byte, 200)},
		{Delete, box, nil},
		{Set, AppendOutcomeKey(nil, OutcomeKey{shard, 20_000, "app", user, message}), make([]byte, 100)},
	}
}

// BenchmarkPropose compares entries through Propose with the same bytes as
// synced Pebble batches, as many of them in flight, on the same disk. Every
// caller keeps one entry in flight, like a shard.
func BenchmarkPropose(b *testing.B) {
	for _, callers := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("propose/callers=%d", callers), func(b *testing.B) {
			s := openBench(b)
			inFlight(b, callers, func(ms []Mutation, shard uint16, done func(error)) {
				s.Propose(shard, ms, done)
			})
		})
		b.Run(fmt.Sprintf("raw/callers=%d", callers), func(b *testing.B) {
			s := openBench(b)
			inFlight(b, callers, func(ms []Mutation, _ uint16, done func(error)) {
				batch := s.db.NewBatch()
				(&page{batch: batch}).append(ms)
				err := batch.Commit(pebble.Sync)
				_ = batch.Close()
				done(err)
			})
		})
	}
}

func openBench(b *testing.B) *Store {
	s, err := Open(b.TempDir(), Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() })
	return s
}

// inFlight runs b.N entries, callers at a time.
func inFlight(b *testing.B, callers int, write func([]Mutation, uint16, func(error))) {
	entries := make([][][]Mutation, callers)
	bytes := 0
	for c := range entries {
		for n := range 64 {
			entries[c] = append(entries[c], push(uint16(c+1), n*callers+c))
		}
	}
	for _, m := range entries[0][0] {
		bytes += len(m.Key) + len(m.Value)
	}
	b.SetBytes(int64(bytes))
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
				write(entries[c][i%64], uint16(c+1), done)
				if err := <-answer; err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

func BenchmarkGet(b *testing.B) {
	s := openBench(b)
	const users = 20_000
	for n := range users / 100 {
		var ms []Mutation
		for i := range 100 {
			ms = append(ms, Mutation{Set, AppendUserKey(nil, 1, "app", fmt.Sprint(n*100+i)), make([]byte, 400)})
		}
		if err := put(s, 1, ms...); err != nil {
			b.Fatal(err)
		}
	}
	var key []byte
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		n = (n + 7919) % users
		key = AppendUserKey(key[:0], 1, "app", fmt.Sprint(n))
		if _, err := s.Get(key); err != nil {
			b.Fatal(err)
		}
	}
}
