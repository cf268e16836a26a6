package apns

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rouse-im/rouse/vendors"
	"github.com/rouse-im/rouse/vendors/fake"
)

func alertTo(a *fake.APNs) *vendors.Notification {
	return &vendors.Notification{
		PushID: testPushID, Token: newToken(a, testBundle), Channel: vendors.ChannelAlert,
		Title: "t", Badge: -1, Expires: time.Now().Add(time.Hour),
	}
}

// flood sends count pushes at once and fails unless all are accepted.
func flood(t *testing.T, a *fake.APNs, s *Sender, count int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	defer cancel()
	var wg sync.WaitGroup
	for range count {
		n := alertTo(a)
		wg.Go(func() {
			if res, err := s.Send(ctx, n); err != nil || res.Outcome != vendors.Accepted {
				t.Errorf("got %+v, %v", res, err)
			}
		})
	}
	wg.Wait()
}

// TestColdStart: as many connections as configured, and no stream above the
// limit of 1 that APNs begins with.
func TestColdStart(t *testing.T) {
	for _, connections := range []int{1, 3} {
		synctest.Test(t, func(t *testing.T) {
			a, c := newFake(t, fake.APNsOptions{})
			a.Faults.Script(fake.Fault{Delay: 20 * time.Millisecond})
			c.Connections, c.StreamsPerConnection = connections, 100
			s := newSender(t, c)
			begun := time.Now()
			flood(t, a, s, 400)
			got := a.Stats()
			if got.Connections != int64(connections) || got.Refused != 0 || got.Peak > int64(100*connections) {
				t.Errorf("%d connections, %d refused, %d at once", got.Connections, got.Refused, got.Peak)
			}
			if took := time.Since(begun); took > 120*time.Millisecond {
				t.Errorf("took %v", took)
			}
		})
	}
}

// TestLoweredLimit: when APNs lowers its limit, pushes wait, and no further
// connection is dialed.
func TestLoweredLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, c := newFake(t, fake.APNsOptions{})
		s := newSender(t, c)
		flood(t, a, s, 50)
		a.Faults.Script(fake.Fault{Kind: fake.Streams, MaxStreams: 5, Delay: 10 * time.Millisecond})
		flood(t, a, s, 1)
		flood(t, a, s, 100)
		if got := a.Stats(); got.Connections != 1 || got.Refused != 0 {
			t.Errorf("%d connections, %d refused", got.Connections, got.Refused)
		}
	})
}

// TestGoawayMovesOn: pushes that APNs did not begin go to a new connection at
// once, with one warm-up.
func TestGoawayMovesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, c := newFake(t, fake.APNsOptions{})
		s := newSender(t, c)
		flood(t, a, s, 50)
		begun := time.Now()
		for range 5 {
			a.Goaway("Shutdown")
			flood(t, a, s, 50)
		}
		a.Faults.Script(fake.Fault{Kind: fake.Goaway, Body: `{"reason":"IdleTimeout"}`, Times: 1})
		flood(t, a, s, 1)
		if got := a.Stats(); got.Connections != 7 || got.Refused != 0 || time.Since(begun) != 0 {
			t.Errorf("%d connections, %d refused after %v", got.Connections, got.Refused, time.Since(begun))
		}
	})
}

// TestRetiredConnections are closed when their last push is answered.
func TestRetiredConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, c := newFake(t, fake.APNsOptions{})
		s := newSender(t, c)
		flood(t, a, s, 1)
		slow := alertTo(a)
		a.Faults.Script(fake.Fault{Delay: 10 * time.Second, Tokens: []string{slow.Token}})
		answered := make(chan struct{})
		go func() {
			defer close(answered)
			if res, err := s.Send(t.Context(), slow); err != nil || res.Outcome != vendors.Accepted {
				t.Errorf("the push under way: %+v, %v", res, err)
			}
		}()
		synctest.Wait()
		shutdown := fake.Reason(503, "Shutdown")
		shutdown.Times = 1
		a.Faults.Script(shutdown)
		if res, err := s.Send(t.Context(), alertTo(a)); err != nil || res.Outcome != vendors.Transient {
			t.Errorf("got %+v, %v", res, err)
		}
		flood(t, a, s, 10)
		if got := a.Stats().Open; got != 2 {
			t.Errorf("%d connections open, want the retired and the new one", got)
		}
		<-answered
		<-time.After(time.Second)
		if got := a.Stats().Open; got != 1 {
			t.Errorf("%d connections open, want 1", got)
		}
	})
}

func TestDialFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, c := newFake(t, fake.APNsOptions{})
		dial, broken := c.DialContext, errors.New("no route to host")
		var down atomic.Bool
		var dials atomic.Int32
		c.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
			dials.Add(1)
			<-time.After(time.Second)
			if down.Load() {
				return nil, broken
			}
			return dial(ctx, network, addr)
		}
		s := newSender(t, c)
		down.Store(true)
		var wg sync.WaitGroup
		for range 20 {
			n := alertTo(a)
			wg.Go(func() {
				_, err := s.Send(t.Context(), n)
				if !errors.Is(err, broken) || strings.Contains(fmt.Sprintf("%v %#v", err, err), n.Token) {
					t.Errorf("got %v", err)
				}
			})
		}
		wg.Wait()
		if dials.Load() != 1 {
			t.Errorf("%d dials for 20 pushes at once", dials.Load())
		}
		down.Store(false)
		flood(t, a, s, 5)
	})
}

// TestTrust runs over TCP: on a pipe both sides of a failed handshake write.
func TestTrust(t *testing.T) {
	a, c := newTCPFake(t, fake.APNsOptions{})
	flood(t, a, newSender(t, c), 1)
	_, other := newFake(t, fake.APNsOptions{})
	c.CAPEM = other.CAPEM
	res, err := newSender(t, c).Send(t.Context(), alertTo(a))
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); !ok {
		t.Errorf("a server that the roots do not vouch for: %+v, %v", res, err)
	}
	if got := a.Stats().Requests; got != 1 {
		t.Errorf("%d pushes reached it, want 1", got)
	}
}

// TestNoHTTP2: an endpoint of HTTP/1.1 is a failure, not a downgrade.
func TestNoHTTP2(t *testing.T) {
	ca, err := fake.NewCA()
	if err != nil {
		t.Fatal(err)
	}
	cert, err := ca.Server("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	l, err := fake.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var asked atomic.Bool
	server := &http.Server{
		Handler:  http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Store(true) }),
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
	}
	go func() {
		_ = server.Serve(tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{cert}}))
	}()
	defer server.Close()
	a, c := newFake(t, fake.APNsOptions{})
	c.CAPEM, c.DialContext, c.Endpoint = ca.PEM(), nil, fake.URL(l)
	res, err := newSender(t, c).Send(t.Context(), alertTo(a))
	if !errors.Is(err, errNoHTTP2) || asked.Load() {
		t.Errorf("got %+v, %v; asked %t", res, err, asked.Load())
	}
}

// TestDeadPeer: without an answer to PING the connection is given up, even
// when a push has no deadline.
func TestDeadPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, c := newFake(t, fake.APNsOptions{})
		s := newSender(t, c)
		flood(t, a, s, 1)
		a.Faults.Script(fake.Fault{Kind: fake.Freeze, Times: 1})
		begun := time.Now()
		if res, err := s.Send(context.WithoutCancel(t.Context()), alertTo(a)); err == nil {
			t.Errorf("got %+v", res)
		}
		if took := time.Since(begun); took != pingAfter+pingTimeout {
			t.Errorf("noticed after %v", took)
		}
		flood(t, a, s, 50)
	})
}

// TestIdleHours: a connection lives through hours of silence.
func TestIdleHours(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, c := newFake(t, fake.APNsOptions{})
		s := newSender(t, c)
		flood(t, a, s, 1)
		<-time.After(3 * time.Hour)
		flood(t, a, s, 50)
		if got := a.Stats().Connections; got != 1 {
			t.Errorf("%d connections, want 1", got)
		}
	})
}

func TestPenaltyWhenTheClockIsSet(t *testing.T) {
	now := time.Unix(1e9, 0)
	for after, want := range map[time.Duration]bool{0: true, dialPenalty - 1: true, dialPenalty: false, time.Hour: false, -time.Hour: false} {
		if got := penalised(now.UnixNano(), now.Add(after)); got != want {
			t.Errorf("%s after a failed dial: penalised %v", after, got)
		}
	}
}
