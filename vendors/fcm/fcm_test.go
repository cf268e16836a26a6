package fcm

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rouse-im/rouse/vendors"
	"github.com/rouse-im/rouse/vendors/fake"
)

// TestOneRequestPerSend: neither the SDK nor the transport repeats.
func TestOneRequestPerSend(t *testing.T) {
	for name, fault := range map[string]fake.Fault{
		"503":             fake.FCMRefusal(503, "UNAVAILABLE", "UNAVAILABLE", "m", ""),
		"503, pause of 1": fake.FCMRefusal(503, "UNAVAILABLE", "UNAVAILABLE", "m", "1"),
		"500":             fake.FCMRefusal(500, "INTERNAL", "INTERNAL", "m", ""),
		"redirect":        {Kind: fake.Answer, Status: 307, Header: map[string]string{"location": origin + "/v1/projects/demo/messages:send"}},
		"cut":             {Kind: fake.Cut},
		"abort":           {Kind: fake.Abort},
		"refuse":          {Kind: fake.Refuse},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				if _, err := r.Send(t.Context(), r.push()); err != nil {
					t.Fatal(err)
				}
				r.fake.Faults.Script(fault)
				start := time.Now()
				n := r.push()
				res, err := r.Send(t.Context(), n)
				if fault.Kind == fake.Answer && (err != nil || res.Outcome != vendors.Transient) {
					t.Errorf("got %+v, %v", res, err)
				}
				if fault.Kind != fake.Answer && err == nil {
					t.Errorf("got %+v without an answer", res)
				}
				if got := r.fake.Stats().Requests; got != 2 || time.Since(start) != 0 {
					t.Errorf("%d requests for 2 sends, the last took %v", got, time.Since(start))
				}
				r.fake.Faults.Clear()
				if res, err := r.Send(t.Context(), n); err != nil || res.Outcome != vendors.Accepted {
					t.Errorf("the lane's own repeat: %+v, %v", res, err)
				}
				if doubled := r.fake.Stats().Doubled; doubled != 0 {
					t.Errorf("%d messages went under two push ids", doubled)
				}
			})
		})
	}
}

// TestExpiredBearer: 100 senders find their bearer refused, one asks for another.
func TestExpiredBearer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		if _, err := r.Send(t.Context(), r.push()); err != nil {
			t.Fatal(err)
		}
		r.fake.RevokeBearers()
		r.fake.OAuthFaults.Script(fake.Fault{Delay: time.Second})
		var wg sync.WaitGroup
		for range 100 {
			n := r.push()
			wg.Go(func() {
				if res, err := r.Send(t.Context(), n); err != nil || res.Outcome != vendors.Accepted {
					t.Errorf("got %+v, %v", res, err)
				}
			})
		}
		wg.Wait()
		stats := r.fake.Stats()
		if stats.Grants != 2 || stats.Accepted != 101 || stats.Requests > 201 {
			t.Errorf("%d grants, %d accepted of %d requests; want 2, 101, at most 201", stats.Grants, stats.Accepted, stats.Requests)
		}
	})
}

func TestThirdPartyAuthKeepsBearer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.fake.Faults.Script(fake.FCMRefusal(401, "UNAUTHENTICATED", "THIRD_PARTY_AUTH_ERROR", "Auth error from APNS or Web Push Service", ""))
		res, err := r.Send(t.Context(), r.push())
		if err != nil || res.Outcome != vendors.Rejected || res.Code != "THIRD_PARTY_AUTH_ERROR" {
			t.Errorf("got %+v, %v", res, err)
		}
		if s := r.fake.Stats(); s.Grants != 1 || s.Requests != 1 {
			t.Errorf("%d grants, %d requests; want 1 and 1", s.Grants, s.Requests)
		}
	})
}

