package meizu

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
	testOrigin = "https://meizu.test"
	testSecret = "app-secret-5up3r"
	testApp    = "110042"
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
	cert, err := ca.Server("meizu.test")
	return identity{ca, cert}, err
})

func theIdentity(t testing.TB) identity {
	t.Helper()
	id, err := identities()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func testConfig(t testing.TB) Config {
	t.Helper()
	return Config{
		AppID: testApp, AppSecret: testSecret, Endpoint: testOrigin, CAPEM: theIdentity(t).ca.PEM(),
	}
}

// rig is a Sender on pipes to a fake of its own; it must start in a bubble.
type rig struct {
	*Sender
	fake   *fake.Meizu
	serial int
}

func newRig(t testing.TB, change ...func(*Config, *fake.MeizuOptions)) *rig {
	t.Helper()
	c := testConfig(t)
	o := fake.MeizuOptions{Cert: theIdentity(t).cert, AppID: testApp, Secret: testSecret}
	for _, f := range change {
		f(&c, &o)
	}
	l := fake.NewPipeListener()
	c.DialContext = l.DialContext
	server := fake.NewMeizu(o)
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

// token makes a new live one.
func (r *rig) token() string {
	r.serial++
	token := fmt.Sprintf("RA50c63480363%d", r.serial)
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

// took is the only push that the fake took for token.
func (r *rig) took(t *testing.T, token string) fake.MeizuPush {
	t.Helper()
	d, _ := r.fake.Device(token)
	if len(d.Received) != 1 {
		t.Fatalf("the vendor took %d pushes, want 1", len(d.Received))
	}
	return d.Received[0]
}
