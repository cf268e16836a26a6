package app

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/rouse-im/rouse/actors/lane"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/internal/catalog"
	"github.com/rouse-im/rouse/internal/quota"
	"github.com/rouse-im/rouse/storage/seal"
	"github.com/rouse-im/rouse/vendors"
)

// idle is a vendor that is never sent to.
type idle struct{}

func (idle) MaxInFlight() int { return 1 }

func (idle) Close() {}

func (idle) Send(context.Context, *vendors.Notification) (vendors.Result, error) {
	return vendors.Result{}, errors.New("a push was sent")
}

// Leader and nodes mean the same accounts and rates: those of credentials with a
// rate, set or documented.
func TestSharedRates(t *testing.T) {
	quiet := slog.New(slog.DiscardHandler)
	ring, err := seal.Parse("index:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\n1:AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=")
	if err != nil {
		t.Fatal(err)
	}
	store := openStore(t)
	cat, err := catalog.Open(catalog.Options{Store: store, Ring: ring, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cat.CreateApp("app", "", nil, time.Now()); err != nil {
		t.Fatal(err)
	}
	sys := actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return quiet }))
	book, err := quota.Open(quota.Options{Store: store, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	n := &Node{catalog: cat, quotas: book, lanes: lane.NewDirectory(sys, quiet)}
	defer func() {
		if err := n.lanes.Close(context.Background()); err != nil {
			t.Error(err)
		}
		sys.Shutdown()
	}()
	for _, c := range []*rousev1.Credential{
		{Name: "set", RatePerSecond: 700, Vendor: &rousev1.Credential_Meizu{Meizu: &rousev1.MeizuCredential{AppId: "1"}}},
		{Name: "documented", Vendor: &rousev1.Credential_Meizu{Meizu: &rousev1.MeizuCredential{AppId: "2"}}},
		{Name: "none", Vendor: &rousev1.Credential_Apns{Apns: &rousev1.ApnsCredential{BundleId: "b"}}},
	} {
		if err := cat.PutCredential("app", c, catalog.Put{}); err != nil {
			t.Fatal(err)
		}
		n.lanes.Put("app", c.GetName(), idle{}, laneOptions("app", c, book))
	}
	got := map[string]uint64{}
	for _, l := range n.sharedLanes(time.Now()) {
		got[l.Key.Notifier+"/"+l.Key.Account] = n.rateOf(l.Key)
	}
	if len(got) != 2 || got["set/1"] != 700_000 || got["documented/2"] != 200_000 {
		t.Errorf("%v", got)
	}
	changed := &rousev1.Credential{Name: "set", RatePerSecond: 70, Vendor: &rousev1.Credential_Meizu{Meizu: &rousev1.MeizuCredential{AppId: "3"}}}
	if err := cat.PutCredential("app", changed, catalog.Put{}); err != nil {
		t.Fatal(err)
	}
	if rate, old := n.rateOf(quota.Key{App: "app", Notifier: "set", Account: "3"}), n.rateOf(quota.Key{App: "app", Notifier: "set", Account: "1"}); rate != 70_000 || old != 0 {
		t.Errorf("after a change the rate is %d, and of the former account %d", rate, old)
	}
	for _, k := range []quota.Key{{App: "app", Notifier: "set", Account: "2"}, {App: "app", Notifier: "gone", Account: "1"}, {App: "gone", Notifier: "set", Account: "1"}, {App: "app", Notifier: "none", Account: "b"}} {
		if rate := n.rateOf(k); rate != 0 {
			t.Errorf("%v has a rate of %d", k, rate)
		}
	}
}
