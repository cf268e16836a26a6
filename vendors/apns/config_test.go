package apns

import (
	"bytes"
	"crypto/x509"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/rouse-im/rouse/vendors"
	"github.com/rouse-im/rouse/vendors/fake"
)

const p12Password = "rouse"

func readP12(t *testing.T) []byte {
	t.Helper()
	p12, err := os.ReadFile("testdata/certificate.p12")
	if err != nil {
		t.Fatal(err)
	}
	return p12
}

func TestConfig(t *testing.T) {
	p8, _, err := fake.NewAPNsKey()
	if err != nil {
		t.Fatal(err)
	}
	p12 := readP12(t)
	secret := strings.Split(string(p8), "\n")[1]
	good := Config{BundleID: testBundle, AuthKeyPEM: p8, KeyID: testKey, TeamID: testTeam}
	withP12 := Config{BundleID: testBundle, CertificateP12: p12, CertificatePassword: p12Password}
	if err := withP12.Validate(); err != nil {
		t.Errorf("certificate: %v", err)
	}
	for _, tt := range []struct {
		name   string
		change func(*Config)
		field  string // empty = good
	}{
		{"good", func(*Config) {}, ""},
		{"endpoint", func(c *Config) { c.Endpoint = "https://127.0.0.1:8443" }, ""},
		{"no bundle", func(c *Config) { c.BundleID = "" }, "bundle_id"},
		{"long bundle", func(c *Config) { c.BundleID = strings.Repeat("b", 129) }, "bundle_id"},
		{"long sound", func(c *Config) { c.Sound = strings.Repeat("s", maxSoundBytes+1) }, "sound"},
		{"no credential", func(c *Config) { c.AuthKeyPEM = nil }, "auth_key_pem"},
		{"no pem", func(c *Config) { c.AuthKeyPEM = []byte(secret) }, "auth_key_pem"},
		{"cut pem", func(c *Config) { c.AuthKeyPEM = bytes.Replace(p8, []byte("M"), nil, 1) }, "auth_key_pem"},
		{"huge pem", func(c *Config) { c.AuthKeyPEM = bytes.Repeat(p8, 1000) }, "auth_key_pem"},
		{"no key id", func(c *Config) { c.KeyID = "" }, "key_id"},
		{"long team id", func(c *Config) { c.TeamID = strings.Repeat("t", 17) }, "team_id"},
		{"both credentials", func(c *Config) { c.CertificateP12 = p12 }, "certificate_p12"},
		{"password", func(c *Config) { *c = withP12; c.CertificatePassword = "wrong-" + secret }, "certificate_p12"},
		{"no p12", func(c *Config) { *c = withP12; c.CertificateP12 = []byte(secret) }, "certificate_p12"},
		{"http", func(c *Config) { c.Endpoint = "http://" + secret }, "endpoint"},
		{"path", func(c *Config) { c.Endpoint = "https://host/" + secret }, "endpoint"},
		{"user", func(c *Config) { c.Endpoint = "https://u:" + secret + "@host" }, "endpoint"},
		{"junk", func(c *Config) { c.Endpoint = "https://[" + secret }, "endpoint"},
		{"no ca", func(c *Config) { c.CAPEM = []byte(secret) }, "ca_pem"},
		{"connections", func(c *Config) { c.Connections = 17 }, "connections"},
		{"streams", func(c *Config) { c.StreamsPerConnection = -1 }, "streams_per_connection"},
	} {
		c := good
		tt.change(&c)
		err := c.Validate()
		field, ok := errors.AsType[*FieldError](err)
		switch {
		case tt.field == "" && err != nil:
			t.Errorf("%s: %v", tt.name, err)
		case tt.field != "" && (!ok || field.Field != tt.field):
			t.Errorf("%s: got %v, want the field %s", tt.name, err, tt.field)
		case err != nil && strings.Contains(err.Error(), secret):
			t.Errorf("%s: the error holds a secret", tt.name)
		}
		if s, newErr := New(c); (newErr == nil) != (err == nil) {
			t.Errorf("%s: New says %v, Validate %v", tt.name, newErr, err)
		} else if s != nil {
			s.Close()
		}
	}
}

func TestConfigDefaults(t *testing.T) {
	p8, _, err := fake.NewAPNsKey()
	if err != nil {
		t.Fatal(err)
	}
	c := Config{BundleID: testBundle, AuthKeyPEM: p8, KeyID: testKey, TeamID: testTeam}
	for _, tt := range []struct {
		sandbox bool
		address string
	}{{false, "api.push.apple.com:443"}, {true, "api.sandbox.push.apple.com:443"}} {
		c.Sandbox = tt.sandbox
		p, err := c.parse()
		if err != nil || p.address != tt.address || p.connections != 1 || p.streams != 900 {
			t.Errorf("sandbox %t: %s, %d × %d, %v", tt.sandbox, p.address, p.connections, p.streams, err)
		}
	}
}

// TestCertificate runs in real time over TCP: its certificate is of 2026.
func TestCertificate(t *testing.T) {
	c := Config{BundleID: testBundle, CertificateP12: readP12(t), CertificatePassword: p12Password}
	p, err := c.parse()
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(p.tls.Certificates[0].Leaf)
	a, reach := newTCPFake(t, fake.APNsOptions{ClientCAs: roots, AnyDevice: true})
	c.Endpoint, c.CAPEM = reach.Endpoint, reach.CAPEM
	s := newSender(t, c)
	n := &vendors.Notification{PushID: testPushID, Token: "aa", Channel: vendors.ChannelAlert, Title: "t", Badge: -1, Expires: time.Now().Add(time.Hour)}
	if res, err := s.Send(t.Context(), n); err != nil || res.Outcome != vendors.Accepted || res.VendorID != testPushID {
		t.Errorf("got %+v, %v", res, err)
	}
	if bearers := a.Stats().Bearers; bearers != 0 {
		t.Errorf("%d provider tokens beside a certificate", bearers)
	}
}
