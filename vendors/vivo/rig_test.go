package vivo

import (
	"crypto/tls"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/rouse-im/rouse/vendors"
	"github.com/rouse-im/rouse/vendors/fake"
)

const (
	appID  = "100000"
	appKey = "app-key-1"
	secret = "app-secret-1"
)

// identity is made once.
type identity struct {
	ca   *fake.CA
	cert tls.Certificate
}

var identities = sync.OnceValues(func() (identity, error) {
	ca, err := fake.NewCA()
	if err != nil {
		return identity{}, err
	}
	cert, err := ca.Server("vivo.test")
	return identity{ca, cert}, err
})

func testConfig() Config {
	return Config{AppID: appID, AppKey: appKey, AppSecret: secret, Endpoint: "https://vivo.test"}
}

// rig is a Sender on pipes to a fake of its own; it must start in a bubble.
type rig struct {
	*Sender
	fake   *fake.Vivo
	serial int
}

func newRig(t testing.TB, change ...func(*Config, *fake.VivoOptions, *fake.VivoApp)) *rig {
	t.Helper()
	id, err := identities()
	if err != nil {
		t.Fatal(err)
	}
	c, o := testConfig(), fake.VivoOptions{Cert: id.cert}
	app := fake.VivoApp{ID: 100000, AppKey: appKey, AppSecret: secret}
	l := fake.NewPipeListener()
	c.CAPEM, c.DialContext = id.ca.PEM(), l.DialContext
	for _, f := range change {
		f(&c, &o, &app)
	}
	server := fake.NewVivo(o)
	server.AddApp(app)
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.Close()
		_ = server.Close()
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return &rig{Sender: s, fake: server}
}

// token makes a live regId.
func (r *rig) token() string {
	r.serial++
	token := fmt.Sprintf("v2-regid-%023d", r.serial)
	r.fake.AddDevice(token)
	return token
}

// push makes a notification to a new live token.
func (r *rig) push() *vendors.Notification {
	token := r.token()
	return &vendors.Notification{
		PushID: fmt.Sprintf("5b0c7d1e-32aa-4f10-8c55-%012x", r.serial),
		Token:  token, Channel: vendors.ChannelAlert, Class: vendors.ClassIM,
		Title: "Ann", Body: "hi", Badge: -1,
		Data:    map[string]string{"m": fmt.Sprintf("m%d", r.serial)},
		Expires: time.Now().Add(time.Hour),
	}
}

// must sends n and fails unless the outcome is want.
func (r *rig) must(t testing.TB, n *vendors.Notification, want vendors.Outcome) vendors.Result {
	t.Helper()
	res, err := r.Send(t.Context(), n)
	if err != nil || res.Outcome != want {
		t.Fatalf("got %+v, %v; want outcome %d", res, err, want)
	}
	return res
}

// last is the newest push that the fake took for token.
func (r *rig) last(t testing.TB, token string) fake.VivoPush {
	t.Helper()
	d, _ := r.fake.Device(token)
	if len(d.Received) == 0 {
		t.Fatal("the fake took no push")
	}
	return d.Received[len(d.Received)-1]
}
