package demo

import (
	"strconv"
	"sync"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/vendors/fake"
)

const project = "rouse-demo"

// fcmAccount is one for all: its key takes a while.
var fcmAccount = sync.OnceValues(func() (fake.FCMAccount, error) { return fake.NewFCMAccount(project) })

func openFCM(r rig) (*station, error) {
	account, err := fcmAccount()
	if err != nil {
		return nil, err
	}
	f := fake.NewFCM(fake.FCMOptions{
		Cert: r.cert, AnyDevice: true, KeepPerDevice: keptPerDevice, DevicePerMinute: unhurried,
		OnPush: func(p fake.FCMPush) { r.told(ofFCM(p)) },
	})
	f.AddAccount(account)
	return &station{
		vendor: FCM, script: &f.Faults, server: f,
		expire: f.RevokeBearers, dead: f.Unregister,
		states: states{"live": func(token string) { f.AddDevice(token, "") }},
		icon:   func(token string) (int, bool) { d, ok := f.Device(token); return d.Badge, ok },
		faults: map[string]fault{
			Down: func(wait string) fake.Fault {
				return fake.FCMRefusal(500, "INTERNAL", "INTERNAL", "Internal error encountered.", wait)
			},
			Throttle: func(wait string) fake.Fault {
				return fake.FCMRefusal(429, "RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED", "Quota exceeded.", wait)
			},
			Rejected: func(wait string) fake.Fault {
				return fake.FCMRefusal(400, "INVALID_ARGUMENT", "INVALID_ARGUMENT", "Request contains an invalid argument.", wait)
			},
			HotDevice: fake.FCMDeviceQuota,
		},
		credentials: func(at *site) []*rousev1.Credential {
			return []*rousev1.Credential{{Name: Android, RatePerSecond: steadyRate, Vendor: &rousev1.Credential_Fcm{Fcm: &rousev1.FcmCredential{
				ServiceAccountJson: string(account.JSON(at.url)), Endpoint: at.url, CaPem: at.ca,
			}}}}
		},
	}, nil
}

// ofFCM finds the badge of a data message in its data: the app draws it.
func ofFCM(p fake.FCMPush) Pushed {
	badge := noBadge
	if p.Count != nil {
		badge = *p.Count
	} else if n, err := strconv.Atoi(p.Data["rouse_badge"]); err == nil {
		badge = n
	}
	return Pushed{FCM, p.Token, p.PushID, p.MessageID, badge, p.DataOnly, p.Raw}
}
