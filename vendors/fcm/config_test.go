package fcm

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestConfigValidate(t *testing.T) {
	account := func(c *Config, field, value string) {
		var file map[string]string
		if err := json.Unmarshal(c.ServiceAccountJSON, &file); err != nil {
			t.Fatal(err)
		}
		file[field] = value
		raw, err := json.Marshal(file)
		if err != nil {
			t.Fatal(err)
		}
		c.ServiceAccountJSON = raw
	}
	for _, tt := range []struct {
		field string // named by the error; empty = valid
		spoil func(*Config)
	}{
		{"", func(*Config) {}},
		{"", func(c *Config) { c.Endpoint, c.CAPEM, c.MaxInFlight = "", nil, 1000 }},
		{"service_account_json", func(c *Config) { c.ServiceAccountJSON = nil }},
		{"service_account_json", func(c *Config) { c.ServiceAccountJSON = []byte(`{"secret":`) }},
		{"service_account_json", func(c *Config) { c.ServiceAccountJSON = make([]byte, maxAccountBytes+1) }},
		{"type", func(c *Config) { account(c, "type", "authorized_user") }},
		{"project_id", func(c *Config) { account(c, "project_id", "") }},
		{"project_id", func(c *Config) { account(c, "project_id", "a/b?secret") }},
		{"private_key_id", func(c *Config) { account(c, "private_key_id", "") }},
		{"client_email", func(c *Config) { account(c, "client_email", "") }},
		{"token_uri", func(c *Config) { account(c, "token_uri", "http://oauth.test/token") }},
		{"token_uri", func(c *Config) { account(c, "token_uri", "https://u:secret@oauth.test/token") }},
		{"private_key", func(c *Config) { account(c, "private_key", "secret") }},
		{"channel_id", func(c *Config) { c.ChannelID = strings.Repeat("c", maxChannelBytes+1) }},
		{"priority", func(c *Config) { c.Priority = "loud" }},
		{"endpoint", func(c *Config) { c.Endpoint = "http://fcm.test" }},
		{"endpoint", func(c *Config) { c.Endpoint = "https://fcm.test/v1" }},
		{"ca_pem", func(c *Config) { c.CAPEM = []byte("secret") }},
		{"ca_pem", func(c *Config) { c.CAPEM = make([]byte, maxCABytes+1) }},
		{"max_in_flight", func(c *Config) { c.MaxInFlight = maxMaxInFlight + 1 }},
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
		if err == nil || !strings.Contains(err.Error(), tt.field) {
			t.Errorf("want an error about %s, got %v", tt.field, err)
			continue
		}
		if strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the error shows the value: %v", tt.field, err)
		}
		if s, err := New(c); err == nil {
			s.Close()
			t.Errorf("%s: New accepts what Validate refuses", tt.field)
		}
	}
}

func TestMaxInFlight(t *testing.T) {
	for given, want := range map[int]int{0: 256, 1: 1, 1000: 1000} {
		c := testConfig(t)
		c.MaxInFlight = given
		s, err := New(c)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.MaxInFlight(); got != want {
			t.Errorf("%d gives %d, want %d", given, got, want)
		}
		s.Close()
	}
}
