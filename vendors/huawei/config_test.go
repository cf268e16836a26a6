package huawei

import (
	"strings"
	"testing"
)

func TestConfig(t *testing.T) {
	for want, change := range map[string]func(*Config){
		"":                                 func(*Config) {},
		"app_id":                           func(c *Config) { c.AppID = "a/b" },
		"app_secret":                       func(c *Config) { c.AppSecret = "" },
		"api":                              func(c *Config) { c.API = 7 },
		"receipts.secret":                  func(c *Config) { c.ReceiptSecret = strings.Repeat("s3cr3t", 100) },
		"receipts.user_name":               func(c *Config) { c.ReceiptUserName = strings.Repeat("x", maxFieldBytes+1) },
		"badge":                            func(c *Config) { c.Badge = 7 },
		"im_category":                      func(c *Config) { c.IMCategory = strings.Repeat("x", maxFieldBytes+1) },
		"click_intent":                     func(c *Config) { c.ClickAction, c.ClickIntent = "a", "b" },
		"endpoint":                         func(c *Config) { c.Endpoint = "http://x" },
		"auth_endpoint":                    func(c *Config) { c.AuthEndpoint = "https://x/path" },
		"ca_pem":                           func(c *Config) { c.CAPEM = []byte("x") },
		"max_in_flight":                    func(c *Config) { c.MaxInFlight = 1001 },
		"service_account_json: not a JSON": func(c *Config) { c.API, c.ServiceAccountJSON = Harmony, []byte("{") },
		"service_account_json: project_id": func(c *Config) { c.API, c.ServiceAccountJSON = Harmony, []byte("{}") },
		"service_account_json: private_key": func(c *Config) {
			c.API = Harmony
			c.ServiceAccountJSON = []byte(`{"project_id":"1","key_id":"k","sub_account":"s","private_key":"s3cr3t"}`)
		},
		"project_id": func(c *Config) {
			c.API, c.ServiceAccountJSON, c.ProjectID = Harmony, theIdentity(t).account.JSON(), "a b"
		},
	} {
		c := testConfig(t, HMS)
		change(&c)
		err := c.Validate()
		if want == "" {
			if err != nil {
				t.Error(err)
			}
			continue
		}
		if err == nil || !strings.HasPrefix(err.Error(), "huawei: "+want) || strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("%s: got %v", want, err)
		}
		if s, err := New(c); err == nil || s != nil {
			t.Errorf("%s: New took it", want)
		}
	}
}

func TestValidToken(t *testing.T) {
	for token, want := range map[string]bool{
		"IQAAAACy0b-_x": true, "": false, "a b": false, "ä": false, strings.Repeat("x", 512): true, strings.Repeat("x", 513): false,
	} {
		if ValidToken(token) != want {
			t.Errorf("%d bytes: %t", len(token), !want)
		}
	}
}
