package demo

import (
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/vendors/fake"
)

const (
	honorApp    = "300000001"
	honorClient = "demo-client"
)

func openHonor(r rig) (*station, error) {
	f := fake.NewHonor(fake.HonorOptions{
		Cert: r.cert, AnyDevice: true, KeepPerDevice: keptPerDevice, PerSecond: unhurried,
		Receipts: r.receipts,
		OnPush: func(p fake.HonorPush) {
			badge := noBadge
			if p.Badge != nil && p.Badge.Set != nil {
				badge = *p.Badge.Set
			}
			r.told(Pushed{Honor, p.Token, p.PushID, p.MessageID, badge, false, p.Raw})
		},
	})
	f.AddApp(honorApp, honorClient, secret)
	return &station{
		vendor: Honor, script: &f.Faults, server: f, receipts: f.Receipts,
		enter:  func(url string) { f.SetCallback(console(url)) },
		expire: f.RevokeBearers, dead: f.Unregister,
		states: states{
			"live":    f.AddDevice,
			"failing": func(token string) { f.FailNext(token, 1) }, // once
		},
		icon: func(token string) (int, bool) { d, ok := f.Device(token); return d.Badge, ok },
		faults: map[string]fault{
			Down:     asking(fake.HonorRefusal(500, "81000001", "internal error")),
			Throttle: asking(fake.HonorRefusal(503, "80300028", "flow control")),
		},
		credentials: func(at *site) []*rousev1.Credential {
			return []*rousev1.Credential{{Name: Honor, RatePerSecond: steadyRate, Receipts: reporting(), Vendor: &rousev1.Credential_Honor{Honor: &rousev1.HonorCredential{
				AppId: honorApp, ClientId: honorClient, ClientSecret: secret, BadgeClass: firstPage,
				Endpoint: at.url, AuthEndpoint: at.url, CaPem: at.ca,
			}}}}
		},
	}, nil
}
