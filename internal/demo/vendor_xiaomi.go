package demo

import (
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/vendors/fake"
)

// openXiaomi has no icon: Xiaomi counts the badge itself and takes no number.
func openXiaomi(r rig) (*station, error) {
	f := fake.NewXiaomi(fake.XiaomiOptions{
		Cert: r.cert, Secret: secret, Package: bundleID, AnyDevice: true, KeepPerDevice: keptPerDevice, PerSecond: unhurried,
		Receipts: r.receipts,
		OnPush:   func(p fake.XiaomiPush) { r.told(Pushed{Xiaomi, p.Token, p.PushID, p.MessageID, noBadge, false, p.Raw}) },
	})
	return &station{
		vendor: Xiaomi, script: &f.Faults, server: f, receipts: f.Receipts, dead: f.Unregister,
		states: states{"live": f.AddDevice},
		faults: map[string]fault{
			Down:     asking(fake.XiaomiRefusal(500, 10001, "System error", "")),
			Rejected: asking(fake.XiaomiRefusal(200, 65009, "payload too long", "")),
			Throttle: asking(fake.XiaomiRefusal(200, 200002, "request exceeds the QPS limit of the app", "")),
		},
		credentials: func(at *site) []*rousev1.Credential {
			return []*rousev1.Credential{{Name: Xiaomi, RatePerSecond: steadyRate, Receipts: reporting(), Vendor: &rousev1.Credential_Xiaomi{Xiaomi: &rousev1.XiaomiCredential{
				PackageName: bundleID, AppSecret: secret, Endpoint: at.url, CaPem: at.ca,
			}}}}
		},
	}, nil
}
