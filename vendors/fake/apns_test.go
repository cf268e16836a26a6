package fake

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"maps"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"golang.org/x/net/http2"
)

const (
	testTopic = "im.rouse.app"
	testToken = "a1b2c3d4"
	testID    = "5b0c7d1e-32aa-4f10-8c55-000000000001"
)

// apnsRig is a fake with one key and a plain HTTP/2 client.
type apnsRig struct {
	*APNs
	key    *ecdsa.PrivateKey
	client *http.Client
	tr     *http2.Transport
}

func newAPNsRig(t *testing.T, o APNsOptions, clientCert ...tls.Certificate) *apnsRig {
	t.Helper()
	ca, err := NewCA()
	if err != nil {
		t.Fatal(err)
	}
	if o.Cert, err = ca.Server("vendor.test"); err != nil {
		t.Fatal(err)
	}
	if o.ClientCAs == nil && len(clientCert) > 0 {
		t.Fatal("a client certificate needs ClientCAs")
	}
	r := &apnsRig{APNs: NewAPNs(o)}
	r.key = newKey(t, r.APNs, "TEAM000001", "KEY0000001")
	r.AddDevice(testToken, testTopic)
	l := NewPipeListener()
	served := make(chan error, 1)
	go func() { served <- r.Serve(l) }()
	r.tr = &http2.Transport{
		TLSClientConfig: &tls.Config{RootCAs: ca.Pool(), Certificates: clientCert},
		DialTLSContext: func(ctx context.Context, network, addr string, cfg *tls.Config) (net.Conn, error) {
			raw, err := l.DialContext(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			conn := tls.Client(raw, cfg)
			return conn, conn.HandshakeContext(ctx)
		},
	}
	r.client = &http.Client{Transport: r.tr}
	t.Cleanup(func() {
		r.tr.CloseIdleConnections()
		_ = r.Close()
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return r
}

func newKey(t *testing.T, a *APNs, team, id string, topics ...string) *ecdsa.PrivateKey {
	t.Helper()
	p8, public, err := NewAPNsKey()
	if err != nil {
		t.Fatal(err)
	}
	a.AddKey(team, id, public, topics...)
	block, _ := pem.Decode(p8)
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return key.(*ecdsa.PrivateKey)
}

// bearer signs a provider token issued age ago.
func bearer(t *testing.T, key *ecdsa.PrivateKey, team, id string, age time.Duration) string {
	t.Helper()
	token := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{"iss": team, "iat": time.Now().Add(-age).Unix()})
	token.Header = map[string]any{"alg": "ES256", "kid": id}
	raw, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return "bearer " + raw
}

func (r *apnsRig) good(t *testing.T) map[string]string {
	return map[string]string{
		"authorization": bearer(t, r.key, "TEAM000001", "KEY0000001", 0),
		"apns-topic":    testTopic, "apns-push-type": "alert", "apns-id": testID,
	}
}

const goodBody = `{"aps":{"alert":"hi","badge":3},"m":"m1"}`

// post answers status, body and apns-id; status 0 = no answer.
func (r *apnsRig) post(ctx context.Context, method, path string, header map[string]string, body string) (int, string, http.Header) {
	req, err := http.NewRequestWithContext(ctx, method, "https://vendor.test"+path, bytes.NewReader([]byte(body)))
	if err != nil {
		return 0, err.Error(), nil
	}
	for name, value := range header {
		for v := range strings.SplitSeq(value, "\n") {
			req.Header.Add(name, v)
		}
	}
	res, err := r.client.Do(req)
	if err != nil {
		return 0, err.Error(), nil
	}
	defer func() { _ = res.Body.Close() }()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, err.Error(), nil
	}
	return res.StatusCode, string(answer), res.Header
}

// with copies good headers and changes some; an empty value deletes.
func with(good map[string]string, changes ...string) map[string]string {
	all := maps.Clone(good)
	for i := 0; i < len(changes); i += 2 {
		if changes[i+1] == "" {
			delete(all, changes[i])
			continue
		}
		all[changes[i]] = changes[i+1]
	}
	return all
}

func TestAPNsVerdicts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newAPNsRig(t, APNsOptions{})
		narrow := newKey(t, r.APNs, "TEAM000002", "KEY0000002", "other.app")
		dead := time.Date(1999, 12, 24, 0, 0, 0, 5e6, time.UTC)
		r.Unregister("dead", dead)
		r.AddDevice("beef", "other.app")
		good := r.good(t)
		path := "/3/device/" + testToken
		for _, tt := range []struct {
			name, method, path string
			header             map[string]string
			body               string
			want               int
			reason             string
		}{
			{"path", "POST", "/4/device/" + testToken, good, goodBody, 404, "BadPath"},
			{"id before method", "GET", path, with(good, "apns-id", "x"), goodBody, 400, "BadMessageId"},
			{"upper-case id", "POST", path, with(good, "apns-id", strings.ToUpper(testID)), goodBody, 400, "BadMessageId"},
			{"method", "GET", path, with(good, "apns-topic", ""), "", 405, "MethodNotAllowed"},
			{"topic", "POST", path, with(good, "apns-topic", "", "apns-priority", "7"), goodBody, 400, "MissingTopic"},
			{"collapse", "POST", path, with(good, "apns-collapse-id", strings.Repeat("x", 65)), goodBody, 400, "BadCollapseId"},
			{"priority", "POST", path, with(good, "apns-priority", "7"), goodBody, 400, "BadPriority"},
			{"background at 10", "POST", path, with(good, "apns-push-type", "background"), goodBody, 400, "BadPriority"},
			{"expiration", "POST", path, with(good, "apns-expiration", "soon"), goodBody, 400, "BadExpirationDate"},
			{"push type", "POST", path, with(good, "apns-push-type", "loud"), goodBody, 400, "InvalidPushType"},
			{"voip topic", "POST", path, with(good, "apns-push-type", "voip"), goodBody, 400, "BadTopic"},
			{"twice", "POST", path, with(good, "apns-topic", "a\nb"), goodBody, 400, "DuplicateHeaders"},
			{"no token", "POST", "/3/device/", good, goodBody, 400, "MissingDeviceToken"},
			{"no hex", "POST", "/3/device/xyz!", good, goodBody, 400, "BadDeviceToken"},
			{"topic-specific key", "POST", path, with(good, "authorization", bearer(t, narrow, "TEAM000002", "KEY0000002", 0)), goodBody, 400, "TopicDisallowed"},
			{"unknown token", "POST", "/3/device/ffff", good, goodBody, 400, "BadDeviceToken"},
			{"auth before dead", "POST", "/3/device/dead", with(good, "authorization", ""), goodBody, 403, "MissingProviderToken"},
			{"dead", "POST", "/3/device/dead", good, goodBody, 410, "Unregistered"},
			{"no device's", "POST", "/3/device/0000", good, goodBody, 400, "BadDeviceToken"},
			{"other topic", "POST", "/3/device/beef", good, goodBody, 400, "DeviceTokenNotForTopic"},
			{"no auth", "POST", path, with(good, "authorization", ""), "", 403, "MissingProviderToken"},
			{"junk auth", "POST", path, with(good, "authorization", "bearer junk"), goodBody, 403, "InvalidProviderToken"},
			{"wrong team", "POST", path, with(good, "authorization", bearer(t, r.key, "TEAM000009", "KEY0000001", 0)), goodBody, 403, "InvalidProviderToken"},
			{"wrong key", "POST", path, with(good, "authorization", bearer(t, narrow, "TEAM000001", "KEY0000001", 0)), goodBody, 403, "InvalidProviderToken"},
			{"old", "POST", path, with(good, "authorization", bearer(t, r.key, "TEAM000001", "KEY0000001", time.Hour+time.Second)), goodBody, 403, "ExpiredProviderToken"},
			{"empty", "POST", path, good, "", 400, "PayloadEmpty"},
			{"4097 bytes", "POST", path, good, strings.Repeat("x", 4097), 413, "PayloadTooLarge"},
			{"a flood", "POST", path, good, strings.Repeat("x", 60_000), 413, "PayloadTooLarge"},
			{"good", "POST", path, good, goodBody, 200, ""},
			{"second team", "POST", path, with(good, "authorization", bearer(t, narrow, "TEAM000002", "KEY0000002", 0)), goodBody, 403, "InvalidProviderToken"},
			{"new token too soon", "POST", path, with(good, "authorization", bearer(t, r.key, "TEAM000001", "KEY0000001", 19*time.Minute)), goodBody, 429, "TooManyProviderTokenUpdates"},
			{"token of 21 minutes ago", "POST", path, with(good, "authorization", bearer(t, r.key, "TEAM000001", "KEY0000001", 21*time.Minute)), goodBody, 200, ""},
		} {
			status, body, _ := r.post(t.Context(), tt.method, tt.path, tt.header, tt.body)
			if status != tt.want || tt.reason != "" && !strings.Contains(body, `"reason":"`+tt.reason+`"`) {
				t.Errorf("%s: got %d %s, want %d %s", tt.name, status, body, tt.want, tt.reason)
			}
		}
		if got := r.Stats(); got.Accepted != 2 || got.Connections != 1 || got.Reasons["InvalidProviderToken"] != 4 {
			t.Errorf("stats: %+v", got)
		}
		if _, body, _ := r.post(t.Context(), "POST", "/3/device/dead", good, goodBody); !strings.Contains(body, `"timestamp":945993600005`) {
			t.Errorf("410 without its timestamp in ms: %s", body)
		}
	})
}

