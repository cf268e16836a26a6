package fake

import (
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// rig serves a handler that counts takes and answers 200 "fine".
func rig(t *testing.T) (*Server, *http.Client, *int) {
	t.Helper()
	ca, err := NewCA()
	if err != nil {
		t.Fatal(err)
	}
	cert, err := ca.Server("vendor.test")
	if err != nil {
		t.Fatal(err)
	}
	taken := 0
	var s *Server
	s = NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, _ := io.ReadAll(r.Body)
		take := func() { taken++ }
		usual := func() { take(); _, _ = io.WriteString(w, "fine") }
		if f, hit := s.Faults.Take(string(token)); hit {
			s.Fail(f, w, r, take, usual)
			return
		}
		usual()
	}), &cert)
	l := NewPipeListener()
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	transport := &http.Transport{DialContext: l.DialContext, TLSClientConfig: &tls.Config{RootCAs: ca.Pool()}, ForceAttemptHTTP2: true}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		_ = s.Close()
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return s, &http.Client{Transport: transport}, &taken
}

func TestServerFaults(t *testing.T) {
	for _, tt := range []struct {
		name   string
		fault  Fault
		status int // 0 = no answer
		body   string
		taken  int
		took   time.Duration
	}{
		{name: "none", fault: Fault{Tokens: []string{"other"}}, status: 200, body: "fine", taken: 1},
		{name: "slow", fault: Fault{Delay: 3 * time.Second}, status: 200, body: "fine", taken: 1, took: 3 * time.Second},
		{name: "answer", fault: Fault{Kind: Answer, Status: 429, Body: "busy"}, status: 429, body: "busy"},
		{name: "hang", fault: Fault{Kind: Hang}, took: 10 * time.Second},
		{name: "cut", fault: Fault{Kind: Cut}, taken: 1},
		{name: "abort", fault: Fault{Kind: Abort}, taken: 1},
		{name: "refuse", fault: Fault{Kind: Refuse}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, client, taken := rig(t)
				s.Faults.Script(tt.fault)
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				start := time.Now()
				status, body := post(ctx, client, "tok")
				if status != tt.status || body != tt.body || *taken != tt.taken || time.Since(start) != tt.took {
					t.Errorf("got status %d body %q taken %d after %v", status, body, *taken, time.Since(start))
				}
			})
		})
	}
}

// post returns status 0 when no whole answer came.
func post(ctx context.Context, client *http.Client, token string) (int, string) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://vendor.test/send", strings.NewReader(token))
	if err != nil {
		return 0, ""
	}
	res, err := client.Do(req)
	if err != nil {
		return 0, ""
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, ""
	}
	return res.StatusCode, string(body)
}

func TestFaultsTake(t *testing.T) {
	var s Faults
	s.Script(Fault{Status: 1, Times: 2, Tokens: []string{"a"}}, Fault{Status: 2, Times: 1}, Fault{Status: 3})
	want := []struct {
		token  string
		status int
	}{{"b", 2}, {"b", 3}, {"a", 1}, {"a", 1}, {"a", 3}, {"a", 3}}
	for i, w := range want {
		if f, ok := s.Take(w.token); !ok || f.Status != w.status {
			t.Errorf("take %d for %s: got %d %t, want %d", i, w.token, f.Status, ok, w.status)
		}
	}
	s.Clear()
	if _, ok := s.Take("a"); ok {
		t.Error("a fault after Clear")
	}
}