func TestTokenEndpointRefuses(t *testing.T) {
	for name, tt := range map[string]struct {
		fault fake.Fault
		want  vendors.Result
	}{
		"deleted key": {
			fake.Fault{Kind: fake.Answer, Status: 400, Body: `{"error":"invalid_grant","error_description":"x"}`},
			vendors.Result{Outcome: vendors.CredentialBad, Code: "oauth invalid_grant"},
		},
		"proxy page": {fake.HTML(502), vendors.Result{Outcome: vendors.Transient, Code: "oauth HTTP 502"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.fake.OAuthFaults.Script(tt.fault)
				if got, err := r.Send(t.Context(), r.push()); err != nil || got != tt.want {
					t.Errorf("got %+v, %v; want %+v", got, err, tt.want)
				}
				r.fake.OAuthFaults.Clear()
				<-time.After(time.Second)
				if got, err := r.Send(t.Context(), r.push()); err != nil || got.Outcome != vendors.Accepted {
					t.Errorf("afterwards: %+v, %v", got, err)
				}
			})
		})
	}
}

func TestTokenStates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		other, dead, unknown := r.push(), r.push(), r.push()
		r.fake.AddDevice(other.Token, "elsewhere")
		r.fake.Unregister(dead.Token)
		unknown.Token = "never-seen"
		if res, err := r.Send(t.Context(), r.push()); err != nil || res.Outcome != vendors.Accepted { // no doubt about the credential
			t.Fatalf("%+v, %v", res, err)
		}
		for want, n := range map[string]*vendors.Notification{
			"SENDER_ID_MISMATCH": other, "UNREGISTERED": dead, "INVALID_ARGUMENT": unknown,
		} {
			res, err := r.Send(t.Context(), n)
			if err != nil || res.Outcome != vendors.TokenInvalid || res.Code != want {
				t.Errorf("got %+v, %v; want %s", res, err, want)
			}
		}
		if got := r.fake.Stats().Codes; len(got) != 3 {
			t.Errorf("codes counted: %v", got)
		}
	})
}

// TestOneConnectionPerHundred: a cold start under load dials once for each
// hundred in flight, and again after the connections are lost.
func TestOneConnectionPerHundred(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(c *Config, _ *fake.FCMOptions) { c.MaxInFlight = 300 })
		line := watch(r)
		line.slow = 50 * time.Millisecond
		burst := func() {
			var wg sync.WaitGroup
			for range 1000 {
				n := r.push()
				wg.Go(func() { _, _ = r.Send(t.Context(), n) })
			}
			wg.Wait()
		}
		burst()
		stats := r.fake.Stats()
		if stats.Accepted != 1000 || stats.Peak > 300 || line.dials.Load() != 4 {
			t.Errorf("%d accepted, peak %d, %d dials; want 1000, at most 300, and 3 + 1 for the token", stats.Accepted, stats.Peak, line.dials.Load())
		}
		r.fake.Faults.Script(fake.Fault{Kind: fake.Cut, Times: 1})
		burst()
		if got := line.dials.Load(); got > 6 {
			t.Errorf("%d dials after one connection was lost", got)
		}
	})
}

func TestCloseEndsSends(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(c *Config, _ *fake.FCMOptions) { c.MaxInFlight = 2 })
		line := watch(r)
		r.fake.Faults.Script(fake.Fault{Kind: fake.Hang})
		var wg sync.WaitGroup
		for range 5 { // 2 in flight, 3 waiting
			n := r.push()
			wg.Go(func() {
				if _, err := r.Send(t.Context(), n); !errors.Is(err, errClosed) {
					t.Errorf("got %v", err)
				}
			})
		}
		synctest.Wait()
		r.Close()
		r.Close()
		wg.Wait()
		if open := line.open.Load(); open != 0 {
			t.Errorf("%d connections are open after Close", open)
		}
		if _, err := r.Send(t.Context(), r.push()); !errors.Is(err, errClosed) {
			t.Errorf("after Close: %v", err)
		}
	})
}

// TestSilentConnection: a peer that vanished is noticed by pings, since
// nothing fails on the wire.
func TestSilentConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(c *Config, _ *fake.FCMOptions) { c.MaxInFlight = 1 })
		line := watch(r)
		if _, err := r.Send(t.Context(), r.push()); err != nil {
			t.Fatal(err)
		}
		line.silent.Store(true)
		start := time.Now()
		if res, err := r.Send(t.Context(), r.push()); err == nil || time.Since(start) > pingAfter+pingTimeout {
			t.Errorf("got %+v, %v after %v", res, err, time.Since(start))
		}
		line.silent.Store(false)
		if res, err := r.Send(t.Context(), r.push()); err != nil || res.Outcome != vendors.Accepted {
			t.Errorf("on a new connection: %+v, %v", res, err)
		}
	})
}