func TestAPNsDeviceState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var hooked []string
		r := newAPNsRig(t, APNsOptions{KeepPerDevice: 4, OnPush: func(p APNsPush) { hooked = append(hooked, p.MessageID) }})
		good := r.good(t)
		push := func(body string, changes ...string) {
			t.Helper()
			if status, body, header := r.post(t.Context(), "POST", "/3/device/A1B2C3D4", with(good, changes...), body); status != 200 || header.Get("apns-id") == "" {
				t.Fatalf("got %d %s %v", status, body, header)
			}
		}
		push(`{"aps":{"alert":"1","badge":1},"m":"m1"}`, "apns-collapse-id", "c")
		push(`{"aps":{"alert":"2","badge":2},"m":"m2"}`, "apns-collapse-id", "c")
		push(`{"aps":{"badge":0}}`, "apns-id", "")
		d, _ := r.Device(testToken)
		if d.Badge != 0 || len(d.Shown) != 2 || d.Shown[0].MessageID != "m2" || len(d.Received) != 3 {
			t.Errorf("online: %+v", d)
		}
		r.SetOnline(testToken, false)
		push(`{"aps":{"badge":7}}`)
		push(`{"aps":{"badge":8}}`)
		push(`{"aps":{"badge":9}}`, "apns-expiration", "1")
		if d, _ = r.Device(testToken); d.Badge != 0 || len(d.Received) != 4 {
			t.Errorf("offline: badge %d, %d received", d.Badge, len(d.Received))
		}
		r.SetOnline(testToken, true)
		if d, _ = r.Device(testToken); d.Badge != 8 {
			t.Errorf("back: badge %d, want the last one kept, 8", d.Badge)
		}
		if r.Stats().Doubled != 0 {
			t.Error("doubled before a second id")
		}
		push(goodBody)
		push(goodBody, "apns-id", "5b0c7d1e-32aa-4f10-8c55-000000000002")
		push(goodBody, "apns-id", "5b0c7d1e-32aa-4f10-8c55-000000000003")
		if r.Stats().Doubled != 1 || len(hooked) != 9 {
			t.Errorf("doubled %d, hooked %d", r.Stats().Doubled, len(hooked))
		}
	})
}

func TestAPNsStreamLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newAPNsRig(t, APNsOptions{MaxStreams: 50})
		good := r.good(t)
		r.Faults.Script(Fault{Delay: time.Second})
		if status, body, _ := r.post(t.Context(), "POST", "/3/device/"+testToken, good, goodBody); status != 200 {
			t.Fatalf("first: %d %s", status, body)
		}
		synctest.Wait() // the raised limit has arrived
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				if status, body, _ := r.post(t.Context(), "POST", "/3/device/"+testToken, good, goodBody); status != 200 {
					t.Errorf("got %d %s", status, body)
				}
			})
		}
		wg.Wait()
		if s := r.Stats(); s.Peak != 50 || s.Connections != 1 || s.Refused != 0 {
			t.Errorf("warm connection: %+v", s)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		r := newAPNsRig(t, APNsOptions{})
		good := r.good(t)
		r.Faults.Script(Fault{Delay: time.Second})
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() { r.post(t.Context(), "POST", "/3/device/"+testToken, good, goodBody) })
		}
		wg.Wait()
		// The client was refused streams, or had read the limit and dialed more.
		if s := r.Stats(); s.Refused == 0 && s.Connections == 1 {
			t.Errorf("a cold connection took 50 streams: %+v", s)
		}
	})
}

