package demo

import (
	"sync"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/vendors/fake"
)

const (
	huaweiApp     = "100000001"
	huaweiProject = "200000001"
)

// openHuawei is Push Kit for HMS.
func openHuawei(r rig) (*station, error) {
	s, f := newHuawei(r, Huawei)
	f.AddApp(huaweiApp, secret)
	s.credentials = func(at *site) []*rousev1.Credential {
		return []*rousev1.Credential{{Name: Huawei, RatePerSecond: steadyRate, Receipts: reporting(), Vendor: &rousev1.Credential_Huawei{Huawei: &rousev1.HuaweiCredential{
			AppId: huaweiApp, AppSecret: secret, BadgeClass: firstPage,
			Endpoint: at.url, AuthEndpoint: at.url, CaPem: at.ca,
		}}}}
	}
	return s, nil
}

// harmonyAccount is one for all: its key takes a while.
var harmonyAccount = sync.OnceValues(func() (fake.HuaweiAccount, error) { return fake.NewHuaweiAccount(huaweiProject) })

// openHarmony is Push Kit for HarmonyOS 5 and later.
func openHarmony(r rig) (*station, error) {
	account, err := harmonyAccount()
	if err != nil {
		return nil, err
	}
	s, f := newHuawei(r, Harmony)
	f.AddAccount(account)
	s.credentials = func(at *site) []*rousev1.Credential {
		return []*rousev1.Credential{{Name: Harmony, RatePerSecond: steadyRate, Receipts: reporting(), Vendor: &rousev1.Credential_Harmony{Harmony: &rousev1.HarmonyCredential{
			ServiceAccountJson: string(account.JSON()), Endpoint: at.url, CaPem: at.ca,
		}}}}
	}
	return s, nil
}

func newHuawei(r rig, vendor string) (*station, *fake.Huawei) {
	addresses := map[string]fake.ReceiptAddress{} // by the id of their configuration
	f := fake.NewHuawei(fake.HuaweiOptions{
		Cert: r.cert, AnyDevice: true, KeepPerDevice: keptPerDevice, PerSecond: unhurried,
		Receipts: r.receipts, Callbacks: addresses,
		OnPush: func(p fake.HuaweiPush) {
			badge := noBadge
			if p.Badge != nil && p.Badge.Set != nil {
				badge = *p.Badge.Set
			}
			r.told(Pushed{vendor, p.Token, p.PushID, p.MessageID, badge, false, p.Raw})
		},
	})
	return &station{
		vendor: vendor, script: &f.Faults, server: f, receipts: f.Receipts,
		enter:  func(url string) { addresses[""] = console(url) },
		expire: f.RevokeBearers, dead: f.Unregister,
		states: states{
			"live":     func(token string) { f.AddDevice(token, "") },
			"upgraded": f.Upgrade, // to HarmonyOS 5: no right to push any more
		},
		icon: func(token string) (int, bool) { d, ok := f.Device(token); return d.Badge, ok },
		faults: map[string]fault{
			Down:     asking(fake.HuaweiRefusal(500, "81000001", "System inner error.")),
			Throttle: asking(fake.HuaweiRefusal(503, "80300020", "Flow control")),
		},
	}, f
}
