package demo

import (
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/vendors/fake"
)

const (
	oppoKey = "demo-key"
	// oppoUnknown is OPPO's code for a registration id that it does not know.
	oppoUnknown = 10000
)

func openOPPO(r rig) (*station, error) {
	f := fake.NewOPPO(fake.OPPOOptions{
		Cert: r.cert, AnyDevice: true, KeepPerDevice: keptPerDevice, PerSecond: unhurried,
		Receipts: r.receipts,
		OnPush: func(p fake.OPPOPush) {
			badge := noBadge
			if p.Badge != nil {
				badge = *p.Badge
			}
			r.told(Pushed{OPPO, p.Token, p.PushID, p.MessageID, badge, false, p.Raw})
		},
	})
	f.AddApp(fake.OPPOApp{AppKey: oppoKey, MasterSecret: secret, ID: "1000001"})
	down := fake.OPPORefusal(-1, "Service Currently Unavailable")
	down.Status = 500
	return &station{
		vendor: OPPO, script: &f.Faults, server: f, receipts: f.Receipts,
		expire: f.RevokeTokens, dead: func(token string) { f.SetCode(token, oppoUnknown) },
		states: states{"live": f.AddDevice},
		icon:   func(token string) (int, bool) { d, ok := f.Device(token); return d.Badge, ok },
		faults: map[string]fault{
			Down:     asking(down),
			Throttle: asking(fake.OPPORefusal(55, "app call frequency limit")),
		},
		credentials: func(at *site) []*rousev1.Credential {
			return []*rousev1.Credential{{Name: OPPO, RatePerSecond: steadyRate, Receipts: reporting(), Vendor: &rousev1.Credential_Oppo{Oppo: &rousev1.OppoCredential{
				AppKey: oppoKey, MasterSecret: secret, Endpoint: at.url, OverseasEndpoint: at.url, CaPem: at.ca,
			}}}}
		},
	}, nil
}
