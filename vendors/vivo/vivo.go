// Package vivo speaks the server API of vivo push, to vivo and iQOO devices.
//
// The push id travels as requestId. The data of a push reaches the app as the
// client's custom map; more than ten pairs travel as JSON under "rouse_data".
// vivo has no subtitle, picture, thread or Android channel, and can only add
// one to the icon's number, together with a notification: a push of another
// channel than alert is rejected unasked.
//
// Limits and codes are vivo's of 2026-11; each is named where it is used.
package vivo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/rouse-im/rouse/vendors"
	"github.com/rouse-im/rouse/vendors/bearer"
	"github.com/rouse-im/rouse/vendors/courier"
	"github.com/rouse-im/rouse/vendors/cut"
)

const (
	pathSend = "/message/send"
	pathSave = "/message/saveListPayload"
	pathList = "/message/pushToList"
)

var _ vendors.BatchSender = (*Sender)(nil)

// Sender sends with one app's credential.
type Sender struct {
	style   style
	origin  string
	client  *courier.Client
	auth    *courier.Client // so that no bearer waits behind pushes
	bearers *bearer.Cache
	// listless is until when vivo saves no more messages for lists, in Unix ns.
	listless atomic.Int64
}

// New makes a Sender, which asks nothing of vivo before the first Send. The
// error names the field of c that is wrong.
func New(c Config) (*Sender, error) {
	c, err := c.filled()
	if err != nil {
		return nil, err
	}
	options := courier.Options{CAPEM: c.CAPEM, MaxInFlight: c.MaxInFlight, DialContext: c.DialContext}
	client, err := courier.New(options)
	if err != nil {
		return nil, fmt.Errorf("vivo: %w", err)
	}
	options.MaxInFlight = 1
	auth, err := courier.New(options)
	if err != nil {
		return nil, fmt.Errorf("vivo: %w", err)
	}
	s := &Sender{
		style: style{
			app:      json.Number(c.AppID),
			category: c.Category, system: c.SystemCategory, marketing: c.MarketingCategory, operational: c.Operational,
			intent: c.Intent, addBadge: c.AddBadge, ruler: cut.Runes,
			receipts: extra{Address: c.ReceiptURL, ID: c.CallbackID},
		},
		origin: c.Endpoint, client: client, auth: auth,
	}
	if c.CallbackID != "" {
		s.style.receipts.Address = ""
	}
	if c.WideText {
		s.style.ruler = cut.Wide
	}
	if c.TestMode {
		s.style.pushMode = 1
	}
	k := key{c.AppID, c.AppKey, c.AppSecret}
	s.bearers = bearer.New(func(ctx context.Context) (bearer.Bearer, error) {
		return k.grant(ctx, auth, c.Endpoint)
	})
	return s, nil
}

// MaxInFlight is Config.MaxInFlight, or its default.
func (s *Sender) MaxInFlight() int { return s.client.MaxInFlight() }

// Send makes one request, and a second one only if the first was refused for
// its bearer. Texts that are too long are cut.
func (s *Sender) Send(ctx context.Context, n *vendors.Notification) (vendors.Result, error) {
	m, refusal := s.style.compose(n, time.Now())
	if refusal != "" {
		return vendors.Result{Outcome: vendors.Rejected, Code: refusal}, nil
	}
	m.RegID = n.Token
	return s.one(ctx, m, s.style.blames(n))
}

func (s *Sender) one(ctx context.Context, m message, main bool) (vendors.Result, error) {
	a, err := s.call(ctx, pathSend, courier.JSON(m))
	if err != nil {
		return vendors.Result{}, err
	}
	return a.single(m.RegID, time.Now(), main), nil
}

// call posts body with a bearer. A bearer that vivo refuses is replaced once.
func (s *Sender) call(ctx context.Context, path string, body []byte) (answer, error) {
	for last := false; ; last = true {
		value, err := s.bearers.Get(ctx)
		if refused, ok := errors.AsType[*refusedError](err); ok {
			return answer{refused: &refused.result}, nil
		}
		if err != nil {
			return answer{}, fmt.Errorf("vivo: %w", err)
		}
		header := jsonHeader.Clone()
		header["authToken"] = []string{value}
		got, err := s.client.Post(ctx, s.origin+path, header, body)
		if err != nil {
			return answer{}, fmt.Errorf("vivo: %w", err)
		}
		a := read(got)
		if !a.needsBearer() || last {
			return a, nil
		}
		s.bearers.Invalidate(value)
	}
}

// Close ends the connections; Sends under way and later ones fail. It may be
// called more than once.
func (s *Sender) Close() {
	s.client.Close()
	s.auth.Close()
	s.bearers.Close()
}

// ValidToken tells whether token can be a regId: 1..256 visible ASCII
// characters without comma, which would part two of them.
func ValidToken(token string) bool {
	for i := range len(token) {
		if token[i] == ',' {
			return false
		}
	}
	return visible(token, 256)
}
