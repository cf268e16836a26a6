// Package honor speaks the protocol of Honor Push, for phones with Magic UI 4
// and later. Older Honor phones have tokens of Huawei.
//
// Honor sorts by "importance", which it honours once the app has the right of
// self-classification; without it pushes count as marketing, of which a device
// takes few a day.
//
// Honor's reference could not be read; what is known is from its blog and from
// public clients of 2023-11 to 2026-06. What none of them confirms is a setting
// in Config.
package honor

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/rouse-im/rouse/vendors"
	"github.com/rouse-im/rouse/vendors/bearer"
	"github.com/rouse-im/rouse/vendors/courier"
)

var _ vendors.BatchSender = (*Sender)(nil)

// Sender sends with one credential.
type Sender struct {
	config  Config
	address string

	bearers *bearer.Cache
	pushes  *courier.Client
	grants  *courier.Client
	once    sync.Once
}

// New makes a Sender, which asks nothing of Honor before the first Send. The
// error names the field of c that is wrong.
func New(c Config) (*Sender, error) {
	c, err := c.parse()
	if err != nil {
		return nil, err
	}
	s := &Sender{config: c, address: c.Endpoint + "/api/v1/" + c.AppID + "/sendMessage"}
	options := courier.Options{CAPEM: c.CAPEM, MaxInFlight: c.MaxInFlight, DialContext: c.DialContext}
	if s.pushes, err = courier.New(options); err != nil {
		return nil, fmt.Errorf("honor: %w", err)
	}
	options.MaxInFlight = 1 // the cache asks for one bearer at a time
	if s.grants, err = courier.New(options); err != nil {
		return nil, fmt.Errorf("honor: %w", err)
	}
	s.bearers = bearer.New(func(ctx context.Context) (bearer.Bearer, error) {
		return s.config.requestGrant(ctx, s.grants)
	})
	return s, nil
}

// MaxInFlight is Config.MaxInFlight, or its default.
func (s *Sender) MaxInFlight() int { return s.pushes.MaxInFlight() }

// MaxBatch is Config.MaxBatch, or its default.
func (s *Sender) MaxBatch() int { return s.config.MaxBatch }

// Send is SendBatch to n.Token.
func (s *Sender) Send(ctx context.Context, n *vendors.Notification) (vendors.Result, error) {
	results, err := s.SendBatch(ctx, n, []string{n.Token})
	if err != nil {
		return vendors.Result{}, err
	}
	return results[0], nil
}

// SendBatch makes one request, and a second one only if the first was refused
// for its bearer. Texts that are too long are cut. There are alerts only.
func (s *Sender) SendBatch(ctx context.Context, n *vendors.Notification, tokens []string) ([]vendors.Result, error) {
	refuse := func(r vendors.Result) []vendors.Result { return (&verdict{call: r}).of(tokens) }
	if n.Channel != vendors.ChannelAlert {
		return refuse(vendors.Result{Outcome: vendors.Rejected, Code: codeNoChannel}), nil
	}
	message, ok := s.config.fit(n, tokens, time.Now())
	if !ok {
		return refuse(vendors.Result{Outcome: vendors.Rejected, Code: codeTooBig}), nil
	}
	for last := false; ; last = true {
		value, err := s.bearers.Get(ctx)
		if refused, ok := errors.AsType[*refusedError](err); ok {
			return refuse(refused.result), nil
		}
		if err != nil {
			return nil, fmt.Errorf("honor: access token: %w", err)
		}
		answer, err := s.pushes.Post(ctx, s.address, http.Header{
			"Content-Type":  {"application/json; charset=UTF-8"},
			"Authorization": {"Bearer " + value},
			"Timestamp":     {strconv.FormatInt(time.Now().UnixMilli(), 10)},
		}, message)
		if err != nil {
			return nil, fmt.Errorf("honor: %w", err)
		}
		v := s.config.classify(answer)
		if v.renew && !last {
			s.bearers.Invalidate(value)
			continue
		}
		return v.of(tokens), nil
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

// ValidToken tells whether token can be a push token: 1..512 visible ASCII
// characters. Honor says no more about them.
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
