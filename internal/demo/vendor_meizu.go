package demo

import (
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/vendors/fake"
)

const meizuApp = "500001"

// openMeizu has no icon: Meizu counts the badge itself and takes no number.
func openMeizu(r rig) (*station, error) {
	proofs := map[string]string{} // by address
	f := fake.NewMeizu(fake.MeizuOptions{
		Cert: r.cert, AppID: meizuApp, Secret: secret, AnyDevice: true, KeepPerDevice: keptPerDevice,
		PerSecond: unhurried, UnfoldedPerMinute: unhurried,
		Receipts: r.receipts, Callbacks: proofs,
		OnPush: func(p fake.MeizuPush) { r.told(Pushed{Meizu, p.Token, p.PushID, p.MessageID, noBadge, false, p.Raw}) },
	})
	return &station{
		vendor: Meizu, script: &f.Faults, server: f, receipts: f.Receipts, dead: f.Unregister,
		enter:  func(url string) { proofs[url] = console(url).Secret },
		states: states{"live": f.AddDevice, "muted": f.SwitchOff},
		faults: map[string]fault{
			Down:     asking(fake.MeizuRefusal(500, "1001", "system error", "")),
			Throttle: asking(fake.MeizuRefusal(200, "110010", "the app's requests are too frequent", "")),
		},
		credentials: func(at *site) []*rousev1.Credential {
			return []*rousev1.Credential{{Name: Meizu, RatePerSecond: steadyRate, Receipts: reporting(), Vendor: &rousev1.Credential_Meizu{Meizu: &rousev1.MeizuCredential{
				AppId: meizuApp, AppSecret: secret, Endpoint: at.url, CaPem: at.ca,
			}}}}
		},
	}, nil
}
