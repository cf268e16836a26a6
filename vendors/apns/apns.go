// Package apns sends pushes through Apple's push notification service, with
// github.com/sideshow/apns2 for the wire format and its own pool of HTTP/2
// connections, because APNs lets a new connection carry one stream until the
// first push is answered, and apns2 would dial more connections instead.
//
// The app gets Notification.Data as peers of "aps". An ImageURL is the peer
// "image" (unless Data has that key) and sets mutable-content, so that the
// app's notification service extension can fetch it. A Data key "aps" is
// Apple's and arrives as "data.aps".
//
// Facts are from developer.apple.com, read 2026-11: "Sending notification
// requests to APNs", "Handling notification responses from APNs",
// "Establishing a token-based connection to APNs".
package apns

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/sideshow/apns2"

	"github.com/rouse-im/rouse/vendors"
	"github.com/rouse-im/rouse/vendors/doubt"
)

// errClosed is what Send returns after Close.
var errClosed = errors.New("apns: the sender is closed")

// maxTokenBytes bounds a device token; Apple says not to assume a length.
const maxTokenBytes = 200

// ValidToken reports whether token has the shape of a device token: 1 to 200
// bytes in hexadecimal.
func ValidToken(token string) bool {
	if len(token) == 0 || len(token) > 2*maxTokenBytes {
		return false
	}
	_, err := hex.DecodeString(token)
	return err == nil
}

// Sender is a vendors.Sender for one bundle id with one credential.
type Sender struct {
	topic  string
	voip   bool
	sound  string
	client *apns2.Client
	pool   *pool
	signer *signer // nil with a certificate
	slots  chan struct{}
	closed chan struct{}
	once   sync.Once
	doubt  doubt.Doubt
}

// New makes a sender; it connects at the first Send. The error names the
// field at fault and holds no secret.
func New(c Config) (*Sender, error) {
	p, err := c.parse()
	if err != nil {
		return nil, err
	}
	s := &Sender{
		topic:  c.BundleID,
		voip:   c.VoIP,
		sound:  c.Sound,
		slots:  make(chan struct{}, p.connections*p.streams),
		closed: make(chan struct{}),
		pool:   newPool(p),
	}
	if p.key != nil {
		s.signer = borrowSigner(c.TeamID, c.KeyID, p.key)
	}
	s.client = &apns2.Client{
		Host: p.origin,
		HTTPClient: &http.Client{
			Transport:     &courier{pool: s.pool, signer: s.signer},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	return s, nil
}

// MaxInFlight is connections times streams per connection.
func (s *Sender) MaxInFlight() int { return cap(s.slots) }

// Close ends the connections; Sends under way fail. It may be called again.
func (s *Sender) Close() {
	s.once.Do(func() {
		close(s.closed)
		s.pool.close()
		if s.signer != nil {
			s.signer.giveBack()
		}
	})
}

// Send implements vendors.Sender.
func (s *Sender) Send(ctx context.Context, n *vendors.Notification) (vendors.Result, error) {
	if !ValidToken(n.Token) {
		return local("BadDeviceToken"), nil
	}
	// The other kind of token would be called invalid for this topic.
	if (n.Channel == vendors.ChannelVoIP) != s.voip {
		return local("InvalidPushType"), nil
	}
	if n.Sound == "" && s.sound != "" && n.Channel == vendors.ChannelAlert {
		loud := *n
		loud.Sound = s.sound
		n = &loud
	}
	push, ok := compose(s.topic, n)
	if !ok {
		return local("PayloadTooLarge"), nil
	}
	select {
	case s.slots <- struct{}{}:
	case <-ctx.Done():
		return vendors.Result{}, fmt.Errorf("apns: wait for a free stream: %w", ctx.Err())
	case <-s.closed:
		return vendors.Result{}, errClosed
	}
	defer func() { <-s.slots }()
	x, err := s.push(ctx, push)
	now := time.Now()
	if err != nil || !s.misdated(x, now) {
		return s.weigh(x), err
	}
	if wait := s.signer.renew(x.bearer, now); wait > 0 {
		return vendors.Result{Outcome: vendors.Throttled, Code: x.reason, RetryAfter: wait}, nil
	}
	x, err = s.push(ctx, push)
	return s.weigh(x), err
}

// misdated tells that APNs refused the provider token for its date. A date to come
// it calls invalid, as it does a wrong key.
func (s *Sender) misdated(x *exchange, now time.Time) bool {
	return s.signer != nil && (x.reason == reasonExpired || x.reason == reasonInvalid && s.signer.misdated(x.bearer, now))
}

// weigh drops no token for what a wrong environment or bundle id brings about.
func (s *Sender) weigh(x *exchange) vendors.Result {
	return s.doubt.Weigh(x.result(), "BadDeviceToken", "DeviceTokenNotForTopic")
}

// local is the result for a push that needs no question to APNs.
func local(reason string) vendors.Result { return (&exchange{status: 400, reason: reason}).result() }

// push asks APNs once.
func (s *Sender) push(ctx context.Context, push *apns2.Notification) (*exchange, error) {
	x := &exchange{}
	_, err := s.client.PushWithContext(context.WithValue(ctx, exchangeKey{}, x), push)
	if err == nil {
		return x, nil
	}
	select {
	case <-s.closed:
		return &exchange{}, errClosed
	default:
	}
	// The URL in a *url.Error ends in the device token.
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	return &exchange{}, fmt.Errorf("apns: push: %w", err)
}
