// Package xiaomi speaks the send API of Xiaomi's Mi Push, to registration ids.
//
// The app gets the data as a JSON object in the payload, with the push id under
// "rouse_push_id". The push id is also the jobkey, by which a phone drops a
// repeat. The collapse id becomes the notify_id, by which a push replaces the
// one shown. Xiaomi counts the badge itself and takes no number; it has no
// subtitle and no thread. It wants a title and a description: when one is
// missing the other stands in for it.
//
// Limits and codes are those of 2026-11; each is named where it is used.
package xiaomi

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

// maxBatch is how many registration ids one request takes (pId=1559).
const maxBatch = 1000

// Sender sends with one AppSecret.
type Sender struct {
	config  Config
	address string
	header  http.Header
	client  *courier.Client
}

// New makes a Sender, which asks nothing of Xiaomi before the first Send. The
// error names the field of c that is wrong.
func New(c Config) (*Sender, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	base, err := origin(c.Endpoint)
	if err != nil {
		return nil, fmt.Errorf("xiaomi: endpoint: %w", err)
	}
	if c.Path == "" {
		c.Path = defaultPath
	}
	if c.MaxInFlight == 0 {
		c.MaxInFlight = defaultMaxInFlight
	}
	client, err := courier.New(courier.Options{CAPEM: c.CAPEM, MaxInFlight: c.MaxInFlight, DialContext: c.DialContext})
	if err != nil {
		return nil, fmt.Errorf("xiaomi: %w", err)
	}
	return &Sender{
		config: c, address: base + c.Path, client: client,
		header: http.Header{
			"Authorization": {"key=" + c.AppSecret}, // lower-case "key" (pId=1559)
			"Content-Type":  {"application/x-www-form-urlencoded;charset=UTF-8"},
		},
	}, nil
}

// MaxInFlight is Config.MaxInFlight, or its default.
func (s *Sender) MaxInFlight() int { return s.client.MaxInFlight() }

// MaxBatch is 1000.
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

// SendBatch makes one request, and more only when Xiaomi says that targets are
// dead without naming them: then it asks for each half, down to single tokens.
// A channel that the push names and no route has is the push's own fault.
func (s *Sender) SendBatch(ctx context.Context, n *vendors.Notification, tokens []string) ([]vendors.Result, error) {
	form, code := s.config.compose(n, time.Now())
	if code != "" {
		return repeat(vendors.Result{Outcome: vendors.Rejected, Code: code}, len(tokens)), nil
	}
	results, err := s.deliver(ctx, form, tokens)
	if s.config.ownChannel(n) {
		return results, err
	}
	for i := range results {
		if results[i].Code == codeChannel {
			results[i].Outcome = vendors.Rejected
		}
	}
	return results, err
}

func (s *Sender) deliver(ctx context.Context, form url.Values, tokens []string) ([]vendors.Result, error) {
	form.Set("registration_id", strings.Join(tokens, ","))
	a, err := s.client.Post(ctx, s.address, s.header, []byte(form.Encode()))
	if err != nil {
		return nil, fmt.Errorf("xiaomi: %w", err)
	}
	v := classify(a, time.Now())
	if v.call.Outcome == vendors.TokenInvalid && len(tokens) > 1 {
		half := len(tokens) / 2
		return append(s.probe(ctx, form, tokens[:half]), s.probe(ctx, form, tokens[half:])...), nil
	}
	results := make([]vendors.Result, len(tokens))
	for i, token := range tokens {
		results[i] = v.of(token)
	}
	return results, nil
}

// probe asks for a part of a call that was answered: without an answer of its
// own the part is to be repeated, not the whole.
func (s *Sender) probe(ctx context.Context, form url.Values, tokens []string) []vendors.Result {
	results, err := s.deliver(ctx, form, tokens)
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

// ValidToken tells whether token can be a registration id: 1..512 visible ASCII
// characters without a comma, which separates them. Xiaomi says no more.
func ValidToken(token string) bool {
	return token != "" && len(token) <= 512 && visible(token) && !strings.Contains(token, ",")
}
