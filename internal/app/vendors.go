package app

import (
	"errors"
	"fmt"

	"github.com/rouse-im/rouse/actors/lane"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/vendors"
	"github.com/rouse-im/rouse/vendors/apns"
	"github.com/rouse-im/rouse/vendors/fcm"
)

// The vendors that this build knows. A new one is one line in each function.

var errVendor = errors.New("the credential is of a vendor that this version does not know")

// newSender opens the way to a credential's vendor.
func newSender(c *rousev1.Credential) (vendors.Sender, error) {
	switch v := c.GetVendor().(type) {
	case *rousev1.Credential_Apns:
		return apns.New(apnsConfig(v.Apns))
	case *rousev1.Credential_Fcm:
		return fcm.New(fcmConfig(v.Fcm))
	}
	return nil, errVendor
}

// checkCredential says why a credential cannot be used, without a call to the vendor.
func checkCredential(c *rousev1.Credential) error {
	switch v := c.GetVendor().(type) {
	case *rousev1.Credential_Apns:
		return apnsConfig(v.Apns).Validate()
	case *rousev1.Credential_Fcm:
		return fcmConfig(v.Fcm).Validate()
	}
	return errVendor
}

// checkToken says why a token cannot be one of the credential's vendor.
func checkToken(c *rousev1.Credential, token string) error {
	valid, form := false, ""
	switch c.GetVendor().(type) {
	case *rousev1.Credential_Apns:
		valid, form = apns.ValidToken(token), "hexadecimal digits, an even number of them"
	case *rousev1.Credential_Fcm:
		valid, form = fcm.ValidToken(token), "printable ASCII without spaces"
	default:
		return errVendor
	}
	if !valid {
		return fmt.Errorf("token: a token of notifier %q consists of %s", c.GetName(), form)
	}
	return nil
}

func apnsConfig(c *rousev1.ApnsCredential) apns.Config {
	return apns.Config{
		BundleID: c.GetBundleId(), VoIP: c.GetVoip(), Sandbox: c.GetSandbox(),
		AuthKeyPEM: []byte(c.GetAuthKeyPem()), KeyID: c.GetKeyId(), TeamID: c.GetTeamId(),
		CertificateP12: c.GetCertificateP12(), CertificatePassword: c.GetCertificatePassword(),
		Endpoint: c.GetEndpoint(), CAPEM: []byte(c.GetCaPem()),
		Connections: int(c.GetConnections()), StreamsPerConnection: int(c.GetStreamsPerConnection()),
	}
}

func fcmConfig(c *rousev1.FcmCredential) fcm.Config {
	return fcm.Config{
		ServiceAccountJSON: []byte(c.GetServiceAccountJson()), ChannelID: c.GetChannelId(), DataOnly: c.GetDataOnly(),
		Endpoint: c.GetEndpoint(), CAPEM: []byte(c.GetCaPem()), MaxInFlight: int(c.GetMaxInFlight()),
	}
}

// fcmPerSecond is Google's default quota of a project, 600,000 a minute ("FCM
// throttling and quotas", 2026), spread evenly. APNs documents no such limit.
const fcmPerSecond = 10_000

func laneOptions(c *rousev1.Credential) lane.Options {
	o := lane.Options{PerSecond: float64(c.GetRatePerSecond()), QueueLimit: int(c.GetQueueLimit())}
	if _, ok := c.GetVendor().(*rousev1.Credential_Fcm); ok && o.PerSecond == 0 {
		o.PerSecond = fcmPerSecond
	}
	return o
}
