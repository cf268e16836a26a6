package fcm

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/rouse-im/rouse/vendors"
	"github.com/rouse-im/rouse/vendors/fake"
)

const (
	origin  = "https://fcm.test"
	project = "demo"
)

// identity is made once: RSA keys are slow to make.
type identity struct {
	ca      *fake.CA
	cert    tls.Certificate
	account fake.FCMAccount
}

var identities = sync.OnceValues(func() (identity, error) {
	ca, err := fake.NewCA()
	if err != nil {
		return identity{}, err
	}
	cert, err := ca.Server("fcm.test")
	if err != nil {
		return identity{}, err
	}
	account, err := fake.NewFCMAccount(project)
	return identity{ca, cert, account}, err
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
	id := theIdentity(t)
	return Config{ServiceAccountJSON: id.account.JSON(origin), CAPEM: id.ca.PEM(), Endpoint: origin}
}

// rig is a Sender on pipes to a fake of its own; it must start in a bubble.
type rig struct {
	*Sender
	fake   *fake.FCM
	serial int
}

func newRig(t testing.TB, change ...func(*Config, *fake.FCMOptions)) *rig {
	t.Helper()
	id := theIdentity(t)
	c := testConfig(t)
	o := fake.FCMOptions{Cert: id.cert}
	for _, f := range change {
		f(&c, &o)
	}
	l := fake.NewPipeListener()
	c.DialContext = l.DialContext
	server := fake.NewFCM(o)
	server.AddAccount(id.account)
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

// push makes a notification to a new live token.
func (r *rig) push() *vendors.Notification {
	r.serial++
	token := fmt.Sprintf("fTok3n:APA91b-%d", r.serial)
	r.fake.AddDevice(token, "")
	return &vendors.Notification{
		PushID: fmt.Sprintf("5b0c7d1e-32aa-4f10-8c55-%012x", r.serial),
		Token:  token, Channel: vendors.ChannelAlert, Class: vendors.ClassIM,
		Title: "Ann", Body: "hi", Badge: -1,
		Data:    map[string]string{"m": fmt.Sprintf("m%d", r.serial)},
		Expires: time.Now().Add(time.Hour),
	}
}

// wire is the request body as a tree.
func wire(t testing.TB, p fake.FCMPush) map[string]any {
	t.Helper()
	var tree map[string]any
	if err := json.Unmarshal(p.Raw, &tree); err != nil {
		t.Fatal(err)
	}
	return tree
}

// at walks tree by keys; nil when a key is missing.
func at(tree any, keys ...string) any {
	for _, key := range keys {
		object, _ := tree.(map[string]any)
		tree = object[key]
	}
	return tree
}

func text(tree any, keys ...string) string {
	s, _ := at(tree, keys...).(string)
	return s
}
