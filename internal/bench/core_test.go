package bench

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/rouse-im/rouse/actors"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/vendors"
)

// instant is a vendor that takes everything at once.
type instant struct{ taken atomic.Int64 }

func (v *instant) Send(context.Context, *vendors.Notification) (vendors.Result, error) {
	v.taken.Add(1)
	return vendors.Result{Outcome: vendors.Accepted, VendorID: "00000000-0000-8000-8000-000000000000"}, nil
}
func (*instant) MaxInFlight() int { return defaultStreams }
func (*instant) Close()           {}

// BenchmarkCore is a message from its shard to its outcome on disk, without
// gateway and vendor: decision, outbox, lane, outcome.
func BenchmarkCore(b *testing.B) {
	const users = 2000
	c, err := openCore(0)
	if err != nil {
		b.Fatal(err)
	}
	defer c.close()
	v := &instant{}
	route, stop, err := c.start(v)
	if err != nil {
		b.Fatal(err)
	}
	tell := func(n int, event func(i int) (string, proto.Message)) {
		var open sync.WaitGroup
		open.Add(n)
		window := make(chan struct{}, 4096)
		for i := range n {
			window <- struct{}{}
			user, command := event(i)
			route(&actors.Envelope{App: appID, User: user, Command: command, Done: func(r actors.Reply) {
				if r.Err != nil {
					b.Error(r.Err.GetMessage())
				}
				<-window
				open.Done()
			}})
		}
		open.Wait()
	}
	tell(users, func(i int) (string, proto.Message) {
		return userID(i), &rousev1.BindTokenRequest{UserId: userID(i), DeviceId: deviceID(i, 0), Notifier: notifier, Token: deviceToken(i)}
	})
	b.ReportAllocs()
	b.ResetTimer()
	before := cpu()
	tell(b.N, func(i int) (string, proto.Message) {
		return userID(i % users), message(b.N, i, i%users).GetMessage()
	})
	if err := stop(); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64((cpu()-before).Nanoseconds())/float64(b.N), "cpu-ns/op")
	if got := v.taken.Load(); got != int64(b.N) {
		b.Errorf("%d pushes of %d messages", got, b.N)
	}
}
