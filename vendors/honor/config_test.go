package honor

import (
	"strings"
	"testing"

	"github.com/rouse-im/rouse/vendors"
)

func TestConfig(t *testing.T) {
	for want, change := range map[string]func(*Config){
		"app_id: missing":   func(c *Config) { c.AppID = "" },
		"app_id: want":      func(c *Config) { c.AppID = "a/b" },
		"client_id":         func(c *Config) { c.ClientID = "" },
		"client_secret":     func(c *Config) { c.ClientSecret = strings.Repeat("s3cr3t", 100) },
		"click_intent":      func(c *Config) { c.ClickAction, c.ClickIntent = "a", "b" },
		"receipts.secret":   func(c *Config) { c.ReceiptSecret = strings.Repeat("s3cr3t", 100) },
		"badge":             func(c *Config) { c.Badge = 7 },
		"system_importance": func(c *Config) { c.SystemImportance = "HIGH" },
		"title_units":       func(c *Config) { c.TitleUnits = -1 },
		"body_units":        func(c *Config) { c.BodyUnits = 4097 },
		"max_batch":         func(c *Config) { c.MaxBatch = 1 },
		"max_in_flight":     func(c *Config) { c.MaxInFlight = 1001 },
		"outcomes: a code":  func(c *Config) { c.Outcomes = map[string]vendors.Outcome{"": vendors.Rejected} },
		"outcomes: 7: tokens": func(c *Config) {
			c.Outcomes = map[string]vendors.Outcome{"7": vendors.TokenInvalid}
		},
		"outcomes: 7: unknown": func(c *Config) { c.Outcomes = map[string]vendors.Outcome{"7": 77} },
		"endpoint":             func(c *Config) { c.Endpoint = "https://x/path" },
		"auth_endpoint":        func(c *Config) { c.AuthEndpoint = "http://x" },
		"ca_pem":               func(c *Config) { c.CAPEM = []byte("x") },
	} {
		c := testConfig(t)
		change(&c)
		err := c.Validate()
		if err == nil || !strings.HasPrefix(err.Error(), "honor: "+want) || strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("%s: got %v", want, err)
		}
		if s, err := New(c); err == nil || s != nil {
			t.Errorf("%s: New took it", want)
		}
	}
}

func TestConfigDefaults(t *testing.T) {
	c, err := Config{AppID: "1", ClientID: "2", ClientSecret: "3"}.parse()
	if err != nil {
		t.Fatal(err)
	}
	if c.Endpoint != "https://push-api.cloud.honor.com" || c.AuthEndpoint != "https://iam.developer.honor.com/auth/token" ||
		c.SystemImportance != "NORMAL" || c.TitleUnits != 40 || c.BodyUnits != 256 || c.MaxBatch != 100 || c.MaxInFlight != 128 {
		t.Errorf("got %+v", c)
	}
	c.AuthEndpoint = "https://iam.test/auth/realms/developer/protocol/openid-connect/token"
	if again, err := c.parse(); err != nil || again.AuthEndpoint != c.AuthEndpoint {
		t.Errorf("the older address became %q, %v", again.AuthEndpoint, err)
	}
}

func TestValidToken(t *testing.T) {
	for token, want := range map[string]bool{
		"BAEAAAAAB.jkuDmT-_x": true, "": false, "a b": false, "ä": false, strings.Repeat("x", 512): true, strings.Repeat("x", 513): false,
	} {
		if ValidToken(token) != want {
			t.Errorf("%d bytes: %t", len(token), !want)
		}
	}
}
