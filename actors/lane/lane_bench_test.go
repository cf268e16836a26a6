package lane

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/rouse-im/rouse/actors/mailbox"
	"github.com/rouse-im/rouse/vendors"
)

// instant answers in no time.
type instant struct{}

func (instant) Send(context.Context, *vendors.Notification) (vendors.Result, error) {
	return vendors.Result{Outcome: vendors.Accepted}, nil
}
func (instant) MaxInFlight() int { return 200 }
func (instant) Close()           {}

// BenchmarkPush is the whole way from Dispatch to Ended with an instant vendor,
// at most 1,000 pushes on the way at once; the caller's Dispatch and
// Notification are not counted in the allocations, as they are made before.
func BenchmarkPush(b *testing.B) {
	for _, o := range []struct {
		name string
		Options
	}{{"unlimited", Options{}}, {"limited", Options{PerSecond: 1e9}}} {
		b.Run(o.name, func(b *testing.B) {
			w := newWorld(b)
			room := make(chan struct{}, 1000)
			var ended atomic.Int64
			w.user = w.sys.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
				if _, ok := c.Message().(*Ended); ok {
					ended.Add(1)
					<-room
				}
			}, actor.WithMailbox(mailbox.Producer(1))))
			w.dir.Put("app", "n", instant{}, o.Options)
			l := w.dir.Get("app", "n")
			dispatches := make([]*Dispatch, 1<<16)
			for i := range dispatches {
				dispatches[i] = newDispatch(fmt.Sprintf("%08d-0000-0000-0000-000000000000", i), uint64(i), time.Hour)
				dispatches[i].To = w.user
			}
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				room <- struct{}{}
				l.ForceReserve()
				l.Dispatch(dispatches[i%len(dispatches)])
				i++
			}
			for range cap(room) {
				room <- struct{}{}
			}
			if ended.Load() != int64(i) {
				b.Fatalf("%d of %d ended", ended.Load(), i)
			}
		})
	}
}

// slow takes a millisecond for each call, however many tokens it has.
type slow struct{ most int }

func (slow) Send(context.Context, *vendors.Notification) (vendors.Result, error) {
	<-time.After(time.Millisecond)
	return vendors.Result{Outcome: vendors.Accepted}, nil
}

func (slow) SendBatch(_ context.Context, _ *vendors.Notification, tokens []string) ([]vendors.Result, error) {
	<-time.After(time.Millisecond)
	results := make([]vendors.Result, len(tokens))
	for i := range results {
		results[i].Outcome = vendors.Accepted
	}
	return results, nil
}
func (s slow) MaxBatch() int                      { return s.most }
func (slow) Same(a, b *vendors.Notification) bool { return vendors.Alike(a, b) }
func (slow) MaxInFlight() int                     { return 16 }
func (slow) Close()                               {}

// BenchmarkGroupMessage is a message to a group of 10,000, from the first
// Dispatch to the last Ended, with 16 calls of 1 ms in flight.
func BenchmarkGroupMessage(b *testing.B) {
	const group = 10_000
	for _, most := range []int{1, 100, 1000} {
		b.Run(fmt.Sprint(most), func(b *testing.B) {
			w := newWorld(b)
			var ended sync.WaitGroup
			w.user = w.sys.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
				if _, ok := c.Message().(*Ended); ok {
					ended.Done()
				}
			}, actor.WithMailbox(mailbox.Producer(1))))
			w.dir.Put("app", "n", slow{most}, Options{})
			l := w.dir.Get("app", "n")
			dispatches := make([]*Dispatch, group)
			for i := range dispatches {
				dispatches[i] = newShared(fmt.Sprintf("%08d-0000-0000-0000-000000000000", i), uint64(i), "group")
				dispatches[i].To = w.user
			}
			b.ReportAllocs()
			for b.Loop() {
				ended.Add(group)
				for _, d := range dispatches {
					l.ForceReserve()
					l.Dispatch(d)
				}
				ended.Wait()
			}
			b.ReportMetric(float64(b.N)*group/b.Elapsed().Seconds(), "pushes/s")
		})
	}
}

// BenchmarkState is the pure core alone, with a backlog of the given length.
func BenchmarkState(b *testing.B) {
	for _, backlog := range []int{0, 1000, 100_000} {
		b.Run(fmt.Sprint(backlog), func(b *testing.B) {
			s := newState(Options{}.withDefaults(), &flight{max: 1})
			now := time.Unix(1e9, 0)
			enter := func(i int) {
				n := &vendors.Notification{Class: vendors.ClassIM, Expires: now.Add(time.Hour + time.Duration(i))}
				s.dispatch(&push{d: &Dispatch{PushID: fmt.Sprintf("%036d", i), Order: uint64(i), N: n}}, now)
				s.settle(now)
			}
			for i := range backlog {
				enter(i)
			}
			i := backlog
			b.ReportAllocs()
			for b.Loop() {
				enter(i)
				i++
				p := s.effects.sends[0]
				s.effects.reset()
				p.answer = answer{res: vendors.Result{Outcome: vendors.Accepted}}
				s.land(p, now)
				s.settle(now)
				if backlog == 0 {
					s.effects.reset()
				}
			}
		})
	}
}

// BenchmarkReserve is admission from both cores at once.
func BenchmarkReserve(b *testing.B) {
	l := &Lane{}
	l.limit.Store(1 << 40)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			l.Reserve()
			l.Release()
		}
	})
}
