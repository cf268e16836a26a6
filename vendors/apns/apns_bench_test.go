package apns

import (
	"context"
	"crypto/tls"
	"net"
	"runtime"
	"testing"
	"time"

	"github.com/sideshow/apns2"
	"github.com/sideshow/apns2/token"
	"golang.org/x/net/http2"

	"github.com/rouse-im/rouse/vendors"
	"github.com/rouse-im/rouse/vendors/fake"
)

// BenchmarkSend compares Send with a bare apns2 loop against the same fake on
// loopback; both have 256 pushes in flight on one connection, and the fake's
// work is in both figures.
func BenchmarkSend(b *testing.B) {
	const inFlight = 256
	parallelism := inFlight / runtime.GOMAXPROCS(0)
	expires := time.Now().Add(time.Hour)
	b.Run("rouse", func(b *testing.B) {
		a, c := newTCPFake(b, fake.APNsOptions{Light: true})
		c.StreamsPerConnection = inFlight
		s := newSender(b, c)
		n := vendors.Notification{
			PushID: testPushID, Token: "ca7a00", Channel: vendors.ChannelAlert, Title: "Ann", Body: "hello there",
			Sound: "default", ThreadID: "c1", Badge: 3, Data: map[string]string{"m": "m1", "conv": "c1"}, Expires: expires,
		}
		b.ReportAllocs()
		b.SetParallelism(parallelism)
		b.ResetTimer()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if res, err := s.Send(context.Background(), &n); err != nil || res.Outcome != vendors.Accepted {
					b.Errorf("got %+v, %v", res, err)
				}
			}
		})
		report(b, a)
	})
	b.Run("apns2", func(b *testing.B) {
		a, c := newTCPFake(b, fake.APNsOptions{Light: true})
		push := bareClient(b, c)
		push(b)
		b.ReportAllocs()
		b.SetParallelism(parallelism)
		b.ResetTimer()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				push(b)
			}
		})
		report(b, a)
	})
}

func report(b *testing.B, a *fake.APNs) {
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "pushes/s")
	if got := a.Stats(); got.Connections != 1 || got.Accepted < int64(b.N) {
		b.Errorf("%d connections, %d accepted of %d", got.Connections, got.Accepted, b.N)
	}
}

// bareClient sends one constant push with nothing around apns2.
func bareClient(b *testing.B, c Config) func(*testing.B) {
	b.Helper()
	p, err := c.parse()
	if err != nil {
		b.Fatal(err)
	}
	client := apns2.NewTokenClient(&token.Token{AuthKey: p.key, KeyID: testKey, TeamID: testTeam})
	client.Host = c.Endpoint
	transport := client.HTTPClient.Transport.(*http2.Transport)
	transport.DialTLS = nil
	transport.DialTLSContext = func(ctx context.Context, network, addr string, config *tls.Config) (net.Conn, error) {
		return (&tls.Dialer{Config: config}).DialContext(ctx, network, addr)
	}
	transport.TLSClientConfig = &tls.Config{RootCAs: p.tls.RootCAs, MinVersion: tls.VersionTLS12}
	b.Cleanup(transport.CloseIdleConnections)
	n := &apns2.Notification{
		ApnsID: testPushID, DeviceToken: "ca7a00", Topic: testBundle, Priority: apns2.PriorityHigh,
		PushType: apns2.PushTypeAlert, Expiration: time.Now().Add(time.Hour),
		Payload: []byte(`{"aps":{"alert":{"title":"Ann","body":"hello there"},"badge":3,"sound":"default","thread-id":"c1"},"conv":"c1","m":"m1"}`),
	}
	return func(b *testing.B) {
		if res, err := client.PushWithContext(context.Background(), n); err != nil || !res.Sent() {
			b.Errorf("got %+v, %v", res, err)
		}
	}
}

func BenchmarkCompose(b *testing.B) {
	n := &vendors.Notification{
		PushID: testPushID, Token: "ca7a00", Channel: vendors.ChannelAlert, Title: "Ann", Body: "hello there",
		Sound: "default", ThreadID: "c1", Badge: 3, Data: map[string]string{"m": "m1", "conv": "c1"}, Expires: time.Now(),
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := compose(testBundle, n); !ok {
			b.Fatal("does not fit")
		}
	}
}
