package demo

import (
	"errors"
	"fmt"
	"net"
	"strconv"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/vendors/fake"
)

// What the fakes' credentials are called and say.
const (
	IOS     = "ios"      // notifier of alerts on iOS
	IOSVoIP = "ios-voip" // notifier of calls on iOS
	Android = "android"

	bundleID  = "im.rouse.demo"
	project   = "rouse-demo"
	apnsKeyID = "DEMOKEY001"
	apnsTeam  = "DEMOTEAM01"
)

// keptPerDevice is more pushes than any device gets in the day: the fakes then
// notice every message that comes twice under different ids.
const keptPerDevice = 4096

// Names of vendors, for people.
const (
	APNs = "APNs"
	FCM  = "FCM"
)

// Pushed is one push that a fake took.
type Pushed struct {
	Vendor             string // APNs or FCM
	Token, ID, Message string
	Badge              int  // negative = none
	Silent             bool // nothing that the system shows by itself
}

// VendorsOptions configures the fakes.
type VendorsOptions struct {
	// APNs and FCM are loopback addresses; empty = a free port.
	APNs, FCM string
	// Pushed is called for each push taken; it must not block. nil = nobody.
	Pushed func(Pushed)
}

// Vendors are a fake APNs and a fake FCM on loopback, over TLS of one authority.
type Vendors struct {
	APNs *fake.APNs
	FCM  *fake.FCM
	// CAPEM is the authority's certificate.
	CAPEM []byte
	// APNsURL and FCMURL are the origins to send to.
	APNsURL, FCMURL string

	authKey []byte
	account fake.FCMAccount
	served  chan error
}

// StartVendors opens both fakes; Close ends them.
func StartVendors(o VendorsOptions) (_ *Vendors, err error) {
	v := &Vendors{served: make(chan error, 2)}
	ca, err := fake.NewCA()
	if err != nil {
		return nil, err
	}
	cert, err := ca.Server("127.0.0.1", "localhost")
	if err != nil {
		return nil, err
	}
	v.CAPEM = ca.PEM()
	var told func(Pushed)
	if told = o.Pushed; told == nil {
		told = func(Pushed) {}
	}
	v.APNs = fake.NewAPNs(fake.APNsOptions{
		Cert: cert, AnyDevice: true, KeepPerDevice: keptPerDevice,
		OnPush: func(p fake.APNsPush) { told(ofAPNs(p)) },
	})
	// A day goes by in seconds here, and so would FCM's quotas of a minute.
	v.FCM = fake.NewFCM(fake.FCMOptions{
		Cert: cert, AnyDevice: true, KeepPerDevice: keptPerDevice, DevicePerMinute: 1 << 30,
		OnPush: func(p fake.FCMPush) { told(ofFCM(p)) },
	})
	key, public, err := fake.NewAPNsKey()
	if err != nil {
		return nil, err
	}
	v.authKey = key
	v.APNs.AddKey(apnsTeam, apnsKeyID, public)
	if v.account, err = fake.NewFCMAccount(project); err != nil {
		return nil, err
	}
	v.FCM.AddAccount(v.account)

	apns, err := listen(o.APNs)
	if err != nil {
		return nil, fmt.Errorf("fake APNs: %w", err)
	}
	fcm, err := listen(o.FCM)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("fake FCM: %w", err), apns.Close())
	}
	v.APNsURL, v.FCMURL = fake.URL(apns), fake.URL(fcm)
	go func() { v.served <- v.APNs.Serve(apns) }()
	go func() { v.served <- v.FCM.Serve(fcm) }()
	return v, nil
}

// Failed tells when a fake has ended, with an error or by Close.
func (v *Vendors) Failed() <-chan error { return v.served }

// Close ends both fakes.
func (v *Vendors) Close() {
	_ = v.APNs.Close()
	_ = v.FCM.Close()
}

// Credentials reach the fakes: alerts and calls on iOS, and Android.
func (v *Vendors) Credentials() []*rousev1.Credential {
	apns := func(name string, voip bool) *rousev1.Credential {
		return &rousev1.Credential{Name: name, Vendor: &rousev1.Credential_Apns{Apns: &rousev1.ApnsCredential{
			BundleId: bundleID, Voip: voip, AuthKeyPem: string(v.authKey), KeyId: apnsKeyID, TeamId: apnsTeam,
			Endpoint: v.APNsURL, CaPem: string(v.CAPEM),
		}}}
	}
	return []*rousev1.Credential{apns(IOS, false), apns(IOSVoIP, true), {
		Name: Android,
		// With a stated rate a throttling halves that rate, and not what was sent so far.
		RatePerSecond: 5000,
		Vendor: &rousev1.Credential_Fcm{Fcm: &rousev1.FcmCredential{
			ServiceAccountJson: string(v.account.JSON(v.FCMURL)), Endpoint: v.FCMURL, CaPem: string(v.CAPEM),
		}},
	}}
}

func listen(address string) (net.Listener, error) {
	if address == "" {
		address = "127.0.0.1:0"
	}
	host, _, err := net.SplitHostPort(address)
	if ip := net.ParseIP(host); err != nil || ip == nil || !ip.IsLoopback() {
		return nil, fmt.Errorf("%q is no loopback address; write one like 127.0.0.1:7710", address)
	}
	return fake.Listen(address)
}

func ofAPNs(p fake.APNsPush) Pushed {
	badge := -1
	if p.Badge != nil {
		badge = *p.Badge
	}
	return Pushed{Vendor: APNs, Token: p.Token, ID: p.ID, Message: p.MessageID, Badge: badge, Silent: p.PushType == "voip"}
}

// ofFCM finds the badge of a data message in its data: the app draws it.
func ofFCM(p fake.FCMPush) Pushed {
	badge := -1
	if p.Count != nil {
		badge = *p.Count
	} else if n, err := strconv.Atoi(p.Data["rouse_badge"]); err == nil {
		badge = n
	}
	return Pushed{Vendor: FCM, Token: p.Token, ID: p.PushID, Message: p.MessageID, Badge: badge, Silent: p.DataOnly}
}
