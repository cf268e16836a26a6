// Package huawei speaks the two protocols of Huawei Push Kit: HMS for Android
// (EMUI, HarmonyOS up to 4; OAuth) and HarmonyOS 5 and later (JWT). A
// credential is for one of them, as a device token is.
//
// Huawei judges content by "category", which it honours once the app has the
// right of self-classification; without it pushes count as marketing, of which
// a device takes few a day.
//
// Limits and codes are Huawei's of 2026-11; each is named where it is used.
package huawei

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/rouse-im/rouse/vendors"
	"github.com/rouse-im/rouse/vendors/bearer"
	"github.com/rouse-im/rouse/vendors/courier"
)

var _ vendors.BatchSender = (*Sender)(nil)

// Bounds of a call's tokens (Result codes, 80300010 and 80300030).
const (
	maxBatch     = 1000
	maxTestBatch = 10 // HarmonyOS
)

// Sender sends with one credential.
type Sender struct {
	config  parsed
	address string
	header  http.Header
	write   writer

	bearers *bearer.Cache
	pushes  *courier.Client
	grants  *courier.Client
	run     run
	once    sync.Once
}

// New makes a Sender, which asks nothing of Huawei before the first Send. The
// error names the field of c that is wrong.
func New(c Config) (*Sender, error) {
	p, err := c.parse()
	if err != nil {
		return nil, err
	}
	s := &Sender{config: p, header: http.Header{}}
	options := courier.Options{CAPEM: c.CAPEM, MaxInFlight: p.MaxInFlight, DialContext: c.DialContext}
	if s.pushes, err = courier.New(options); err != nil {
		return nil, fmt.Errorf("huawei: %w", err)
	}
	options.MaxInFlight = 1 // the cache asks for one bearer at a time
	if s.grants, err = courier.New(options); err != nil {
		return nil, fmt.Errorf("huawei: %w", err)
	}
	s.header.Set("Content-Type", "application/json; charset=utf-8")
	if p.API == Harmony {
		s.address, s.write = p.Endpoint+"/v3/"+p.ProjectID+"/messages:send", writeHarmony
		s.header.Set("push-type", "0") // an alert
		s.bearers = bearer.New(s.config.account.sign)
		return s, nil
	}
	s.address, s.write = p.Endpoint+"/v1/"+p.AppID+"/messages:send", writeHMS
	s.bearers = bearer.New(func(ctx context.Context) (bearer.Bearer, error) {
		return s.config.requestGrant(ctx, s.grants)
	})
	return s, nil
}

// MaxInFlight is Config.MaxInFlight, or its default.
func (s *Sender) MaxInFlight() int { return s.pushes.MaxInFlight() }

// MaxBatch is 1000, or 10 for HarmonyOS test messages.
func (s *Sender) MaxBatch() int {
	if s.config.API == Harmony && s.config.TestMessages {
		return maxTestBatch
	}
	return maxBatch
}

// Send is SendBatch to n.Token.
func (s *Sender) Send(ctx context.Context, n *vendors.Notification) (vendors.Result, error) {
	results, err := s.SendBatch(ctx, n, []string{n.Token})
	if err != nil {
		return vendors.Result{}, err
	}
	return results[0], nil
}

// SendBatch makes one request, and a second one only if the first was refused
// for its bearer. A body that is too long is cut. There are alerts only.
func (s *Sender) SendBatch(ctx context.Context, n *vendors.Notification, tokens []string) ([]vendors.Result, error) {
	refuse := func(r vendors.Result) []vendors.Result { return (&verdict{call: r}).of(tokens) }
	if n.Channel != vendors.ChannelAlert {
		return refuse(vendors.Result{Outcome: vendors.Rejected, Code: codeNoChannel}), nil
	}
	body, ok := s.config.fit(s.write, n, tokens, time.Now())
	if !ok {
		return refuse(vendors.Result{Outcome: vendors.Rejected, Code: codeTooBig}), nil
	}
	return s.deliver(ctx, body, tokens)
}

func (s *Sender) deliver(ctx context.Context, body []byte, tokens []string) ([]vendors.Result, error) {
	for last := false; ; last = true {
		value, err := s.bearers.Get(ctx)
		if refused, ok := errors.AsType[*refusedError](err); ok {
			return (&verdict{call: refused.result}).of(tokens), nil
		}
		if err != nil {
			return nil, fmt.Errorf("huawei: access token: %w", err)
		}
		header := s.header.Clone()
		header.Set("Authorization", "Bearer "+value)
		answer, err := s.pushes.Post(ctx, s.address, header, body)
		if err != nil {
			return nil, fmt.Errorf("huawei: %w", err)
		}
		v := classify(answer)
		if v.renew && !last {
			s.bearers.Invalidate(value)
			continue
		}
		results := v.of(tokens)
		s.run.judge(results)
		return results, nil
	}
}

// Close ends the connections; Sends under way and later ones fail. It may be
// called more than once.
func (s *Sender) Close() {
	s.once.Do(func() {
		s.pushes.Close()
		s.bearers.Close()
		s.grants.Close()
	})
}

// ValidToken tells whether token can be a push token of either service: 1..512
// visible ASCII characters. Huawei says that the length varies.
func ValidToken(token string) bool { return len(token) <= 512 && visible(token) }

// visible: not empty, printable ASCII without spaces.
func visible(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return s != ""
}
