package meizu

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"

	"github.com/rouse-im/rouse/vendors/callback"
	"github.com/rouse-im/rouse/vendors/courier"
)

// Bounds of Config.
const (
	maxAppID           = 32
	maxSecret          = 256
	maxActivity        = 256
	maxReceiptURL      = 128 // extra.callback
	maxMaxInFlight     = 1000
	defaultMaxInFlight = 32

	defaultOrigin = "https://server-api-push.meizu.com"
)

// Config is the credential of one app at Meizu.
type Config struct {
	// AppID is the console's App ID, 1..32 digits. Not secret.
	AppID string
	// AppSecret is the console's App Secret (not the App Key), 1..256 visible
	// characters. Secret.
	AppSecret string
	// Activity is the full name of the Android class that a tap opens, at most
	// 256 bytes; empty = the app's start.
	Activity string
	// ReceiptURL is the address that Meizu is asked to report to, "https://…",
	// at most 128 bytes; the console must know it. Empty = it is not asked.
	ReceiptURL string
	// ReceiptSecret is the access token that the console has for that address,
	// at most 256 bytes. Meizu proves its receipts by it. Secret.
	ReceiptSecret string
	// Endpoint is another origin than that of mainland China,
	// "https://host:port"; empty = https://server-api-push.meizu.com.
	Endpoint string
	// CAPEM holds roots trusted in addition to the system's, at most 64 KiB.
	CAPEM []byte
	// MaxInFlight bounds the requests in flight, 1..1000; 0 = 32, since Meizu
	// takes 200 requests a second.
	MaxInFlight int
	// DialContext replaces the dialer, as net.Pipe tests need; nil = TCP,
	// through the proxy that the environment names.
	DialContext func(ctx context.Context, network, addr string) (net.Conn, error)
}

// Validate names the first field that New would refuse; the error holds no secret.
func (c Config) Validate() error {
	if c.AppID == "" || len(c.AppID) > maxAppID || strings.Trim(c.AppID, "0123456789") != "" {
		return fmt.Errorf("meizu: app_id: want 1 to %d digits", maxAppID)
	}
	if c.AppSecret == "" || len(c.AppSecret) > maxSecret || !visible(c.AppSecret) {
		return fmt.Errorf("meizu: app_secret: want 1 to %d visible ASCII characters", maxSecret)
	}
	if len(c.Activity) > maxActivity || !visible(c.Activity) {
		return fmt.Errorf("meizu: activity: want a full class name of at most %d bytes", maxActivity)
	}
	if err := callback.CheckAddress(c.ReceiptURL, maxReceiptURL); err != nil {
		return fmt.Errorf("meizu: receipts: address: %w", err)
	}
	if len(c.ReceiptSecret) > maxSecret {
		return fmt.Errorf("meizu: receipts.secret: %d bytes, want at most %d", len(c.ReceiptSecret), maxSecret)
	}
	if c.ReceiptURL != "" && c.ReceiptSecret == "" {
		return errors.New("meizu: receipts.secret: missing; copy the access token of the receipt address from the console")
	}
	if _, err := origin(c.Endpoint); err != nil {
		return fmt.Errorf("meizu: endpoint: %w", err)
	}
	if _, err := courier.Trust(c.CAPEM); err != nil {
		return fmt.Errorf("meizu: ca_pem: %w", err)
	}
	if c.MaxInFlight < 0 || c.MaxInFlight > maxMaxInFlight {
		return fmt.Errorf("meizu: max_in_flight: %d, want 0 to %d", c.MaxInFlight, maxMaxInFlight)
	}
	return nil
}

func origin(endpoint string) (string, error) {
	if endpoint == "" {
		return defaultOrigin, nil
	}
	u, err := url.Parse(endpoint)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil ||
		strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return "", errors.New(`want "https://host:port"`)
	}
	return "https://" + u.Host, nil
}

// visible: printable ASCII without spaces.
func visible(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}
