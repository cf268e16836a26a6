package demo

import (
	"time"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/vendors/fake"
)

const (
	apnsKeyID = "DEMOKEY001"
	apnsTeam  = "DEMOTEAM01"
)

func openAPNs(r rig) (*station, error) {
	key, public, err := fake.NewAPNsKey()
	if err != nil {
		return nil, err
	}
	f := fake.NewAPNs(fake.APNsOptions{
		Cert: r.cert, AnyDevice: true, KeepPerDevice: keptPerDevice,
		OnPush: func(p fake.APNsPush) {
			badge := noBadge
			if p.Badge != nil {
				badge = *p.Badge
			}
			r.told(Pushed{APNs, p.Token, p.ID, p.MessageID, badge, p.PushType == "voip", p.Payload})
		},
	})
	f.AddKey(apnsTeam, apnsKeyID, public)
	return &station{
		vendor: APNs, script: &f.Faults, server: f,
		dead: func(token string) { f.Unregister(token, time.Now()) },
		states: states{
			"live":    func(token string) { f.AddDevice(token, "") },
			"offline": func(token string) { f.SetOnline(token, false) },
			"online":  func(token string) { f.SetOnline(token, true) },
		},
		icon: func(token string) (int, bool) { d, ok := f.Device(token); return d.Badge, ok },
		faults: map[string]fault{
			Down:     func(string) fake.Fault { return fake.Reason(500, "InternalServerError") },
			Rejected: func(string) fake.Fault { return fake.Reason(400, "PayloadEmpty") },
			HotDevice: func(wait string) fake.Fault {
				hot := fake.Reason(429, "TooManyRequests")
				hot.Header["retry-after"] = wait
				return hot
			},
		},
		credentials: func(at *site) []*rousev1.Credential {
			return []*rousev1.Credential{apnsCredential(IOS, false, key, at), apnsCredential(IOSVoIP, true, key, at)}
		},
	}, nil
}

func apnsCredential(name string, voip bool, key []byte, at *site) *rousev1.Credential {
	return &rousev1.Credential{Name: name, Vendor: &rousev1.Credential_Apns{Apns: &rousev1.ApnsCredential{
		BundleId: bundleID, Voip: voip, AuthKeyPem: string(key), KeyId: apnsKeyID, TeamId: apnsTeam,
		Endpoint: at.url, CaPem: at.ca,
	}}}
}
