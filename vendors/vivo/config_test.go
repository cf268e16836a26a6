package vivo

import (
	"strings"
	"testing"
)

func TestValidate(t *testing.T) {
	if err := testConfig().Validate(); err != nil {
		t.Fatal(err)
	}
	for field, change := range map[string]func(*Config){
		"app_id":               func(c *Config) { c.AppID = "0100" },
		"app_id: want":         func(c *Config) { c.AppID = "" },
		"app_key":              func(c *Config) { c.AppKey = "" },
		"app_secret":           func(c *Config) { c.AppSecret = "hidden secret" },
		"category":             func(c *Config) { c.Category = "im" },
		"system_category":      func(c *Config) { c.SystemCategory = strings.Repeat("A", 33) },
		"marketing_category":   func(c *Config) { c.MarketingCategory = "IM" },
		"intent":               func(c *Config) { c.Intent = "https://page.test" },
		"intent: want":         func(c *Config) { c.Intent = "intent:" + strings.Repeat("a", 1024) },
		"receipts: address":    func(c *Config) { c.ReceiptURL = "https://a.test/" + strings.Repeat("x", 114) },
		"receipts.callback_id": func(c *Config) { c.CallbackID = strings.Repeat("7", 65) },
		"endpoint":             func(c *Config) { c.Endpoint = "http://plain.test" },
		"ca_pem":               func(c *Config) { c.CAPEM = []byte("no pem") },
		"max_in_flight":        func(c *Config) { c.MaxInFlight = -1 },
	} {
		c := testConfig()
		change(&c)
		err := c.Validate()
		if err == nil || !strings.HasPrefix(err.Error(), "vivo: "+field) || strings.Contains(err.Error(), "hidden") {
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
		"15924658300146530281822": true, "v2-" + strings.Repeat("a", 60): true,
		"": false, "a b": false, "a,b": false, "界": false, strings.Repeat("a", 257): false,
	} {
		if ValidToken(token) != want {
			t.Errorf("%q: got %t", token, !want)
		}
	}
}
