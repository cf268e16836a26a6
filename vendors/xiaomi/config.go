package xiaomi

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/rouse-im/rouse/vendors"
	"github.com/rouse-im/rouse/vendors/callback"
	"github.com/rouse-im/rouse/vendors/courier"
)

// Bounds of Config.
const (
	maxSecret          = 256
	maxPackage         = 128
	maxChannel         = 64
	maxTemplate        = 64
	maxParamName       = 32
	maxParams          = 9 // variables of a template (private message templates, pId=2314)
	maxIntent          = 512
	maxReceiptURL      = 256 // ours; Xiaomi has a bound (65037) and does not tell it
	maxMaxInFlight     = 1000
	defaultMaxInFlight = 128

	defaultOrigin = "https://api.xmpush.xiaomi.com"
	defaultPath   = "/v3/message/regid"
)

// Config is the credential of one app at Xiaomi.
type Config struct {
	// AppSecret is the console's AppSecret, 1..256 visible characters. Secret.
	AppSecret string
	// PackageName is the app's Android package, at most 128 bytes. Not secret.
	PackageName string
	// Call, IM, System and Marketing say how pushes of each class travel. Call
	// and System without a channel travel as IM; Marketing does not, since
	// Xiaomi closes a private channel that carries marketing.
	Call, IM, System, Marketing Route
	// IntentURI is what a tap opens, "intent:#Intent;...;end", at most 512
	// bytes; empty = the app's callback for notifications, else its launcher.
	IntentURI string
	// EscapePayload percent-encodes the payload once more than the form does,
	// for apps that decode it themselves.
	EscapePayload bool
	// ReceiptURL is the address that Xiaomi is asked to report to, "https://…", at
	// most 256 bytes; empty = it is not asked.
	ReceiptURL string
	// Endpoint is another origin than that of mainland China,
	// "https://host:port"; empty = https://api.xmpush.xiaomi.com. The overseas
	// origins are not confirmed by Xiaomi's open pages; see the console.
	Endpoint string
	// Path is "/v2/message/regid", "/v3/message/regid" or "/v4/message/regid";
	// empty = v3.
	Path string
	// CAPEM holds roots trusted in addition to the system's, at most 64 KiB.
	CAPEM []byte
	// MaxInFlight bounds the requests in flight, 1..1000; 0 = 128.
	MaxInFlight int
	// DialContext replaces the dialer, as net.Pipe tests need; nil = TCP,
	// through the proxy that the environment names.
	DialContext func(ctx context.Context, network, addr string) (net.Conn, error)
}

// Route is a notification class of the console with its message template.
type Route struct {
	// ChannelID is the class's channel_id, at most 64 bytes; empty = the
	// default class, which Xiaomi caps at one push a day and device.
	ChannelID string
	// TemplateID names the message template that private classes need, at most
	// 64 bytes; empty = none.
	TemplateID string
	// TemplateParams says what fills each variable of the template: "title",
	// "subtitle", "body" or "data.<key>". At most 9 variables, named by at most
	// 32 bytes each.
	TemplateParams map[string]string
}

