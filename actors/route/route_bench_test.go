package route

import (
	"log/slog"
	"testing"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"github.com/rouse-im/rouse/actors"
	actorv1 "github.com/rouse-im/rouse/api/rouse/actor/v1"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

// BenchmarkRoute is the router's part of a command: local = its shard is here,
// remote = asked elsewhere and answered at once, without a network, 256 in flight.
func BenchmarkRoute(b *testing.B) {
	for name, local := range map[string]bool{"local": true, "remote": false} {
		b.Run(name, func(b *testing.B) {
			sys := actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return slog.New(slog.DiscardHandler) }))
			defer sys.Shutdown()
			sys.ProcessRegistry.Address = "here:1"
			sys.ProcessRegistry.RegisterAddressResolver(func(*actor.PID) (actor.Process, bool) { return echo{sys}, true })
			router, err := New(Options{
				System: sys, Shards: 1, ShardOf: func(string, string) uint16 { return 1 },
				Local:   func(uint16) bool { return local },
				Deliver: func(e *actors.Envelope) { e.Done(actors.Reply{}) },
				Leader:  func(uint16) (string, uint64, bool) { return "there:1", 1, true },
			})
			if err != nil {
				b.Fatal(err)
			}
			defer router.Close()
			const inFlight = 256
			slots := make(chan struct{}, inFlight)
			e := &actors.Envelope{App: "app", User: "ann", Command: &rousev1.PresenceEvent{UserId: "ann", DeviceId: "phone"}, Done: func(r actors.Reply) {
				if r.Err != nil {
					b.Error(r.Err)
				}
				<-slots
			}}
			b.ReportAllocs()
			for b.Loop() {
				slots <- struct{}{}
				router.Route(e)
			}
			for range inFlight {
				slots <- struct{}{} // until all are answered
			}
		})
	}
}

// echo is a shard elsewhere; what it is asked is encoded, as on the way there.
type echo struct{ sys *actor.ActorSystem }

func (e echo) SendUserMessage(_ *actor.PID, message any) {
	_, m, sender := actor.UnwrapEnvelope(message)
	q := m.(*actorv1.Ask)
	if _, err := proto.Marshal(q); err != nil {
		panic(err)
	}
	e.sys.Root.Send(sender, &actorv1.Answer{Id: q.GetId()})
}

func (echo) SendSystemMessage(*actor.PID, any) {}

func (echo) Stop(*actor.PID) {}
