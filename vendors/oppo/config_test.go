package oppo

import (
	"strings"
	"testing"
)

func TestValidate(t *testing.T) {
	if err := testConfig().Validate(); err != nil {
		t.Fatal(err)
	}
	for field, change := range map[string]func(*Config){
		"app_key":           func(c *Config) { c.AppKey = "" },
		"master_secret":     func(c *Config) { c.MasterSecret = "hidden secret" },
		"channel_id":        func(c *Config) { c.ChannelID = strings.Repeat("c", 65) },
		"category":          func(c *Config) { c.Category = "im" },
		"system_category":   func(c *Config) { c.SystemCategory = strings.Repeat("A", 33) },
		"notify_level":      func(c *Config) { c.NotifyLevel = 3 },
		"notify_level: nee": func(c *Config) { c.NotifyLevel, c.Category = 2, "SOCIAL" },
		"activity":          func(c *Config) { c.Activity = strings.Repeat("a", 501) },
		"template_title":    func(c *Config) { c.TemplateTitle = strings.Repeat("a", 65) },
		"endpoint":          func(c *Config) { c.Endpoint = "http://plain.test" },
		"overseas_endpoint": func(c *Config) { c.OverseasEndpoint = "https://a.test/path" },
		"receipts: address": func(c *Config) { c.ReceiptURL = "https://a.test/" + strings.Repeat("x", 186) },
		"ca_pem":            func(c *Config) { c.CAPEM = []byte("no pem") },
		"max_in_flight":     func(c *Config) { c.MaxInFlight = 1001 },
	} {
		c := testConfig()
		change(&c)
		err := c.Validate()
		if err == nil || !strings.HasPrefix(err.Error(), "oppo: "+field) || strings.Contains(err.Error(), "hidden") {
			t.Errorf("%s: got %v", field, err)
		}
		if s, err := New(c); err == nil {
			s.Close()
			t.Errorf("%s: New took it", field)
		}
	}
}

func TestValidToken(t *testing.T) {
	for token, want := range map[string]bool{
		"CN_0123456789abcdef0123456789abcdef": true, "0123456789abcdef0123456789abcdef": true,
		"": false, "a b": false, "a\n": false, "界": false, strings.Repeat("a", 257): false,
	} {
		if ValidToken(token) != want {
			t.Errorf("%q: got %t", token, !want)
		}
	}
}

func TestRegions(t *testing.T) {
	s, err := New(testConfig())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for token, mainland := range map[string]bool{
		"0a": true, "CN_0a": true, "OnePlus_CN_0a": true, "OPPO_CN_0a": true,
		"US_0a": false, "OPPO_US_0a": false, "EUEX_0a": false, "CN_OPPO_0a": false, "a_b_CN_0a": false,
	} {
		if got := s.routeOf(token) == s.mainland; got != mainland {
			t.Errorf("%s: mainland %t, want %t", token, got, mainland)
		}
	}
}
