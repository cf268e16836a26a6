package webhook

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

const secret = "canary-secret-of-webhooks"

// serve answers on loopback.
func serve(t *testing.T, answer http.HandlerFunc) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: answer, ReadHeaderTimeout: time.Second}
	go s.Serve(l) //nolint:errcheck // ends with Close
	t.Cleanup(func() { _ = s.Close() })
	return "http://" + l.Addr().String()
}

func TestSignature(t *testing.T) {
	// Of an independent implementation: HMAC-SHA256 of 1700000000.{"a":1}
	const want = "v1=016d7cded6acc4f341cad5c99002d71970c80fb0a4589ac6dafdef37c811681e"
	if got := Sign("key-of-16-bytes!", "1700000000", []byte(`{"a":1}`)); got != want {
		t.Errorf("signature %q, want %q", got, want)
	}
}

func TestPublicAddresses(t *testing.T) {
	for address, want := range map[string]bool{
		"93.184.216.34": true, "2606:2800:220:1::1": true,
		"127.0.0.1": false, "10.1.2.3": false, "172.16.0.1": false, "192.168.1.1": false, "169.254.169.254": false,
		"100.64.0.1": false, "0.0.0.0": false, "224.0.0.1": false, "255.255.255.255": false, "198.18.0.1": false, "192.0.2.1": false,
		"::1": false, "::": false, "fe80::1": false, "fc00::1": false, "ff02::1": false, "2001:db8::1": false,
		"::ffff:127.0.0.1": false, "::ffff:10.0.0.1": false, "64:ff9b::7f00:1": false, "2002:7f00:1::": false,
	} {
		if got := public(netip.MustParseAddr(address).Unmap()); got != want {
			t.Errorf("%s: public is %v", address, got)
		}
	}
}

// A name may lead anywhere: what counts is the address that is dialled.
func TestPrivateNetworksAreRefused(t *testing.T) {
	asked := 0
	base := serve(t, func(http.ResponseWriter, *http.Request) { asked++ })
	c := NewCaller()
	defer c.Close()
	address := strings.Replace(base, "127.0.0.1", "localhost", 1)
	if _, err := c.Post(t.Context(), &rousev1.Webhooks{Secret: secret}, address, nil); !errors.Is(err, ErrPrivate) || asked != 0 {
		t.Errorf("asked %d times: %v", asked, err)
	}
	if _, err := c.Post(t.Context(), &rousev1.Webhooks{Secret: secret, AllowPrivate: true}, address, nil); err != nil || asked != 1 {
		t.Errorf("with leave, asked %d times: %v", asked, err)
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	followed := false
	elsewhere := serve(t, func(http.ResponseWriter, *http.Request) { followed = true })
	base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, elsewhere, http.StatusTemporaryRedirect)
	})
	c := NewCaller()
	defer c.Close()
	_, err := c.Post(t.Context(), &rousev1.Webhooks{Secret: secret, AllowPrivate: true}, base+"/path-canary", nil)
	if err == nil || followed || strings.Contains(err.Error(), "canary") {
		t.Errorf("followed %v: %v", followed, err)
	}
}

func TestAnswersAreBounded(t *testing.T) {
	base := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, maxAnswer+1)) })
	c := NewCaller()
	defer c.Close()
	if _, err := c.Post(t.Context(), &rousev1.Webhooks{Secret: secret, AllowPrivate: true}, base, nil); err == nil {
		t.Error("an endless answer was taken")
	}
}

func TestValidate(t *testing.T) {
	for _, test := range []struct {
		address string
		private bool
		secret  string
		want    string
	}{
		{"https://im.example/hook", false, secret, ""},
		{"", false, "", ""},
		{"https://im.example/hook", false, "short", "webhooks.secret"},
		{"http://im.example/hook", false, secret, "https"},
		{"http://im.example/hook", true, secret, "https"},
		{"http://127.0.0.1:1/hook", false, secret, "https"},
		{"http://127.0.0.1:1/hook", true, secret, ""},
		{"http://127.im.example/hook", true, secret, "https"},
		{"ftp://im.example/", true, secret, "https"},
		{"https://user:canary@im.example/", false, secret, "user name"},
		{"/hook", false, secret, "no address"},
		{"https:im.example", false, secret, "no address"},
		{"https://im.example:canary/", false, secret, "no address"},
	} {
		for field, w := range map[string]*rousev1.Webhooks{
			"outcome_url":     {OutcomeUrl: test.address, Secret: test.secret, AllowPrivate: test.private},
			"before_push_url": {BeforePushUrl: test.address, Secret: test.secret, AllowPrivate: test.private},
		} {
			err := Validate(w)
			switch {
			case test.want == "" && err != nil, test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("%s %q: %v, want %q", field, test.address, err, test.want)
			case err != nil && strings.Contains(err.Error(), "canary"):
				t.Errorf("%s %q: the error tells: %v", field, test.address, err)
			}
		}
	}
}

func TestBefore(t *testing.T) {
	answer, status := "", http.StatusOK
	base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(status)
		if answer == "hang" {
			<-r.Context().Done()
		}
		_, _ = w.Write([]byte(answer))
	})
	c := NewCaller()
	defer c.Close()
	hooks := &rousev1.Webhooks{BeforePushUrl: base, Secret: secret, AllowPrivate: true, BeforePushTimeout: durationpb.New(200 * time.Millisecond)}
	ask := func() (*rousev1.BeforePushAnswer, error) {
		return c.Before(t.Context(), "app", hooks, &rousev1.MessageEvent{MessageId: "m", Recipients: []string{"ann"}})
	}
	if a, err := ask(); err != nil || a.GetStop() || len(a.GetDropRecipients()) > 0 {
		t.Errorf("an empty answer: %v, %v", a, err)
	}
	answer = `{"stop":true,"dropRecipients":["ann"],"content":{"title":"T"},"text":"x","novel":1}`
	if a, err := ask(); err != nil || !a.GetStop() || a.GetContent().GetTitle() != "T" || a.GetText() != "x" || a.GetDropRecipients()[0] != "ann" {
		t.Errorf("a full answer: %v, %v", a, err)
	}
	for name, bad := range map[string]string{"no JSON": "<html>", "endless text": `{"text":"` + strings.Repeat("x", 4097) + `"}`, "other type": `{"stop":3}`} {
		if answer = bad; true {
			if a, err := ask(); err == nil {
				t.Errorf("%s: %v", name, a)
			}
		}
	}
	answer, status = "{}", http.StatusInternalServerError
	if a, err := ask(); err == nil {
		t.Errorf("status 500: %v", a)
	}
	answer, status = "hang", http.StatusOK
	if a, err := ask(); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("no answer: %v, %v", a, err)
	}
}

func FuzzBeforeAnswer(f *testing.F) {
	f.Add([]byte(`{"stop":true}`))
	f.Add([]byte(`{"text":"\ud800"}`))
	f.Add([]byte(`{"dropRecipients":[null]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		a, err := decodeAnswer(raw)
		if err == nil && len(a.GetText()) > maxText {
			t.Errorf("%d bytes of text", len(a.GetText()))
		}
	})
}
