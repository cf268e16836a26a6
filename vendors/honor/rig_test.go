package honor

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
	app    = "104400500"
	client = "client-77"
	secret = "s3cr3t+/&=%"
	class  = "com.example.MainActivity"
)

// identity is made once for all tests.
type identity struct {
	ca   *fake.CA
	cert tls.Certificate
}

var identities = sync.OnceValues(func() (identity, error) {
	ca, err := fake.NewCA()
	if err != nil {
		return identity{}, err
	}
	cert, err := ca.Server("push.test", "auth.test")
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
		AppID: app, ClientID: client, ClientSecret: secret, BadgeClass: class,
		CAPEM: theIdentity(t).ca.PEM(), Endpoint: "https://push.test", AuthEndpoint: "https://auth.test",
	}
}

// rig is a Sender on pipes to a fake of its own; it must start in a bubble.
type rig struct {
	*Sender
	fake   *fake.Honor
	serial int
}

func newRig(t testing.TB, change ...func(*Config, *fake.HonorOptions)) *rig {
	t.Helper()
	c, o := testConfig(t), fake.HonorOptions{Cert: theIdentity(t).cert}
	for _, f := range change {
		f(&c, &o)
	}
	l := fake.NewPipeListener()
	c.DialContext = l.DialContext
	server := fake.NewHonor(o)
	server.AddApp(app, client, secret)
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

// tokens are new live ones.
func (r *rig) tokens(count int) []string {
	all := make([]string, count)
	for i := range all {
		r.serial++
		all[i] = fmt.Sprintf("BAEA-tok3n_%04d", r.serial)
		r.fake.AddDevice(all[i])
	}
	return all
}

// push makes a notification to a new live token.
func (r *rig) push() *vendors.Notification {
	token := r.tokens(1)[0]
	return &vendors.Notification{
		PushID: fmt.Sprintf("5b0c7d1e-32aa-4f10-8c55-%012x", r.serial),
		Token:  token, Channel: vendors.ChannelAlert, Class: vendors.ClassIM,
		Title: "Ann", Body: "hi", Badge: -1,
		Data:    map[string]string{"m": fmt.Sprintf("m%d", r.serial)},
		Expires: time.Now().Add(time.Hour),
	}
}

// took sends n and returns it as Honor took it.
func (r *rig) took(t *testing.T, n *vendors.Notification) fake.HonorPush {
	t.Helper()
	res, err := r.Send(t.Context(), n)
	if err != nil || res.Outcome != vendors.Accepted || res.VendorID == "" || res.Code != "" {
		t.Fatalf("got %+v, %v", res, err)
	}
	d, _ := r.fake.Device(n.Token)
	if len(d.Received) == 0 {
		t.Fatal("accepted, but not received")
	}
	return d.Received[len(d.Received)-1]
}

// got sends one push and returns the result.
func (r *rig) got(t *testing.T, n *vendors.Notification) vendors.Result {
	t.Helper()
	res, err := r.Send(t.Context(), n)
	if err != nil {
		t.Fatal(err)
	}
	return res
}
