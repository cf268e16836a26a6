package vivo

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"

	"github.com/rouse-im/rouse/vendors/callback"
	"github.com/rouse-im/rouse/vendors/courier"
)

const defaultOrigin = "https://api-push.vivo.com.cn"

// Bounds of Config.
const (
	maxKeyBytes        = 128
	maxCategoryBytes   = 32
	maxIntentBytes     = 1024 // skipContent
	maxReceiptURL      = 128  // extra.callback (10305)
	maxCallbackID      = 64
	maxMaxInFlight     = 1000
	defaultMaxInFlight = 128
)

// none is the category setting that sends no category.
const none = "none"

// Config is one app's credential.
type Config struct {
	// AppID is the console's AppID, a decimal number.
	AppID string
	// AppKey is the console's AppKey, 1..128 visible ASCII characters.
	AppKey string
	// AppSecret is the console's AppSecret, 1..128 visible ASCII characters. Secret.
	AppSecret string

	// Category is vivo's category of calls and chat messages: capital letters
	// and "_", at most 32; empty = "IM", "none" sends no category.
	Category string
	// SystemCategory is that of system notices; empty = "ACCOUNT".
	SystemCategory string
	// MarketingCategory is that of marketing; empty = "MARKETING".
	MarketingCategory string
	// Operational sends everything as operational messages, under
	// MarketingCategory: for apps that may not send system messages.
	Operational bool
	// Intent is the page that a click opens, "intent://…#Intent;…;end", at
	// most 1024 bytes; empty = the app's start page.
	Intent string
	// AddBadge adds one to the icon's number with each push that has a badge
	// above 0, which vivo grants on request; vivo has no other badge.
	AddBadge bool
	// WideText counts Chinese and all else beyond Latin-1 as two characters,
	// as vivo's older documents do; set it when vivo answers 10056 or 10058.
	WideText bool
	// TestMode sends test messages, to the console's test devices only: the
	// one way while vivo reviews the app.
	TestMode bool

	// ReceiptURL is the address that vivo is asked to report to, "https://…", at
	// most 128 bytes; empty = it is not asked.
	ReceiptURL string
	// CallbackID names an address that is registered in vivo's console, to be
	// used instead of ReceiptURL; at most 64 visible ASCII characters, empty = none.
	CallbackID string

	// Endpoint is another origin than vivo's, "https://host:port"; empty = vivo's.
	Endpoint string
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
	if _, err := c.filled(); err != nil {
		return err
	}
	if _, err := courier.Trust(c.CAPEM); err != nil {
		return fmt.Errorf("vivo: ca_pem: %w", err)
	}
	return nil
}

// filled is c, checked, with the defaults in place of what is empty.
func (c Config) filled() (Config, error) {
	if id, err := strconv.ParseUint(c.AppID, 10, 63); err != nil || id == 0 || strconv.FormatUint(id, 10) != c.AppID {
		return c, errors.New("vivo: app_id: want a decimal number, as the console shows it")
	}
	for _, field := range []struct{ name, value string }{
		{"app_key", c.AppKey}, {"app_secret", c.AppSecret},
	} {
		if !visible(field.value, maxKeyBytes) {
			return c, fmt.Errorf("vivo: %s: want 1 to %d visible ASCII characters, as the console shows it", field.name, maxKeyBytes)
		}
	}
	for _, field := range []struct {
		name, zero string
		value      *string
	}{
		{"category", "IM", &c.Category},
		{"system_category", "ACCOUNT", &c.SystemCategory},
		{"marketing_category", "MARKETING", &c.MarketingCategory},
	} {
		var err error
		if *field.value, err = category(*field.value, field.zero); err != nil {
			return c, fmt.Errorf("vivo: %s: %w", field.name, err)
		}
	}
	if c.MarketingCategory != "" && !operational(c.MarketingCategory) {
		return c, fmt.Errorf("vivo: marketing_category: want one of %s or %q", strings.Join(operationalCategories, ", "), none)
	}
	if len(c.Intent) > maxIntentBytes || c.Intent != "" && !strings.HasPrefix(c.Intent, "intent:") {
		return c, fmt.Errorf(`vivo: intent: want at most %d bytes that begin with "intent:"`, maxIntentBytes)
	}
	if err := callback.CheckAddress(c.ReceiptURL, maxReceiptURL); err != nil && c.CallbackID == "" {
		return c, fmt.Errorf("vivo: receipts: address: %w, or register the address in vivo's console and set callback_id", err)
	}
	if c.CallbackID != "" && !visible(c.CallbackID, maxCallbackID) {
		return c, fmt.Errorf("vivo: receipts.callback_id: want at most %d visible ASCII characters, as the console shows it", maxCallbackID)
	}
	return c.reachable()
}

// reachable checks and fills the fields about the network.
func (c Config) reachable() (Config, error) {
	if c.Endpoint == "" {
		c.Endpoint = defaultOrigin
	}
	u, err := url.Parse(c.Endpoint)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil ||
		strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return c, errors.New(`vivo: endpoint: want "https://host:port"`)
	}
	c.Endpoint = "https://" + u.Host
	if c.MaxInFlight < 0 || c.MaxInFlight > maxMaxInFlight {
		return c, fmt.Errorf("vivo: max_in_flight: %d, want 0 to %d", c.MaxInFlight, maxMaxInFlight)
	}
	if c.MaxInFlight == 0 {
		c.MaxInFlight = defaultMaxInFlight
	}
	return c, nil
}

// category is value, or zero when that is empty; "" stands for none.
func category(value, zero string) (string, error) {
	switch value {
	case "":
		return zero, nil
	case none:
		return "", nil
	}
	if len(value) > maxCategoryBytes || strings.Trim(value, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_") != "" {
		return "", fmt.Errorf(`want at most %d capital letters and "_", or %q`, maxCategoryBytes, none)
	}
	return value, nil
}

// visible: 1..most bytes, printable ASCII without spaces.
func visible(s string, most int) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return s != "" && len(s) <= most
}
