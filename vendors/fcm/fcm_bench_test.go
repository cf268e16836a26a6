package fcm

import (
	"context"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rouse-im/rouse/vendors"
	"github.com/rouse-im/rouse/vendors/fake"
)

// BenchmarkSend sends over loopback to a light fake in the same process.
func BenchmarkSend(b *testing.B) {
	id := theIdentity(b)
	l, err := fake.Listen("127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	server := fake.NewFCM(fake.FCMOptions{Cert: id.cert, Light: true, PerMinute: 1 << 40})
	server.AddAccount(id.account)
	go func() { _ = server.Serve(l) }()
	defer server.Close()
	c := testConfig(b)
	c.DialContext = (&redirect{l.Addr().String()}).dial
	s, err := New(c)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	n := &vendors.Notification{
		PushID: "5b0c7d1e-32aa-4f10-8c55-000000000001", Token: "fTok:APA91b",
		Channel: vendors.ChannelAlert, Class: vendors.ClassIM, Title: "Ann", Body: "hi", Badge: 7,
		Data: map[string]string{"m": "m1"}, Expires: time.Now().Add(time.Hour),
	}
	var bad atomic.Int64
	b.ReportAllocs()
	b.SetParallelism(64)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if res, err := s.Send(b.Context(), n); err != nil || res.Outcome != vendors.Accepted {
				bad.Add(1)
			}
		}
	})
	if bad.Load() > 0 || server.Stats().Accepted == 0 {
		b.Fatalf("%d of %d sends were not accepted", bad.Load(), b.N)
	}
}

// BenchmarkFit maps a push that fits, and one that must be cut.
func BenchmarkFit(b *testing.B) {
	for name, repeat := range map[string]int{"short": 1, "cut": 300} {
		b.Run(name, func(b *testing.B) {
			n := goldenPush()
			body := n.Body
			for range repeat {
				n.Body += body
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, ok := (style{}).fit(&n, goldenNow); !ok {
					b.Fatal("does not fit")
				}
			}
		})
	}
}

// redirect dials one address whatever is asked for.
type redirect struct{ addr string }

func (r *redirect) dial(ctx context.Context, network, _ string) (net.Conn, error) {
	return (&net.Dialer{}).DialContext(ctx, network, r.addr)
}
