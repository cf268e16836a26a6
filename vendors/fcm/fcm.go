// Package fcm speaks Google's FCM HTTP v1 protocol, to Android and, where a
// Firebase project holds an APNs key, to iOS.
//
// FCM has no header for an idempotency key: the push id travels in the data,
// under "rouse_push_id", so that the app can drop a repeat. Data keys that FCM
// reserves ("from", "message_type", "google.*", "gcm.*"), "aps" and the empty
// key are sent with the prefix "x_". Data messages carry title, body and so on under "rouse_title",
// "rouse_body" and the other keys in message.go.
//
// Limits and codes are Google's of 2026-11; each is named where it is used.
package fcm

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	firebase "firebase.google.com/go/v4"
	"firebase.google.com/go/v4/messaging"
	"google.golang.org/api/option"

	"github.com/rouse-im/rouse/vendors"
	"github.com/rouse-im/rouse/vendors/bearer"
	"github.com/rouse-im/rouse/vendors/doubt"
)

var _ vendors.Sender = (*Sender)(nil)

// errClosed is what Send returns after Close.
var errClosed = errors.New("fcm: sender is closed")

// Sender sends with one service account.
type Sender struct {
	style  style
	client *messaging.Client

	bearers *bearer.Cache
	doubt   doubt.Doubt
	conns   *connections
	// slots holds one entry for each push that may start: the connection to
	// use. Its capacity is MaxInFlight.
	slots chan http.RoundTripper

	life context.Context // ends with Close
	end  context.CancelFunc
	once sync.Once
}

// New makes a Sender, which asks nothing of Google before the first Send. The
// error names the field of c that is wrong.
func New(c Config) (*Sender, error) {
	p, err := c.parse()
	if err != nil {
		return nil, err
	}
	client, err := newClient(p)
	if err != nil {
		return nil, err
	}
	dial := c.DialContext
	if dial == nil {
		dial = (&net.Dialer{Timeout: dialTimeout}).DialContext
	}
	s := &Sender{
		style:  style{channel: c.ChannelID, dataOnly: c.DataOnly, priority: c.Priority},
		client: client,
		conns:  &connections{dial: dial, open: map[net.Conn]struct{}{}},
		slots:  make(chan http.RoundTripper, p.maxInFlight),
	}
	s.life, s.end = context.WithCancel(context.Background())
	proxy := c.DialContext == nil
	transports := make([]*http.Transport, (p.maxInFlight+perConnection-1)/perConnection)
	for i := range transports {
		transports[i] = p.newTransport(s.conns.dialContext, proxy)
	}
	for i := range p.maxInFlight {
		s.slots <- transports[i%len(transports)]
	}
	grants := p.newTransport(s.conns.dialContext, proxy)
	s.bearers = bearer.New(func(ctx context.Context) (bearer.Bearer, error) {
		return p.account.requestGrant(ctx, grants)
	})
	return s, nil
}

func newClient(p parsed) (*messaging.Client, error) {
	hc := &http.Client{
		Transport:     courier{},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	ctx := context.Background()
	app, err := firebase.NewApp(ctx, &firebase.Config{ProjectID: p.account.project},
		option.WithHTTPClient(hc), option.WithEndpoint(p.origin+"/v1"))
	if err != nil {
		return nil, fmt.Errorf("fcm: set up the client: %w", err)
	}
	client, err := app.Messaging(ctx)
	if err != nil {
		return nil, fmt.Errorf("fcm: set up the client: %w", err)
	}
	return client, nil
}

// MaxInFlight is Config.MaxInFlight, or its default.
func (s *Sender) MaxInFlight() int { return cap(s.slots) }

// Send makes one request, and a second one only if the first was refused for
// its bearer (401 UNAUTHENTICATED). A body that is too long is cut.
func (s *Sender) Send(ctx context.Context, n *vendors.Notification) (vendors.Result, error) {
	return s.ask(ctx, n, s.client.Send)
}

// method is one of the SDK's two ways to post a message: to send it or not.
type method func(context.Context, *messaging.Message) (string, error)

func (s *Sender) ask(ctx context.Context, n *vendors.Notification, post method) (vendors.Result, error) {
	message, ok := s.style.fit(n, time.Now())
	if !ok {
		return vendors.Result{Outcome: vendors.Rejected, Code: codeTooBig}, nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.life, cancel)()
	select {
	case via := <-s.slots:
		defer func() { s.slots <- via }()
		return s.deliver(ctx, message, via, post)
	case <-ctx.Done():
		return vendors.Result{}, s.noAnswer(ctx.Err())
	}
}

func (s *Sender) deliver(ctx context.Context, m *messaging.Message, via http.RoundTripper, post method) (vendors.Result, error) {
	for last := false; ; last = true {
		value, err := s.bearers.Get(ctx)
		if refused, ok := errors.AsType[*refusedError](err); ok {
			return refused.result, nil
		}
		if err != nil {
			return vendors.Result{}, s.noAnswer(err)
		}
		x := &exchange{via: via, bearer: value}
		// The SDK's own verdict is left aside: x holds the whole answer.
		_, err = post(context.WithValue(ctx, exchangeKey{}, x), m)
		switch {
		case !x.asked && ctx.Err() != nil:
			return vendors.Result{}, s.noAnswer(ctx.Err())
		case !x.asked && err != nil:
			return vendors.Result{Outcome: vendors.Rejected, Code: codeMalformed}, nil
		case x.err != nil:
			return vendors.Result{}, s.noAnswer(x.err)
		case needsBearer(x.answer) && !last:
			s.bearers.Invalidate(value)
		default:
			// Every token is another project's to a wrong service account.
			return s.doubt.Weigh(classify(x.answer, time.Now()), "SENDER_ID_MISMATCH"), nil
		}
	}
}

// noAnswer says who ended the wait: the sender's own end hides behind a
// cancelled context or a closed connection.
func (s *Sender) noAnswer(err error) error {
	if s.life.Err() != nil {
		return errClosed
	}
	return fmt.Errorf("fcm: no answer: %w", err)
}

// Close ends the connections; Sends under way and later ones fail. It may be
// called more than once.
func (s *Sender) Close() {
	s.once.Do(func() {
		s.end()
		s.conns.close()
		s.bearers.Close()
	})
}

// ValidToken tells whether token can be an FCM registration token or
// installation id: 1..4096 visible ASCII characters. FCM says no more about them.
func ValidToken(token string) bool { return len(token) <= 4096 && visible(token) }

// visible: not empty, printable ASCII without spaces.
func visible(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return s != ""
}
