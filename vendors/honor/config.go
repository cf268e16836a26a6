package honor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"

	"github.com/rouse-im/rouse/vendors"
	"github.com/rouse-im/rouse/vendors/courier"
)

// Bounds of Config and its defaults.
const (
	maxFieldBytes  = 512
	maxMaxInFlight = 1000
	maxMaxBatch    = 1000
	maxTextUnits   = 4096
	maxOutcomes    = 64

	defaultMaxInFlight  = 128
	defaultMaxBatch     = 100
	defaultTitleUnits   = 40
	defaultBodyUnits    = 256
	defaultEndpoint     = "https://push-api.cloud.honor.com"
	defaultAuthEndpoint = "https://iam.developer.honor.com"
	defaultTokenPath    = "/auth/token"
)

// BadgeMode says what becomes of a push's badge.
type BadgeMode uint8

// Modes.
const (
	// BadgeSet sends the number, at most 99.
	BadgeSet BadgeMode = iota
	// BadgeAdd adds one to the number that the phone shows.
	BadgeAdd
	// BadgeNone sends no badge.
	BadgeNone
)

// Config is one app's credential. Honor's own reference could not be read when
// this was written, so hosts, bounds and codes are settings.
type Config struct {
	// AppID is "App ID" of the Honor developer console, Push service.
	AppID string
	// ClientID is "Client ID" beside it.
	ClientID string
	// ClientSecret is "Client Secret" beside it, which is not the app secret. Secret.
	ClientSecret string

	// SystemImportance is "NORMAL" or "LOW" for ClassSystem; empty = NORMAL.
	// Calls and messages are NORMAL, marketing is LOW.
	SystemImportance string
	// ClickAction is the action of the page that a tap opens; empty = the app's
	// first page.
	ClickAction string
	// ClickIntent is the intent URI of that page, instead of ClickAction.
	ClickIntent string
	// Badge is what becomes of a push's badge.
	Badge BadgeMode
	// BadgeClass is the class of the app's first page, such as
	// "com.example.MainActivity"; empty = no badges.
	BadgeClass string
	// ReceiptUserName and ReceiptSecret are user name and key of the console's
	// receipt configuration, at most 512 bytes each; without the key receipts
	// are taken unsigned. The key is secret.
	ReceiptUserName, ReceiptSecret string
	// ReceiptHeader is the name of the signature's header; empty = Huawei's.
	ReceiptHeader string
	// TestMessages marks pushes as tests: 1000 a day.
	TestMessages bool
	// TitleUnits and BodyUnits bound the texts in UTF-16 units, 1..4096;
	// 0 = 40 and 256.
	TitleUnits, BodyUnits int
	// MaxBatch bounds the tokens of one call, 2..1000; 0 = 100.
	MaxBatch int
	// Outcomes gives codes another meaning than codes.go does, such as
	// "12200000" Accepted; at most 64. A code of a whole call drops no token, so
	// TokenInvalid and TokenReplaced are refused.
	Outcomes map[string]vendors.Outcome

	// Endpoint is another origin than Honor's for pushes, "https://host:port".
	Endpoint string
	// AuthEndpoint is another address than Honor's for access tokens; without a
	// path, "/auth/token" is added.
	AuthEndpoint string
	// CAPEM holds roots trusted in addition to the system's, at most 64 KiB.
	CAPEM []byte
	// MaxInFlight bounds the requests in flight, 1..1000; 0 = 128.
	MaxInFlight int
	// DialContext replaces the dialer, as net.Pipe tests need; nil = TCP,
	// through the proxy that the environment names.
	DialContext func(ctx context.Context, network, addr string) (net.Conn, error)
}

// Validate names the first field that New would refuse; the error holds no secret.
func (c Config) Validate() error {
	_, err := c.parse()
	return err
}

