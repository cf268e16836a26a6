package xiaomi

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/rouse-im/rouse/vendors"
)

func TestConfigValidate(t *testing.T) {
	template := func(params map[string]string) Route {
		return Route{ChannelID: "im", TemplateID: "T", TemplateParams: params}
	}
	ten := map[string]string{}
	for name := range strings.SplitSeq("a b c d e f g h i j", " ") {
		ten[name] = "title"
	}
	for _, tt := range []struct {
		field string // named by the error; empty = valid
		spoil func(*Config)
	}{
		{"", func(*Config) {}},
		{"", func(c *Config) { c.Endpoint, c.CAPEM, c.MaxInFlight, c.Path = "", nil, 1000, "/v2/message/regid" }},
		{"", func(c *Config) { c.ReceiptURL = "https://a.test/" + strings.Repeat("x", 241) }},
		{"receipts: address", func(c *Config) { c.ReceiptURL = "https://a.test/" + strings.Repeat("x", 242) }},
		{"receipts: address", func(c *Config) { c.ReceiptURL = "http://a.test/" }},
		{"", func(c *Config) { c.IM = template(map[string]string{"x": "body", "y": "data.from"}) }},
		{"", func(c *Config) { c.IntentURI = "intent:#Intent;component=a/.B;end" }},
		{"app_secret", func(c *Config) { c.AppSecret = "" }},
		{"app_secret", func(c *Config) { c.AppSecret = "se cret\n" }},
		{"package_name", func(c *Config) { c.PackageName = "" }},
		{"intent_uri", func(c *Config) { c.IntentURI = "https://secret" }},
		{"im.channel_id", func(c *Config) { c.IM.ChannelID = strings.Repeat("c", 65) }},
		{"im.channel_id", func(c *Config) { c.IM = Route{TemplateID: "T"} }},
		{"call.template_id", func(c *Config) { c.Call = Route{ChannelID: "c", TemplateID: strings.Repeat("c", 65)} }},
		{"system.template_id", func(c *Config) { c.System = Route{TemplateParams: map[string]string{"a": "body"}} }},
		{"marketing.template_params", func(c *Config) { c.Marketing = template(map[string]string{"a": "secret"}) }},
		{"im.template_params", func(c *Config) { c.IM = template(map[string]string{"": "body"}) }},
		{"im.template_params", func(c *Config) { c.IM = template(ten) }},
		{"endpoint", func(c *Config) { c.Endpoint = "http://xiaomi.test" }},
		{"endpoint", func(c *Config) { c.Endpoint = "https://u:secret@xiaomi.test" }},
		{"path", func(c *Config) { c.Path = "/v5/message/regid" }},
		{"ca_pem", func(c *Config) { c.CAPEM = []byte("secret") }},
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
		if err == nil || !strings.Contains(err.Error(), tt.field) || strings.Contains(strings.ReplaceAll(err.Error(), "app_secret", ""), "secret") {
			t.Errorf("want an error about %s without its value, got %v", tt.field, err)
		}
		if s, err := New(c); err == nil {
			s.Close()
			t.Errorf("%s: New accepts what Validate refuses", tt.field)
		}
	}
}

func TestBounds(t *testing.T) {
	for given, want := range map[int]int{0: 128, 1: 1, 1000: 1000} {
		c := testConfig(t)
		c.MaxInFlight = given
		s, err := New(c)
		if err != nil {
			t.Fatal(err)
		}
		if s.MaxInFlight() != want || s.MaxBatch() != 1000 {
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
