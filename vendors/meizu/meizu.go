// Package meizu speaks the push API of Meizu's Flyme, to push ids.
//
// The app gets the data as the click's parameters, with the push id under
// "rouse_push_id": Meizu has no field for it. The collapse id becomes the
// notifyKey, of which a phone keeps the newest notification. Meizu keeps a push
// for whole hours and has no badge, subtitle, picture, thread or channel; only
// whether a message is private or public. It wants a title and a content: when
// one is missing the other stands in for it.
//
// Limits and codes are those of 2026-11; each is named where it is used.
package meizu

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/rouse-im/rouse/vendors"
	"github.com/rouse-im/rouse/vendors/courier"
)

var _ vendors.BatchSender = (*Sender)(nil)

const (
	// maxBatch is how many push ids one request takes (PushAPI README, since 2023-08-21).
	maxBatch = 100
	path     = "/garcia/api/server/push/varnished/pushByPushId"
)

// Sender sends with one app id and secret.
type Sender struct {
	config  Config
	address string
	client  *courier.Client
}

// New makes a Sender, which asks nothing of Meizu before the first Send. The
// error names the field of c that is wrong.
func New(c Config) (*Sender, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	base, err := origin(c.Endpoint)
	if err != nil {
		return nil, fmt.Errorf("meizu: endpoint: %w", err)
	}
	if c.MaxInFlight == 0 {
		c.MaxInFlight = defaultMaxInFlight
	}
	client, err := courier.New(courier.Options{CAPEM: c.CAPEM, MaxInFlight: c.MaxInFlight, DialContext: c.DialContext})
	if err != nil {
		return nil, fmt.Errorf("meizu: %w", err)
	}
	return &Sender{config: c, address: base + path, client: client}, nil
}

// MaxInFlight is Config.MaxInFlight, or its default.
func (s *Sender) MaxInFlight() int { return s.client.MaxInFlight() }

// MaxBatch is 100.
func (s *Sender) MaxBatch() int { return maxBatch }

// Close ends the connections; Sends under way and later ones fail.
func (s *Sender) Close() { s.client.Close() }

// Send makes one request. Texts that are too long are cut.
func (s *Sender) Send(ctx context.Context, n *vendors.Notification) (vendors.Result, error) {
	results, err := s.SendBatch(ctx, n, []string{n.Token})
	if err != nil {
		return vendors.Result{}, err
	}
	return results[0], nil
}

// SendBatch makes one request, and more only when Meizu says that push ids are
// dead without naming them: then it asks for each half, down to single ones.
func (s *Sender) SendBatch(ctx context.Context, n *vendors.Notification, tokens []string) ([]vendors.Result, error) {
	message, code := s.config.compose(n, time.Now())
	if code != "" {
		return repeat(vendors.Result{Outcome: vendors.Rejected, Code: code}, len(tokens)), nil
	}
	return s.deliver(ctx, message, tokens)
}

var header = http.Header{"Content-Type": {"application/x-www-form-urlencoded;charset=UTF-8"}}

func (s *Sender) deliver(ctx context.Context, message string, tokens []string) ([]vendors.Result, error) {
	form := url.Values{"appId": {s.config.AppID}, "pushIds": {strings.Join(tokens, ",")}, "messageJson": {message}}
	sign(form, s.config.AppSecret)
	a, err := s.client.Post(ctx, s.address, header, []byte(form.Encode()))
	if err != nil {
		return nil, fmt.Errorf("meizu: %w", err)
	}
	v := classify(a, time.Now())
	if v.call.Outcome == vendors.TokenInvalid && len(tokens) > 1 {
		half := len(tokens) / 2
		return append(s.probe(ctx, message, tokens[:half]), s.probe(ctx, message, tokens[half:])...), nil
	}
	return v.settle(tokens), nil
}

// probe asks for a part of a call that was answered: without an answer of its
// own the part is to be repeated, not the whole.
func (s *Sender) probe(ctx context.Context, message string, tokens []string) []vendors.Result {
	results, err := s.deliver(ctx, message, tokens)
	if err != nil {
		return repeat(vendors.Result{Outcome: vendors.Transient, Code: codeNoAnswer}, len(tokens))
	}
	return results
}

func repeat(r vendors.Result, times int) []vendors.Result {
	all := make([]vendors.Result, times)
	for i := range all {
		all[i] = r
	}
	return all
}

// ValidToken tells whether token can be a push id: 1..256 visible ASCII
// characters without a comma, which separates them. Meizu says no more.
func ValidToken(token string) bool {
	return token != "" && len(token) <= 256 && visible(token) && !strings.Contains(token, ",")
}
