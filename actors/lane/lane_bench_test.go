package lane

import (
	"context"
	"fmt"
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
