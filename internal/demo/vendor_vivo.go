package demo

import (
	"strconv"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/vendors/fake"
)

const (
	vivoApp = 400001
	vivoKey = "demo-key"
	// vivoUninstalled is vivo's status of a user without the app.
	vivoUninstalled = 2
	vivoInactive    = 3
)

// openVivo has no icon: a push can only add one to vivo's number.
func openVivo(r rig) (*station, error) {
	f := fake.NewVivo(fake.VivoOptions{
		Cert: r.cert, AnyDevice: true, KeepPerDevice: keptPerDevice, PerSecond: unhurried, SystemPerDay: unhurried,
		Receipts: r.receipts,
		OnPush:   func(p fake.VivoPush) { r.told(Pushed{Vivo, p.Token, p.RequestID, p.MessageID, noBadge, false, p.Raw}) },
	})
	f.AddApp(fake.VivoApp{ID: vivoApp, AppKey: vivoKey, AppSecret: secret})
	down := fake.VivoRefusal(10040, "resource not available")
	down.Status = 500
	return &station{
		vendor: Vivo, script: &f.Faults, server: f, receipts: f.Receipts,
		expire: f.RevokeTokens, dead: func(token string) { f.SetStatus(token, vivoUninstalled) },
		states: states{
			"live":  f.AddDevice,
			"muted": func(token string) { f.SetStatus(token, vivoInactive) },
		},
		faults: map[string]fault{
			Down:     asking(down),
			Throttle: asking(fake.VivoRefusal(10072, "too many requests a second")),
		},
		credentials: func(at *site) []*rousev1.Credential {
			return []*rousev1.Credential{{Name: Vivo, RatePerSecond: steadyRate, Receipts: reporting(), Vendor: &rousev1.Credential_Vivo{Vivo: &rousev1.VivoCredential{
				AppId: strconv.Itoa(vivoApp), AppKey: vivoKey, AppSecret: secret, Endpoint: at.url, CaPem: at.ca,
			}}}}
		},
	}, nil
}
