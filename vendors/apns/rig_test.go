package apns

import (
	"fmt"
	"net"
	"sync/atomic"
	"testing"

	"github.com/rouse-im/rouse/vendors/fake"
)

const (
	testBundle = "im.rouse.app"
	testTeam   = "TEAM000001"
	testKey    = "KEY0000001"
	testPushID = "5b0c7d1e-32aa-4f10-8c55-000000000001"
)

// newFake serves a fake on a pipe and returns a config that reaches it.
func newFake(t testing.TB, o fake.APNsOptions) (*fake.APNs, Config) {
	t.Helper()
	a, _, c := newFakeOf(t, o)
	return a, c
}

// newFakeOf also returns the authority of the fake's certificate.
func newFakeOf(t testing.TB, o fake.APNsOptions) (*fake.APNs, *fake.CA, Config) {
	t.Helper()
	l := fake.NewPipeListener()
	a, ca, c := serveFake(t, o, l, "api.push.apple.com")
	c.DialContext = l.DialContext
	return a, ca, c
}

// newTCPFake serves a fake on a loopback port.
func newTCPFake(t testing.TB, o fake.APNsOptions) (*fake.APNs, Config) {
	t.Helper()
	l, err := fake.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	a, _, c := serveFake(t, o, l, "127.0.0.1")
	c.Endpoint = fake.URL(l)
	return a, c
}

func serveFake(t testing.TB, o fake.APNsOptions, l net.Listener, host string) (*fake.APNs, *fake.CA, Config) {
	t.Helper()
	ca, err := fake.NewCA()
	if err != nil {
		t.Fatal(err)
	}
	if o.Cert, err = ca.Server(host); err != nil {
		t.Fatal(err)
	}
	p8, public, err := fake.NewAPNsKey()
	if err != nil {
		t.Fatal(err)
	}
	a := fake.NewAPNs(o)
	a.AddKey(testTeam, testKey, public)
	served := make(chan error, 1)
	go func() { served <- a.Serve(l) }()
	t.Cleanup(func() {
		_ = a.Close()
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return a, ca, Config{BundleID: testBundle, AuthKeyPEM: p8, KeyID: testKey, TeamID: testTeam, CAPEM: ca.PEM()}
}

func newSender(t testing.TB, c Config) *Sender {
	t.Helper()
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

var tokenSerial atomic.Int64

func newToken(a *fake.APNs, topic string) string {
	token := fmt.Sprintf("ca7a%060x", tokenSerial.Add(1))
	a.AddDevice(token, topic)
	return token
}
