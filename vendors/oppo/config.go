package oppo

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"

	"github.com/rouse-im/rouse/vendors/callback"
	"github.com/rouse-im/rouse/vendors/courier"
)

// Hosts of the push API (OPPO PUSH server API, "Service addresses", 2026).
const (
	mainlandOrigin = "https://api-push-cn.heytapmobi.com"
	overseasOrigin = "https://api-intl.push.oppomobile.com"
)

// Bounds of Config.
const (
	maxKeyBytes        = 128
	maxChannelBytes    = 64
	maxCategoryBytes   = 32
	maxActivityBytes   = 500 // click_action_activity
	maxTemplateBytes   = 64
	maxReceiptURL      = 200 // call_back_url
	maxMaxInFlight     = 1000
	defaultMaxInFlight = 128
)

// none is the category setting that sends no category.
const none = "none"

// Config is one app's credential.
type Config struct {
	// AppKey is the console's AppKey, 1..128 visible ASCII characters.
	AppKey string
	// MasterSecret is the console's MasterSecret, 1..128 visible ASCII
	// characters; the AppSecret beside it is for the client. Secret.
	MasterSecret string

	// ChannelID is the Android channel of notifications that name none, at
	// most 64 bytes; empty = the device's default channel.
	ChannelID string
	// Category is OPPO's category of calls and chat messages: capital letters
	// and "_", at most 32; empty = "IM", "none" sends no category.
	Category string
	// SystemCategory is that of system notices; empty = "ACCOUNT".
	SystemCategory string
	// MarketingCategory is that of marketing; empty = "MARKETING".
	MarketingCategory string
	// NotifyLevel is the reminder level of calls and chat messages: 1 = bar,
	// 2 = and lock screen, 16 = and banner, vibration and sound, which OPPO
	// grants on request; 0 = OPPO's default. It needs a category of
	// communication and service.
	NotifyLevel int
	// Activity is the full class name of the page that a click opens, at most
	// 500 bytes; empty = the app's start page.
	Activity string

	// TemplateID is the approved template of private messages, sent with
	// Category; at most 64 bytes, empty = none.
	TemplateID string
	// TemplateTitle and TemplateContent name the template's variables that get
	// the title and the body, at most 64 bytes; empty = the template has none.
	TemplateTitle, TemplateContent string
	// TemplateObjects sends the variables as JSON objects instead of JSON text.
	TemplateObjects bool

	// ReceiptURL is the address that OPPO is asked to report to, "https://…", at
	// most 200 bytes; empty = it is not asked.
	ReceiptURL string

	// Endpoint is another origin than OPPO's for devices of mainland China,
	// "https://host:port"; empty = OPPO's.
	Endpoint string
	// OverseasEndpoint is that for devices of other regions; empty = OPPO's.
	OverseasEndpoint string
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
	_, err := courier.Trust(c.CAPEM)
	if err != nil {
		return fmt.Errorf("oppo: ca_pem: %w", err)
	}
	return nil
}

// filled is c, checked, with the defaults in place of what is empty.
func (c Config) filled() (Config, error) {
	for _, field := range []struct{ name, value string }{
		{"app_key", c.AppKey}, {"master_secret", c.MasterSecret},
	} {
		if !visible(field.value, maxKeyBytes) {
			return c, fmt.Errorf("oppo: %s: want 1 to %d visible ASCII characters, as the console shows it", field.name, maxKeyBytes)
		}
	}
	for _, field := range []struct {
		name, value string
		most        int
	}{
		{"channel_id", c.ChannelID, maxChannelBytes},
		{"activity", c.Activity, maxActivityBytes},
		{"template_id", c.TemplateID, maxTemplateBytes},
		{"template_title", c.TemplateTitle, maxTemplateBytes},
		{"template_content", c.TemplateContent, maxTemplateBytes},
	} {
		if len(field.value) > field.most {
			return c, fmt.Errorf("oppo: %s: %d bytes, want at most %d", field.name, len(field.value), field.most)
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
			return c, fmt.Errorf("oppo: %s: %w", field.name, err)
		}
	}
	if !slices.Contains([]int{0, 1, 2, 16}, c.NotifyLevel) {
		return c, fmt.Errorf("oppo: notify_level: %d, want 0, 1, 2 or 16", c.NotifyLevel)
	}
	if c.NotifyLevel != 0 && !private(c.Category) {
		return c, errors.New("oppo: notify_level: needs a category of communication and service; change category or leave the level out")
	}
	if err := callback.CheckAddress(c.ReceiptURL, maxReceiptURL); err != nil {
		return c, fmt.Errorf("oppo: receipts: address: %w", err)
	}
	return c.reachable()
}

// reachable checks and fills the fields about the network.
func (c Config) reachable() (Config, error) {
	for _, field := range []struct {
		name, zero string
		value      *string
	}{
		{"endpoint", mainlandOrigin, &c.Endpoint},
		{"overseas_endpoint", overseasOrigin, &c.OverseasEndpoint},
	} {
		if *field.value == "" {
			*field.value = field.zero
		}
		u, err := url.Parse(*field.value)
		if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil ||
			strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
			return c, fmt.Errorf(`oppo: %s: want "https://host:port"`, field.name)
		}
		*field.value = "https://" + u.Host
	}
	if c.MaxInFlight < 0 || c.MaxInFlight > maxMaxInFlight {
		return c, fmt.Errorf("oppo: max_in_flight: %d, want 0 to %d", c.MaxInFlight, maxMaxInFlight)
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
