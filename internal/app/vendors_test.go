package app

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/rouse-im/rouse/actors/user"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/internal/quota"
	"github.com/rouse-im/rouse/storage"
)

// A zone that nobody knows is refused with the field's name; the vendor's own and
// what an operator sets are known.
func TestQuotaZones(t *testing.T) {
	credential := func(zone string) *rousev1.Credential {
		return &rousev1.Credential{
			Name: "n", DailyQuota: &rousev1.DailyQuota{TimeZone: zone},
			Vendor: &rousev1.Credential_Meizu{Meizu: &rousev1.MeizuCredential{AppId: "1", AppSecret: "s"}},
		}
	}
	for _, bad := range []string{"Mars/Olympus", "Local", "../etc/passwd"} {
		if err := checkCredential(credential(bad), ""); err == nil || !strings.Contains(err.Error(), "daily_quota.time_zone") {
			t.Errorf("%q: %v", bad, err)
		}
	}
	for zone, want := range map[string]string{"": "Asia/Shanghai", "UTC": "UTC", "America/New_York": "America/New_York"} {
		if err := checkCredential(credential(zone), ""); err != nil {
			t.Error(err)
		}
		if got := zoneOf(credential(zone)).String(); got != want {
			t.Errorf("%q is %s, want %s", zone, got, want)
		}
	}
}

// The documented caps hold where the operator set none.
func TestMarketingCaps(t *testing.T) {
	public := &rousev1.XiaomiCredential{Marketing: &rousev1.XiaomiRoute{ChannelId: "1"}}
	for _, c := range []struct {
		credential *rousev1.Credential
		want       uint16
	}{
		{&rousev1.Credential{Vendor: &rousev1.Credential_Apns{}}, 0},
		{&rousev1.Credential{Vendor: &rousev1.Credential_Meizu{}}, 0},
		{&rousev1.Credential{Vendor: &rousev1.Credential_Vivo{}}, 2},
		{&rousev1.Credential{Vendor: &rousev1.Credential_Vivo{}, MarketingPerDevice: 7}, 7},
		{&rousev1.Credential{Vendor: &rousev1.Credential_Honor{}}, 2},
		{&rousev1.Credential{Vendor: &rousev1.Credential_Honor{Honor: &rousev1.HonorCredential{TestMessages: true}}}, 0},
		{&rousev1.Credential{Vendor: &rousev1.Credential_Xiaomi{}}, 1},
		{&rousev1.Credential{Vendor: &rousev1.Credential_Xiaomi{Xiaomi: public}}, 5},
	} {
		app := user.NewApp(nil, []*rousev1.Credential{c.credential})
		if got := notifierOf(c.credential, app.Notifiers[""], false); got.MarketingCap != c.want || got.Zone == nil {
			t.Errorf("%v: cap %d in %v, want %d", c.credential, got.MarketingCap, got.Zone, c.want)
		}
	}
}