// Validate names the first field that New would refuse; the error holds no secret.
func (c Config) Validate() error {
	for _, field := range []struct {
		name, value string
		least, most int
	}{
		{"app_secret", c.AppSecret, 1, maxSecret},
		{"package_name", c.PackageName, 1, maxPackage},
		{"intent_uri", c.IntentURI, 0, maxIntent},
	} {
		if len(field.value) < field.least || len(field.value) > field.most || !visible(field.value) {
			return fmt.Errorf("xiaomi: %s: want %d to %d visible ASCII characters", field.name, field.least, field.most)
		}
	}
	if c.IntentURI != "" && (!strings.HasPrefix(c.IntentURI, "intent:") || !strings.HasSuffix(c.IntentURI, ";end")) {
		return errors.New(`xiaomi: intent_uri: want "intent:#Intent;component=<package>/<activity>;end"`)
	}
	for _, named := range []struct {
		name  string
		route Route
	}{{"call", c.Call}, {"im", c.IM}, {"system", c.System}, {"marketing", c.Marketing}} {
		if err := named.route.validate(); err != nil {
			return fmt.Errorf("xiaomi: %s.%w", named.name, err)
		}
	}
	if err := callback.CheckAddress(c.ReceiptURL, maxReceiptURL); err != nil {
		return fmt.Errorf("xiaomi: receipts: address: %w", err)
	}
	if _, err := origin(c.Endpoint); err != nil {
		return fmt.Errorf("xiaomi: endpoint: %w", err)
	}
	if c.Path != "" && !sendPath.MatchString(c.Path) {
		return fmt.Errorf("xiaomi: path: want %q or its v2 or v4", defaultPath)
	}
	if _, err := courier.Trust(c.CAPEM); err != nil {
		return fmt.Errorf("xiaomi: ca_pem: %w", err)
	}
	if c.MaxInFlight < 0 || c.MaxInFlight > maxMaxInFlight {
		return fmt.Errorf("xiaomi: max_in_flight: %d, want 0 to %d", c.MaxInFlight, maxMaxInFlight)
	}
	return nil
}

var (
	sendPath  = regexp.MustCompile(`^/v[234]/message/regid$`)
	paramFrom = regexp.MustCompile(`^(title|subtitle|body|data\..+)$`)
)

func (r Route) validate() error {
	switch {
	case len(r.ChannelID) > maxChannel || !visible(r.ChannelID):
		return fmt.Errorf("channel_id: want at most %d visible ASCII characters", maxChannel)
	case len(r.TemplateID) > maxTemplate || !visible(r.TemplateID):
		return fmt.Errorf("template_id: want at most %d visible ASCII characters", maxTemplate)
	case r.ChannelID == "" && r.TemplateID != "":
		return errors.New("channel_id: a template needs the channel that it belongs to")
	case r.TemplateID == "" && len(r.TemplateParams) > 0:
		return errors.New("template_id: missing beside template_params")
	case len(r.TemplateParams) > maxParams:
		return fmt.Errorf("template_params: %d variables, want at most %d", len(r.TemplateParams), maxParams)
	}
	for name, from := range r.TemplateParams {
		if name == "" || len(name) > maxParamName {
			return fmt.Errorf("template_params: want names of 1 to %d bytes", maxParamName)
		}
		if !paramFrom.MatchString(from) {
			return fmt.Errorf(`template_params: %s: want "title", "subtitle", "body" or "data.<key>"`, name)
		}
	}
	return nil
}

// routeOf is the push's way: that of its class, or the channel that it names.
// A named channel brings the template of the class that has it.
func (c *Config) routeOf(n *vendors.Notification) Route {
	if channel := cmp.Or(n.Override.ChannelID, n.Category); channel != "" {
		if i := c.findRoute(channel); i >= 0 {
			return c.routes()[i]
		}
		return Route{ChannelID: channel}
	}
	route := c.IM
	switch n.Class {
	case vendors.ClassMarketing:
		return c.Marketing
	case vendors.ClassCall:
		route = c.Call
	case vendors.ClassSystem:
		route = c.System
	}
	if route.ChannelID == "" {
		return c.IM
	}
	return route
}

func (c *Config) routes() []Route { return []Route{c.IM, c.Call, c.System, c.Marketing} }

// findRoute is the place in routes of the first with that channel, or -1.
func (c *Config) findRoute(channel string) int {
	return slices.IndexFunc(c.routes(), func(r Route) bool { return r.ChannelID == channel })
}

// ownChannel tells whether the push's channel is the credential's choice.
func (c *Config) ownChannel(n *vendors.Notification) bool {
	channel := cmp.Or(n.Override.ChannelID, n.Category)
	return channel == "" || c.findRoute(channel) >= 0
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
