package memnet

import (
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

const actorsPort = 9000

func system(t *testing.T, n *Net, host string) *actor.ActorSystem {
	t.Helper()
	sys := actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger {
		return slog.New(slog.DiscardHandler)
	}))
	if err := n.Host(host).Attach(sys, fmt.Sprint(":", actorsPort)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		sys.Shutdown()
		<-time.After(10 * time.Second) // a throttle of dead letters ends with its period
	})
	return sys
}

// echo answers with the message it got, and keeps it.
func echo(t *testing.T, sys *actor.ActorSystem, name string, got *[]proto.Message) {
	t.Helper()
	_, err := sys.Root.SpawnNamed(actor.PropsFromFunc(func(c actor.Context) {
		if m, ok := c.Message().(*wrapperspb.StringValue); ok {
			*got = append(*got, m)
			c.Respond(&wrapperspb.StringValue{Value: c.MessageHeader().Get("trace") + m.Value})
		}
	}), name)
	if err != nil {
		t.Fatal(err)
	}
}

func TestActorMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(Options{Latency: 10 * ms})
		a, b := system(t, n, "a"), system(t, n, "b")
		var got []proto.Message
		echo(t, b, "echo", &got)
		target := actor.NewPID(b.Address(), "echo")
		sent := &wrapperspb.StringValue{Value: "hi"}
		start := time.Now()
		answer, err := a.Root.RequestFuture(target, sent, time.Second).Result()
		if err != nil || answer.(*wrapperspb.StringValue).Value != "hi" {
			t.Fatalf("%v, %v", answer, err)
		}
		after(t, start, 20*ms)
		if got[0] == proto.Message(sent) {
			t.Error("the message itself crossed, not a copy")
		}

		if _, err = a.Root.RequestFuture(actor.NewPID(b.Address(), "nobody"), sent, time.Second).Result(); !errors.Is(err, actor.ErrDeadLetter) {
			t.Errorf("unknown PID: %v", err)
		}
		start = time.Now()
		for _, address := range []string{n.Host("b").Addr(1), "nowhere:9000"} {
			if _, err = a.Root.RequestFuture(actor.NewPID(address, "echo"), sent, time.Minute).Result(); !errors.Is(err, actor.ErrDeadLetter) {
				t.Errorf("nobody at %s: %v", address, err)
			}
		}
		after(t, start, 3*time.Second+10*ms)
		if _, err = a.Root.RequestFuture(target, struct{}{}, time.Second).Result(); !errors.Is(err, actor.ErrTimeout) {
			t.Errorf("not a protobuf message: %v", err)
		}
		a.Root.Stop(target) // a system message
		if _, err = a.Root.RequestFuture(target, sent, time.Second).Result(); err != nil {
			t.Errorf("a system message crossed: %v", err)
		}
	})
}

func TestActorMessagesKeepOrderAndHeaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(Options{Seed: 3, Jitter: 30 * ms})
		a, b := system(t, n, "a"), system(t, n, "b")
		var got []proto.Message
		echo(t, b, "echo", &got)
		target := actor.NewPID(b.Address(), "echo")
		for i := range 500 {
			a.Root.Send(target, &wrapperspb.StringValue{Value: fmt.Sprint(i)})
		}
		f := actor.NewFuture(a, time.Second)
		a.Root.Send(target, &actor.MessageEnvelope{Header: map[string]string{"trace": "t-"}, Message: &wrapperspb.StringValue{Value: "x"}, Sender: f.PID()})
		if answer, err := f.Result(); err != nil || answer.(*wrapperspb.StringValue).Value != "t-x" {
			t.Fatalf("%v, %v", answer, err)
		}
		for i, m := range got[:500] {
			if m.(*wrapperspb.StringValue).Value != fmt.Sprint(i) {
				t.Fatalf("%d. message is %v", i, m)
			}
		}
	})
}

func TestActorMessagesWaitForACutAsLongAsATransport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(Options{Latency: ms, Break: 10 * time.Second})
		a, b := system(t, n, "a"), system(t, n, "b")
		var got []proto.Message
		echo(t, b, "echo", &got)
		target := actor.NewPID(b.Address(), "echo")
		n.Cut("a", "b")
		a.Root.Send(target, &wrapperspb.StringValue{Value: "too old"})
		<-time.After(9 * time.Second)
		a.Root.Send(target, &wrapperspb.StringValue{Value: "late"})
		<-time.After(2 * time.Second)
		n.Heal()
		<-time.After(time.Second)
		synctest.Wait()
		if len(got) != 1 || got[0].(*wrapperspb.StringValue).Value != "late" {
			t.Errorf("got %v", got)
		}
	})
}

func TestActorMessagesOfACrashedHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(Options{Latency: ms})
		a, b := system(t, n, "a"), system(t, n, "b")
		var old, fresh []proto.Message
		echo(t, b, "echo", &old)
		address := b.Address()
		n.Crash("b")
		m := &wrapperspb.StringValue{Value: "x"}
		if _, err := a.Root.RequestFuture(actor.NewPID(address, "echo"), m, time.Minute).Result(); !errors.Is(err, actor.ErrDeadLetter) {
			t.Errorf("crashed host: %v", err)
		}
		b.Root.Send(actor.NewPID(a.Address(), "x"), m) // by who should be dead
		next := system(t, n, "b")
		echo(t, next, "echo", &fresh)
		if next.Address() != address {
			t.Errorf("the next run is at %s, not %s", next.Address(), address)
		}
		if _, err := a.Root.RequestFuture(actor.NewPID(address, "echo"), m, time.Minute).Result(); err != nil {
			t.Errorf("the next run: %v", err)
		}
		if len(old) != 0 || len(fresh) != 1 {
			t.Errorf("old got %d, next %d", len(old), len(fresh))
		}
	})
}