// The documented rates hold where the operator set none, in what the vendor counts.
func TestDefaultRates(t *testing.T) {
	book, err := quota.Open(quota.Options{Store: openStore(t), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		credential *rousev1.Credential
		want       float64
		perPush    bool
	}{
		{&rousev1.Credential{Vendor: &rousev1.Credential_Apns{}}, 0, false},
		{&rousev1.Credential{Vendor: &rousev1.Credential_Fcm{}}, 10_000, false},
		{&rousev1.Credential{Vendor: &rousev1.Credential_Vivo{}}, 3000, true},
		{&rousev1.Credential{Vendor: &rousev1.Credential_Meizu{}}, 200, false},
		{&rousev1.Credential{Vendor: &rousev1.Credential_Vivo{}, RatePerSecond: 5}, 5, true},
	} {
		if o := laneOptions("app", c.credential, book); o.PerSecond != c.want || o.PerPush != c.perPush {
			t.Errorf("%v: %v/s, of pushes %v", c.credential, o.PerSecond, o.PerPush)
		}
	}
}

func openStore(t *testing.T) *storage.Store {
	s, err := storage.Open("db", storage.Options{FS: vfs.NewMem(), Shards: 1, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// Every vendor has its limits: none counts for two accounts as one.
func TestEveryVendorHasAnAccount(t *testing.T) {
	kinds := (&rousev1.Credential{}).ProtoReflect().Descriptor().Oneofs().ByName("vendor").Fields()
	for i := range kinds.Len() {
		kind := kinds.Get(i)
		accounts := map[string]bool{}
		for _, text := range []string{"1", "2"} {
			c := (&rousev1.Credential{Name: "n"}).ProtoReflect()
			v := c.NewField(kind).Message()
			fields := v.Descriptor().Fields()
			for j := range fields.Len() {
				if f := fields.Get(j); f.Kind() == protoreflect.StringKind && !f.IsMap() {
					v.Set(f, protoreflect.ValueOfString(text))
				}
			}
			c.Set(kind, protoreflect.ValueOfMessage(v))
			accounts[limitsOf(c.Interface().(*rousev1.Credential)).account] = true
		}
		if len(accounts) != 2 || accounts[""] {
			t.Errorf("%s: accounts %v", kind.Name(), accounts)
		}
	}
}

// Every vendor that the contract offers is known here: an empty credential of
// it is refused with the name of a field, not as unknown.
func TestEveryVendorIsKnown(t *testing.T) {
	kinds := (&rousev1.Credential{}).ProtoReflect().Descriptor().Oneofs().ByName("vendor").Fields()
	for i := range kinds.Len() {
		kind := kinds.Get(i)
		c := (&rousev1.Credential{Name: "n"}).ProtoReflect()
		c.Set(kind, protoreflect.ValueOfMessage(c.NewField(kind).Message()))
		credential := c.Interface().(*rousev1.Credential)
		err := checkCredential(credential, "")
		if err == nil || err == errVendor {
			t.Errorf("%s: an empty credential is checked with %v", kind.Name(), err)
		}
		if _, opened := newSender(credential, "", nil); opened == nil || opened == errVendor {
			t.Errorf("%s: an empty credential opens with %v", kind.Name(), opened)
		}
		if err := checkToken(credential, "a b\n"); err == nil || !strings.Contains(err.Error(), "token") {
			t.Errorf("%s: a token with spaces: %v", kind.Name(), err)
		}
	}
}

// Each vendor with receipts takes the settings that are its own, and is told an
// address only by a credential that wants receipts.
func TestReceiptSettings(t *testing.T) {
	const address = "https://push.example.com/receipts/x"
	settings := &rousev1.ReceiptSettings{Enabled: true, UserName: "user", Secret: "token", CallbackId: "7"}
	if c := huaweiConfig(&rousev1.HuaweiCredential{}, settings); c.ReceiptUserName != "user" || c.ReceiptSecret != "token" {
		t.Errorf("Huawei: got %q", c.ReceiptUserName)
	}
	if c := harmonyConfig(&rousev1.HarmonyCredential{}, settings); c.ReceiptUserName != "user" || c.ReceiptSecret != "token" {
		t.Errorf("HarmonyOS: got %q", c.ReceiptUserName)
	}
	if c := honorConfig(&rousev1.HonorCredential{}, settings); c.ReceiptUserName != "user" || c.ReceiptSecret != "token" {
		t.Errorf("Honor: got %q", c.ReceiptUserName)
	}
	if c := meizuConfig(&rousev1.MeizuCredential{}, settings, address); c.ReceiptURL != address || c.ReceiptSecret != "token" {
		t.Errorf("Meizu: got %q", c.ReceiptURL)
	}
	if c := vivoConfig(&rousev1.VivoCredential{}, settings, address); c.ReceiptURL != address || c.CallbackID != "7" {
		t.Errorf("vivo: got %q, %q", c.ReceiptURL, c.CallbackID)
	}
	if c := vivoConfig(&rousev1.VivoCredential{}, &rousev1.ReceiptSettings{CallbackId: "7"}, ""); c.CallbackID != "" {
		t.Errorf("vivo without receipts: got %q", c.CallbackID)
	}
	long := "https://push.example.com/" + strings.Repeat("x", 256)
	for name, c := range map[string]*rousev1.Credential{
		"xiaomi": {Vendor: &rousev1.Credential_Xiaomi{Xiaomi: &rousev1.XiaomiCredential{AppSecret: "s", PackageName: "p"}}},
		"oppo":   {Vendor: &rousev1.Credential_Oppo{Oppo: &rousev1.OppoCredential{AppKey: "k", MasterSecret: "s"}}},
		"vivo":   {Vendor: &rousev1.Credential_Vivo{Vivo: &rousev1.VivoCredential{AppId: "1", AppKey: "k", AppSecret: "s"}}},
		"meizu":  {Vendor: &rousev1.Credential_Meizu{Meizu: &rousev1.MeizuCredential{AppId: "1", AppSecret: "s"}}},
	} {
		if err := checkCredential(c, long); err != nil {
			t.Errorf("%s without receipts: %v", name, err)
		}
		c.Receipts = &rousev1.ReceiptSettings{Enabled: true, Secret: "token"}
		if err := checkCredential(c, address); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := checkCredential(c, long); err == nil || !strings.Contains(err.Error(), "receipts: address") {
			t.Errorf("%s: an address that is too long: %v", name, err)
		}
		if vendorOf(c, address, nil).receipts == nil {
			t.Errorf("%s: reads no receipts", name)
		}
	}
}
