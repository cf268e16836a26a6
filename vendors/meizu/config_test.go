package meizu

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/rouse-im/rouse/vendors"
)

func TestConfigValidate(t *testing.T) {
	for _, tt := range []struct {
		field string // named by the error; empty = valid
		spoil func(*Config)
	}{
		{"", func(*Config) {}},
		{"", func(c *Config) { c.Endpoint, c.CAPEM, c.MaxInFlight, c.Activity = "", nil, 1000, "com.example.Chat" }},
		{"", func(c *Config) { c.ReceiptURL, c.ReceiptSecret = "https://a.test/"+strings.Repeat("x", 113), "t" }},
		{"receipts: address", func(c *Config) { c.ReceiptURL, c.ReceiptSecret = "https://a.test/"+strings.Repeat("x", 114), "t" }},
		{"receipts.secret", func(c *Config) { c.ReceiptURL = "https://a.test/" }},
		{"receipts.secret", func(c *Config) { c.ReceiptSecret = strings.Repeat("s", 257) }},
		{"app_id", func(c *Config) { c.AppID = "" }},
		{"app_id", func(c *Config) { c.AppID = "12a" }},
		{"app_id", func(c *Config) { c.AppID = strings.Repeat("1", 33) }},
		{"app_secret", func(c *Config) { c.AppSecret = "" }},
		{"app_secret", func(c *Config) { c.AppSecret = "se cret\n" }},
		{"app_secret", func(c *Config) { c.AppSecret = strings.Repeat("x", 257) }},
		{"activity", func(c *Config) { c.Activity = "a b" }},
		{"activity", func(c *Config) { c.Activity = strings.Repeat("x", 257) }},
		{"endpoint", func(c *Config) { c.Endpoint = "http://meizu.test" }},
		{"endpoint", func(c *Config) { c.Endpoint = "https://u:hidden@meizu.test" }},
		{"ca_pem", func(c *Config) { c.CAPEM = []byte("hidden") }},
		{"max_in_flight", func(c *Config) { c.MaxInFlight = 1001 }},
		{"max_in_flight", func(c *Config) { c.MaxInFlight = -1 }},
	} {
		c := testConfig(t)
		tt.spoil(&c)
		err := c.Validate()
		if tt.field == "" {
			if err != nil {
				t.Errorf("valid config: %v", err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), tt.field) ||
			strings.Contains(err.Error(), "hidden") || strings.Contains(err.Error(), testSecret) {
			t.Errorf("want an error about %s without its value, got %v", tt.field, err)
		}
		if s, err := New(c); err == nil {
			s.Close()
			t.Errorf("%s: New accepts what Validate refuses", tt.field)
		}
	}
}

func TestBounds(t *testing.T) {
	for given, want := range map[int]int{0: 32, 1: 1, 1000: 1000} {
		c := testConfig(t)
		c.MaxInFlight = given
		s, err := New(c)
		if err != nil {
			t.Fatal(err)
		}
		if s.MaxInFlight() != want || s.MaxBatch() != 100 {
			t.Errorf("%d gives %d, batch %d", given, s.MaxInFlight(), s.MaxBatch())
		}
		s.Close()
	}
}

// TestSecretReset: another secret is refused until the operator gives it to us.
func TestSecretReset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		for _, step := range []struct {
			secret string
			want   vendors.Outcome
		}{{testSecret, vendors.Accepted}, {"other", vendors.CredentialBad}, {testSecret, vendors.Accepted}} {
			r.fake.SetSecret(step.secret)
			if res, err := r.Send(t.Context(), r.push()); err != nil || res.Outcome != step.want {
				t.Errorf("%+v, %v; want %s", res, err, step.want)
			}
		}
	})
}