func TestAPNsFaults(t *testing.T) {
	for _, tt := range []struct {
		name   string
		fault  Fault
		status int
		answer string
		taken  int64
		took   time.Duration
	}{
		{"slow", Fault{Delay: 3 * time.Second}, 200, "", 2, 3 * time.Second},
		{"reason", Reason(429, "TooManyRequests"), 429, `{"reason":"TooManyRequests"}`, 1, 0},
		{"html", HTML(503), 503, "<html>", 1, 0},
		{"big", Fault{Kind: Answer, Status: 500, Body: strings.Repeat("x", 1<<20)}, 500, "xxx", 1, 0},
		{"hang", Fault{Kind: Hang}, 0, "deadline", 1, 10 * time.Second},
		{"freeze", Fault{Kind: Freeze}, 0, "deadline", 1, 10 * time.Second},
		{"cut", Fault{Kind: Cut}, 0, "", 2, 0},
		{"abort", Fault{Kind: Abort}, 0, "INTERNAL_ERROR", 2, 0},
		{"goaway", Fault{Kind: Goaway, Body: `{"reason":"Shutdown"}`, Times: 1}, 200, "", 2, 0},
		{"streams", Fault{Kind: Streams, MaxStreams: 1}, 200, "", 2, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newAPNsRig(t, APNsOptions{})
				good := r.good(t)
				r.post(t.Context(), "POST", "/3/device/"+testToken, good, goodBody)
				r.Faults.Script(tt.fault)
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				start := time.Now()
				status, body, _ := r.post(ctx, "POST", "/3/device/"+testToken, good, goodBody)
				if status != tt.status || !strings.Contains(body, tt.answer) || r.Stats().Accepted != tt.taken {
					t.Errorf("got %d %.80s, %d accepted", status, body, r.Stats().Accepted)
				}
				if took := time.Since(start); took != tt.took {
					t.Errorf("took %v, want %v", took, tt.took)
				}
			})
		})
	}
}

func TestAPNsGoaway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newAPNsRig(t, APNsOptions{})
		good := r.good(t)
		r.Faults.Script(Fault{Delay: 5 * time.Second, Times: 1})
		go func() {
			<-time.After(time.Second)
			r.Goaway("Shutdown")
		}()
		if status, body, _ := r.post(t.Context(), "POST", "/3/device/"+testToken, good, goodBody); status != 200 {
			t.Errorf("a request under way was lost: %d %s", status, body)
		}
		synctest.Wait()
		if open := len(r.open()); open != 0 {
			t.Errorf("%d connections left", open)
		}
	})
}

func TestAPNsCertificate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca, err := NewCA()
		if err != nil {
			t.Fatal(err)
		}
		cert, _, err := ca.Client(testTopic)
		if err != nil {
			t.Fatal(err)
		}
		r := newAPNsRig(t, APNsOptions{ClientCAs: ca.Pool(), AnyDevice: true}, cert)
		header := map[string]string{"apns-topic": testTopic, "apns-push-type": "alert"}
		if status, body, _ := r.post(t.Context(), "POST", "/3/device/77", header, goodBody); status != 200 {
			t.Errorf("got %d %s", status, body)
		}
		header["apns-topic"] = "other.app"
		if _, body, _ := r.post(t.Context(), "POST", "/3/device/78", header, goodBody); !strings.Contains(body, "TopicDisallowed") {
			t.Errorf("other topic: %s", body)
		}
	})
}
