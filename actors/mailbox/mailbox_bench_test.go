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

// BenchmarkDeepTurn is a turn that needs as much stack as one of a user, in a goroutine of its own.
func BenchmarkDeepTurn(b *testing.B) {
	sys := newSystem(b)
	done := make(chan struct{})
	pid := sys.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
		if _, ok := c.Message().(*item); ok {
			descend(40)
			done <- struct{}{}
		}
	}, actor.WithMailbox(Producer(1<<30))))
	m := &item{}
	b.ReportAllocs()
	for b.Loop() {
		sys.Root.Send(pid, m)
		<-done
	}
}

// descend through frames of a size that is usual.
//
//go:noinline
func descend(n int) (sum byte) {
	var frame [128]byte
	if n > 0 {
		frame[n] = descend(n - 1)
	}
	for _, b := range frame {
		sum += b
	}
	return sum
}
