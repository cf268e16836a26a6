// Package oppo speaks the server API of OPPO PUSH, to OPPO, OnePlus and realme
// devices.
//
// The push id travels as app_message_id, by which OPPO drops a repeat to the
// same device. The data of a push reaches the app as the parameters of a
// click. OPPO has no sound, picture or thread for single messages, and changes
// the icon's number only together with a notification: a push of another
// channel than alert is rejected unasked.
//
// Limits and codes are OPPO's of 2026-11; each is named where it is used.
package oppo

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/rouse-im/rouse/vendors"
	"github.com/rouse-im/rouse/vendors/bearer"
	"github.com/rouse-im/rouse/vendors/courier"
)

const (
	unicast      = "/server/v1/message/notification/unicast"
	unicastBatch = "/server/v1/message/notification/unicast_batch"
)

var _ vendors.BatchSender = (*Sender)(nil)

// Sender sends with one app's credential.
type Sender struct {
	style              style
	client             *courier.Client
	auth               *courier.Client // so that no bearer waits behind pushes
	mainland, overseas *route
}

// route is one region: its host and the bearer for it.
type route struct {
	origin  string
	client  *courier.Client
	bearers *bearer.Cache
}

// New makes a Sender, which asks nothing of OPPO before the first Send. The
// error names the field of c that is wrong.
func New(c Config) (*Sender, error) {
	c, err := c.filled()
	if err != nil {
		return nil, err
	}
	options := courier.Options{CAPEM: c.CAPEM, MaxInFlight: c.MaxInFlight, DialContext: c.DialContext}
	client, err := courier.New(options)
	if err != nil {
		return nil, fmt.Errorf("oppo: %w", err)
	}
	options.MaxInFlight = 2 // one for each region
	auth, err := courier.New(options)
	if err != nil {
		return nil, fmt.Errorf("oppo: %w", err)
	}
	s := &Sender{
		style: style{
			channel:  c.ChannelID,
			category: c.Category, system: c.SystemCategory, marketing: c.MarketingCategory,
			level: c.NotifyLevel, activity: c.Activity,
			template: c.TemplateID, titleName: c.TemplateTitle, contentName: c.TemplateContent, objects: c.TemplateObjects,
			receiptURL: c.ReceiptURL,
		},
		client: client, auth: auth,
	}
	k := key{c.AppKey, c.MasterSecret}
	s.mainland, s.overseas = s.route(k, c.Endpoint), s.route(k, c.OverseasEndpoint)
	return s, nil
}

func (s *Sender) route(k key, origin string) *route {
	return &route{origin: origin, client: s.client, bearers: bearer.New(func(ctx context.Context) (bearer.Bearer, error) {
		return k.grant(ctx, s.auth, origin)
	})}
}

// MaxInFlight is Config.MaxInFlight, or its default.
func (s *Sender) MaxInFlight() int { return s.client.MaxInFlight() }

// Send makes one request, and a second one only if the first was refused for
// its bearer. Texts that are too long are cut.
func (s *Sender) Send(ctx context.Context, n *vendors.Notification) (vendors.Result, error) {
	shown, refusal := s.style.compose(n, time.Now())
	if refusal != "" {
		return vendors.Result{Outcome: vendors.Rejected, Code: refusal}, nil
	}
	form := url.Values{"message": {string(courier.JSON(address(n.Token, shown)))}}
	a, err := s.routeOf(n.Token).call(ctx, unicast, form)
	if err != nil {
		return vendors.Result{}, err
	}
	return a.result(time.Now(), s.style.blames(n)), nil
}

// blames tells whether an answer about the category is about the credential.
func (s *style) blames(n *vendors.Notification) bool {
	return n.Category == "" && n.Override == (vendors.Override{}) && urgent(n.Class)
}

// routeOf reads the region from a registration id: the part before the last
// "_" names it, and an id without parts is of the mainland (OPPO PUSH server
// API, "Service addresses").
func (s *Sender) routeOf(token string) *route {
	parts := strings.Split(token, "_")
	if n := len(parts); n == 1 || n <= 3 && parts[n-2] == "CN" {
		return s.mainland
	}
	return s.overseas
}

// call posts form with a bearer. A bearer that OPPO refuses is replaced once.
func (r *route) call(ctx context.Context, path string, form url.Values) (answer, error) {
	for last := false; ; last = true {
		value, err := r.bearers.Get(ctx)
		if refused, ok := errors.AsType[*refusedError](err); ok {
			return answer{refused: &refused.result}, nil
		}
		if err != nil {
			return answer{}, fmt.Errorf("oppo: %w", err)
		}
		form.Set("auth_token", value)
		got, err := r.client.Post(ctx, r.origin+path, formHeader, []byte(form.Encode()))
		if err != nil {
			return answer{}, fmt.Errorf("oppo: %w", err)
		}
		a := read(got)
		if !a.needsBearer() || last {
			return a, nil
		}
		r.bearers.Invalidate(value)
	}
}

// Close ends the connections; Sends under way and later ones fail. It may be
// called more than once.
func (s *Sender) Close() {
	s.client.Close()
	s.auth.Close()
	s.mainland.bearers.Close()
	s.overseas.bearers.Close()
}

// ValidToken tells whether token can be a registration id: 1..256 visible
// ASCII characters.
func ValidToken(token string) bool { return visible(token, 256) }