// parse checks c and puts its defaults in.
func (c Config) parse() (Config, error) {
	for _, f := range []struct {
		name, value string
		need        bool
	}{
		{"app_id", c.AppID, true},
		{"client_id", c.ClientID, true},
		{"client_secret", c.ClientSecret, true},
		{"click_action", c.ClickAction, false},
		{"click_intent", c.ClickIntent, false},
		{"badge_class", c.BadgeClass, false},
		{"receipts.user_name", c.ReceiptUserName, false},
		{"receipts.secret", c.ReceiptSecret, false},
		{"receipts: header", c.ReceiptHeader, false},
	} {
		if f.need && f.value == "" {
			return c, fmt.Errorf("honor: %s: missing; copy it from the Honor developer console", f.name)
		}
		if len(f.value) > maxFieldBytes {
			return c, fmt.Errorf("honor: %s: %d bytes, want at most %d", f.name, len(f.value), maxFieldBytes)
		}
	}
	if url.PathEscape(c.AppID) != c.AppID {
		return c, errors.New("honor: app_id: want a number")
	}
	if c.ClickAction != "" && c.ClickIntent != "" {
		return c, errors.New("honor: click_intent: set beside click_action, want one of them")
	}
	if c.Badge > BadgeNone {
		return c, fmt.Errorf("honor: badge: unknown mode %d", c.Badge)
	}
	switch c.SystemImportance {
	case "":
		c.SystemImportance = normal
	case normal, low:
	default:
		return c, errors.New("honor: system_importance: want NORMAL or LOW")
	}
	if err := c.parseOutcomes(); err != nil {
		return c, err
	}
	if err := c.parseNumbers(); err != nil {
		return c, err
	}
	return c, c.parseWire()
}

func (c *Config) parseOutcomes() error {
	if len(c.Outcomes) > maxOutcomes {
		return fmt.Errorf("honor: outcomes: %d codes, want at most %d", len(c.Outcomes), maxOutcomes)
	}
	for code, outcome := range c.Outcomes {
		if !visible(code) || len(code) > maxCode {
			return fmt.Errorf("honor: outcomes: a code is not 1 to %d visible characters", maxCode)
		}
		switch outcome {
		case vendors.Accepted, vendors.Throttled, vendors.QuotaExhausted, vendors.Transient, vendors.Rejected, vendors.CredentialBad:
		case vendors.TokenInvalid, vendors.TokenReplaced:
			return fmt.Errorf("honor: outcomes: %s: tokens are dropped for expireTokens alone", code)
		default:
			return fmt.Errorf("honor: outcomes: %s: unknown outcome %d", code, outcome)
		}
	}
	return nil
}

func (c *Config) parseNumbers() error {
	for _, f := range []struct {
		name              string
		value             *int
		least, most, zero int
	}{
		{"title_units", &c.TitleUnits, 1, maxTextUnits, defaultTitleUnits},
		{"body_units", &c.BodyUnits, 1, maxTextUnits, defaultBodyUnits},
		{"max_batch", &c.MaxBatch, 2, maxMaxBatch, defaultMaxBatch},
		{"max_in_flight", &c.MaxInFlight, 1, maxMaxInFlight, defaultMaxInFlight},
	} {
		if *f.value == 0 {
			*f.value = f.zero
		}
		if *f.value < f.least || *f.value > f.most {
			return fmt.Errorf("honor: %s: %d, want %d to %d, or 0 for %d", f.name, *f.value, f.least, f.most, f.zero)
		}
	}
	return nil
}

func (c *Config) parseWire() (err error) {
	if c.Endpoint, err = parseAddress(c.Endpoint, defaultEndpoint, ""); err != nil {
		return fmt.Errorf("honor: endpoint: %w", err)
	}
	if c.AuthEndpoint, err = parseAddress(c.AuthEndpoint, defaultAuthEndpoint, defaultTokenPath); err != nil {
		return fmt.Errorf("honor: auth_endpoint: %w", err)
	}
	if _, err = courier.Trust(c.CAPEM); err != nil {
		return fmt.Errorf("honor: ca_pem: %w", err)
	}
	return nil
}

// parseAddress adds path when address has none; an empty path allows none.
func parseAddress(address, zero, path string) (string, error) {
	if address == "" {
		address = zero
	}
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", errors.New(`want "https://host:port"`)
	}
	if own := strings.TrimRight(u.EscapedPath(), "/"); own != "" {
		if path == "" {
			return "", errors.New(`want "https://host:port" without a path`)
		}
		path = own
	}
	return "https://" + u.Host + path, nil
}