// TestGoaway: when Google ends a connection politely, the sends on it are
// finished there, and the next one does not wait for them.
func TestGoaway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(c *Config, _ *fake.FCMOptions) { c.MaxInFlight = 100 })
		line := watch(r)
		var wg sync.WaitGroup
		send := func(within time.Duration) {
			n, start := r.push(), time.Now()
			wg.Go(func() {
				if res, err := r.Send(t.Context(), n); err != nil || res.Outcome != vendors.Accepted || time.Since(start) > within {
					t.Errorf("got %+v, %v after %v", res, err, time.Since(start))
				}
			})
		}
		r.fake.Faults.Script(fake.Fault{Delay: 30 * time.Second, Times: 50})
		for range 50 {
			send(30 * time.Second)
		}
		synctest.Wait()
		r.fake.Faults.Script(fake.Fault{Kind: fake.Answer, Status: 503, Header: map[string]string{"connection": "close"}, Times: 1})
		if res, err := r.Send(t.Context(), r.push()); err != nil || res.Outcome != vendors.Transient {
			t.Errorf("got %+v, %v", res, err)
		}
		<-time.After(time.Second)
		for range 20 {
			send(time.Second)
		}
		wg.Wait()
		if got := line.dials.Load(); got != 3 {
			t.Errorf("%d dials, want 3: token, first and second connection", got)
		}
	})
}

// line counts the connections of a rig, and swallows what is written to them
// while it is silent.
type line struct {
	dials, open atomic.Int64
	silent      atomic.Bool
	slow        time.Duration // of a dial
}

type lineConn struct {
	net.Conn
	line *line
	once sync.Once
}

func watch(r *rig) *line {
	l, dial := &line{}, r.conns.dial
	r.conns.dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
		l.dials.Add(1)
		<-time.After(l.slow)
		conn, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		l.open.Add(1)
		return &lineConn{Conn: conn, line: l}, nil
	}
	return l
}

func (c *lineConn) Write(b []byte) (int, error) {
	if c.line.silent.Load() {
		return len(b), nil
	}
	return c.Conn.Write(b)
}

func (c *lineConn) Close() error {
	c.once.Do(func() { c.line.open.Add(-1) })
	return c.Conn.Close()
}

func TestDeadlineNamesItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.fake.Faults.Script(fake.Fault{Kind: fake.Hang})
		n := r.push()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		start := time.Now()
		_, err := r.Send(ctx, n)
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 10*time.Second || strings.Contains(err.Error(), n.Token) {
			t.Errorf("got %v after %v", err, time.Since(start))
		}
	})
}

func TestLocalRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		big, image, empty := r.push(), r.push(), r.push()
		big.Data["x"] = strings.Repeat("x", 4096)
		image.ImageURL = "not an address"
		empty.Token = ""
		for want, n := range map[string]*vendors.Notification{codeTooBig: big, codeMalformed: image} {
			if res, err := r.Send(t.Context(), n); err != nil || res != (vendors.Result{Outcome: vendors.Rejected, Code: want}) {
				t.Errorf("got %+v, %v; want %s", res, err, want)
			}
		}
		if res, err := r.Send(t.Context(), empty); err != nil || res.Outcome != vendors.Rejected {
			t.Errorf("no token: %+v, %v", res, err)
		}
		if got := r.fake.Stats().Requests; got != 0 {
			t.Errorf("%d requests", got)
		}
	})
}

// TestDeviceView: the device ends up showing and counting what was sent.
func TestDeviceView(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		n := r.push()
		n.CollapseID = "conv"
		for badge := 1; badge <= 3; badge++ {
			n.Badge, n.Body = badge, strings.Repeat("!", badge)
			if res, err := r.Send(t.Context(), n); err != nil || res.Outcome != vendors.Accepted || res.VendorID == "" {
				t.Fatalf("got %+v, %v", res, err)
			}
		}
		d, _ := r.fake.Device(n.Token)
		if len(d.Received) != 3 || len(d.Shown) != 1 || d.Shown[0].Body != "!!!" || d.Badge != 3 || d.Shown[0].Priority != "high" {
			t.Errorf("got %d received, shown %+v, badge %d", len(d.Received), d.Shown, d.Badge)
		}
	})
}
