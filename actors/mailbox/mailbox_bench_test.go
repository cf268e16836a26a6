package mailbox

import (
	"testing"

	"github.com/asynkron/protoactor-go/actor"
)

func producers() map[string]actor.MailboxProducer {
	return map[string]actor.MailboxProducer{"ours": Producer(1 << 30), "actor.Unbounded": actor.Unbounded()}
}

// BenchmarkSend is one poster and one actor; the queue is drained before the clock stops.
func BenchmarkSend(b *testing.B) {
	for name, producer := range producers() {
		b.Run(name, func(b *testing.B) {
			sys := newSystem(b)
			done := make(chan struct{})
			pid := sys.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
				if _, ok := c.Message().(gate); ok {
					close(done)
				}
			}, actor.WithMailbox(producer)))
			m := &item{}
			b.ReportAllocs()
			for b.Loop() {
				sys.Root.Send(pid, m)
			}
			sys.Root.Send(pid, make(gate))
			<-done
		})
	}
}

// BenchmarkWake sends one message at a time to an idle actor.
func BenchmarkWake(b *testing.B) {
	for name, producer := range producers() {
		b.Run(name, func(b *testing.B) {
			sys := newSystem(b)
			done := make(chan struct{})
			pid := sys.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
				if _, ok := c.Message().(*item); ok {
					done <- struct{}{}
				}
			}, actor.WithMailbox(producer)))
			m := &item{}
			b.ReportAllocs()
			for b.Loop() {
				sys.Root.Send(pid, m)
				<-done
			}
		})
	}
}

// BenchmarkIdle reports the memory of an actor that waits.
func BenchmarkIdle(b *testing.B) {
	for name, producer := range producers() {
		b.Run(name, func(b *testing.B) {
			sys := newSystem(b)
			props := actor.PropsFromFunc(func(actor.Context) {}, actor.WithMailbox(producer))
			b.ReportAllocs()
			for b.Loop() {
				sys.Root.Spawn(props)
			}
		})
	}
}
