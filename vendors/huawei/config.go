package huawei

import (
	"context"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"

	"github.com/golang-jwt/jwt/v5"

	"github.com/rouse-im/rouse/vendors/courier"
)

// Bounds of Config and its defaults.
const (
	maxAccountBytes = 16 << 10
	maxFieldBytes   = 512
	maxMaxInFlight  = 1000

	defaultMaxInFlight  = 128
	defaultEndpoint     = "https://push-api.cloud.huawei.com"
	defaultAuthEndpoint = "https://oauth-login.cloud.huawei.com"
	tokenPath           = "/oauth2/v3/token"
)

// API is one of Huawei's two push services; a token is of one of them.
type API uint8

// Services.
const (
	// HMS is for Android: EMUI, and HarmonyOS up to 4.
	HMS API = iota
	// Harmony is for HarmonyOS 5 and later.
	Harmony
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

// Config is the credential of one app (HMS) or one project (Harmony).
type Config struct {
	API API

	// AppID is "App ID" of AppGallery Connect, Project settings, General
	// information; HMS only.
	AppID string
	// AppSecret is "App secret" beside it; HMS only. Secret.
	AppSecret string
	// ServiceAccountJSON is the key file of a service account, made in the API
	// Console of HUAWEI Developers, at most 16 KiB; Harmony only. Secret.
	ServiceAccountJSON []byte
	// ProjectID is "Project ID" of AppGallery Connect; empty = the service
	// account's. Harmony only.
	ProjectID string

	// CallCategory and so on are Huawei's message categories of the classes:
	// "IM", "VOIP", "ACCOUNT" and so on. They hold after Huawei has granted the
	// right of self-classification. Empty = VOIP, IM, ACCOUNT, MARKETING.
	CallCategory, IMCategory, SystemCategory, MarketingCategory string
	// ChannelID is the app's notification channel; empty = the default one. HMS only.
	ChannelID string
	// ClickAction is the action of the page that a tap opens; empty = the app's
	// first page.
	ClickAction string
	// ClickIntent is the intent URI of that page, instead of ClickAction; HMS only.
	ClickIntent string
	// Badge is what becomes of a push's badge.
	Badge BadgeMode
	// BadgeClass is the class of the app's first page, such as
	// "com.example.MainActivity". HMS only, where empty = no badges.
	BadgeClass string
	// ReceiptID names a receipt configuration of AppGallery Connect; empty = the app's.
	ReceiptID string
	// ReceiptUserName and ReceiptSecret are user name and key of the receipt
	// configuration, at most 512 bytes each; without the key receipts are taken
	// unsigned. The key is secret.
	ReceiptUserName, ReceiptSecret string
	// TestMessages marks pushes as tests: few a day, without the daily bound.
	TestMessages bool

	// Endpoint is another origin than Huawei's for pushes, "https://host:port".
	Endpoint string
	// AuthEndpoint is another origin than Huawei's for access tokens; HMS only.
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

// parsed is what a Config says, checked, with defaults.
type parsed struct {
	Config
	account account // Harmony only
}

func (c Config) parse() (parsed, error) {
	p := parsed{Config: c}
	for _, f := range []struct {
		name  string
		value *string
		zero  string
	}{
		{"call_category", &p.CallCategory, "VOIP"},
		{"im_category", &p.IMCategory, "IM"},
		{"system_category", &p.SystemCategory, "ACCOUNT"},
		{"marketing_category", &p.MarketingCategory, "MARKETING"},
		{"channel_id", &p.ChannelID, ""},
		{"click_action", &p.ClickAction, ""},
		{"click_intent", &p.ClickIntent, ""},
		{"badge_class", &p.BadgeClass, ""},
		{"receipt_id", &p.ReceiptID, ""},
		{"receipts.user_name", &p.ReceiptUserName, ""},
		{"receipts.secret", &p.ReceiptSecret, ""},
	} {
		if len(*f.value) > maxFieldBytes {
			return p, fmt.Errorf("huawei: %s: %d bytes, want at most %d", f.name, len(*f.value), maxFieldBytes)
		}
		if *f.value == "" {
			*f.value = f.zero
		}
	}
	if c.ClickAction != "" && c.ClickIntent != "" {
		return p, errors.New("huawei: click_intent: set beside click_action, want one of them")
	}
	if c.Badge > BadgeNone {
		return p, fmt.Errorf("huawei: badge: unknown mode %d", c.Badge)
	}
	if err := p.parseAPI(); err != nil {
		return p, err
	}
	return p, p.parseWire()
}

// parseAPI checks what only one of the services has.
func (p *parsed) parseAPI() (err error) {
	switch p.API {
	case HMS:
		if p.AppID == "" || len(p.AppID) > maxFieldBytes || url.PathEscape(p.AppID) != p.AppID {
			return errors.New("huawei: app_id: want the App ID of AppGallery Connect, a number")
		}
		if p.AppSecret == "" || len(p.AppSecret) > maxFieldBytes {
			return errors.New("huawei: app_secret: want the App secret of AppGallery Connect")
		}
	case Harmony:
		if p.account, err = parseAccount(p.ServiceAccountJSON); err != nil {
			return fmt.Errorf("huawei: service_account_json: %w", err)
		}
		if p.ProjectID == "" {
			p.ProjectID = p.account.project
		}
		if len(p.ProjectID) > maxFieldBytes || url.PathEscape(p.ProjectID) != p.ProjectID {
			return errors.New("huawei: project_id: want the Project ID of AppGallery Connect, a number")
		}
		if p.ClickIntent != "" {
			return errors.New("huawei: click_intent: HarmonyOS has none; use click_action")
		}
	default:
		return fmt.Errorf("huawei: api: unknown service %d", p.API)
	}
	return nil
}

func (p *parsed) parseWire() (err error) {
	if p.Endpoint, err = parseOrigin(p.Endpoint, defaultEndpoint); err != nil {
		return fmt.Errorf("huawei: endpoint: %w", err)
	}
	if p.AuthEndpoint, err = parseOrigin(p.AuthEndpoint, defaultAuthEndpoint); err != nil {
		return fmt.Errorf("huawei: auth_endpoint: %w", err)
	}
	if _, err = courier.Trust(p.CAPEM); err != nil {
		return fmt.Errorf("huawei: ca_pem: %w", err)
	}
	if p.MaxInFlight < 0 || p.MaxInFlight > maxMaxInFlight {
		return fmt.Errorf("huawei: max_in_flight: %d, want 0 to %d", p.MaxInFlight, maxMaxInFlight)
	}
	if p.MaxInFlight == 0 {
		p.MaxInFlight = defaultMaxInFlight
	}
	return nil
}

func parseOrigin(endpoint, zero string) (string, error) {
	if endpoint == "" {
		return zero, nil
	}
	u, err := url.Parse(endpoint)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil ||
		strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return "", errors.New(`want "https://host:port"`)
	}
	return "https://" + u.Host, nil
}

// account is the part of a service-account file that signs JWTs.
type account struct {
	project, keyID, subAccount, audience string
	key                                  *rsa.PrivateKey
}

func parseAccount(raw []byte) (account, error) {
	if len(raw) > maxAccountBytes {
		return account{}, fmt.Errorf("%d bytes, want at most %d", len(raw), maxAccountBytes)
	}
	var file struct {
		ProjectID  string `json:"project_id"`
		KeyID      string `json:"key_id"`
		Key        string `json:"private_key"`
		SubAccount string `json:"sub_account"`
		TokenURI   string `json:"token_uri"`
	}
	// The decoder's error may quote the file.
	if json.Unmarshal(raw, &file) != nil {
		return account{}, errors.New("not a JSON object of strings; paste the whole file that the API Console gave")
	}
	for _, field := range []struct{ name, value string }{
		{"project_id", file.ProjectID}, {"key_id", file.KeyID}, {"sub_account", file.SubAccount},
	} {
		if field.value == "" {
			return account{}, fmt.Errorf("%s: missing", field.name)
		}
	}
	if file.TokenURI == "" {
		file.TokenURI = defaultAuthEndpoint + tokenPath
	}
	key, err := jwt.ParseRSAPrivateKeyFromPEM([]byte(file.Key))
	if err != nil {
		return account{}, errors.New("private_key: not an RSA private key in PEM")
	}
	return account{file.ProjectID, file.KeyID, file.SubAccount, file.TokenURI, key}, nil
}
