package fake

import (
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"
)

// HonorPush is one push that the fake took for one token.
type HonorPush struct {
	App, Token, RequestID string
	// PushID is biTag; MessageID the data key "m".
	PushID, MessageID string
	At, Expires       time.Time

	Title, Body, Image     string
	Importance, Tag, Group string
	NotifyID               *int
	Badge                  *HonorBadge
	Test                   bool
	Data                   map[string]string
	// Bytes is the size of the body without the tokens.
	Bytes int
	// Raw is the request body, with all tokens.
	Raw []byte
}

// HonorDevice is what the fake knows of one token.
type HonorDevice struct {
	// Badge is the number on the icon: set wins over add, none leaves it.
	Badge int
	// Received are the pushes taken, oldest first, at most KeepPerDevice.
	Received []HonorPush
	// Shown are the notifications on the screen: a later one replaces that of
	// the same tag or notify id. At most KeepPerDevice.
	Shown []HonorPush
}

type honorDevices struct {
	mu      sync.Mutex
	byToken map[string]*honorDevice
}

type honorDevice struct {
	HonorDevice
	dead bool
	fail int
}

// AddDevice registers a live token; a token that was dead lives again.
func (h *Honor) AddDevice(token string) {
	h.change(token, func(d *honorDevice) { d.dead, d.fail = false, 0 })
}

// Unregister puts the token into expireTokens.
func (h *Honor) Unregister(token string) { h.change(token, func(d *honorDevice) { d.dead = true }) }

// FailNext puts the token into failTokens for that many pushes.
func (h *Honor) FailNext(token string, pushes int) {
	h.change(token, func(d *honorDevice) { d.fail = pushes })
}

func (h *Honor) change(token string, f func(*honorDevice)) {
	h.devices.mu.Lock()
	defer h.devices.mu.Unlock()
	if d := h.devices.add(token, h.opts.MaxDevices); d != nil {
		f(d)
	}
}

// Device returns a copy of what is known of token.
func (h *Honor) Device(token string) (HonorDevice, bool) {
	h.devices.mu.Lock()
	defer h.devices.mu.Unlock()
	d := h.devices.byToken[token]
	if d == nil {
		return HonorDevice{}, false
	}
	view := d.HonorDevice
	view.Received, view.Shown = slices.Clone(view.Received), slices.Clone(view.Shown)
	return view, true
}

// add returns nil when the table is full.
func (s *honorDevices) add(token string, most int) *honorDevice {
	d := s.byToken[token]
	if d == nil && len(s.byToken) < most {
		d = &honorDevice{}
		s.byToken[token] = d
	}
	return d
}

// take sorts the tokens and records the push for the good ones.
func (h *Honor) take(m honorMessage, app, id string, now time.Time) *honorAnswer {
	if !h.pace.spend(len(m.tokens), now) {
		return honorRefusal(http.StatusServiceUnavailable, "80300028", "flow control")
	}
	s := &h.devices
	s.mu.Lock()
	defer s.mu.Unlock()
	answer := &honorAnswer{http: http.StatusOK, code: h.opts.SuccessCode, message: "success"}
	for _, token := range m.tokens {
		d := s.byToken[token]
		if d == nil && h.opts.AnyDevice {
			d = s.add(token, h.opts.MaxDevices)
		} else if d == nil || d.dead {
			answer.expired = append(answer.expired, token)
			continue
		}
		if d != nil && d.fail > 0 {
			d.fail--
			answer.failed = append(answer.failed, token)
			continue
		}
		answer.sent = true
		push := m.push
		push.App, push.Token, push.RequestID = app, token, id
		push.At, push.Expires, push.MessageID = now, now.Add(m.ttl), push.Data["m"]
		h.stats.accepted.Add(1)
		if d != nil {
			d.record(push, h.opts.KeepPerDevice)
		}
		if h.opts.OnPush != nil {
			h.opts.OnPush(push)
		}
		h.Receipts.taken(sent{
			url: h.opts.Callback.URL, proof: h.opts.Callback.ReceiptProof,
			app: app, token: token, message: id, param: push.PushID, expires: push.Expires,
		})
	}
	return answer
}

func (d *honorDevice) record(push HonorPush, keep int) {
	d.Received = appendRing(d.Received, push, keep)
	switch b := push.Badge; {
	case b != nil && b.Set != nil:
		d.Badge = *b.Set
	case b != nil && b.Add != nil:
		d.Badge += *b.Add
	}
	d.Shown = slices.DeleteFunc(d.Shown, func(s HonorPush) bool {
		sameID := push.NotifyID != nil && *push.NotifyID >= 0 && s.NotifyID != nil && *s.NotifyID == *push.NotifyID
		return sameID || push.Tag != "" && s.Tag == push.Tag
	})
	d.Shown = appendRing(d.Shown, push, keep)
}

// HonorStats counts what a fake saw since its start.
type HonorStats struct {
	// Requests to send arrived whole; Accepted is the number of tokens whose
	// push was taken, those whose answer a fault then withheld included.
	Requests, Accepted int64
	// Codes counts the answers without sendResult, scripted ones excepted.
	Codes map[string]int64
	// Peak is the greatest number of send requests open at one time.
	Peak int64
	// Grants is the number of token requests, Bearers of those that got a bearer.
	Grants, Bearers int64
}

// Stats returns the counts so far.
func (h *Honor) Stats() HonorStats {
	h.auth.mu.Lock()
	bearers := h.auth.given
	h.auth.mu.Unlock()
	s := &h.stats
	s.mu.Lock()
	defer s.mu.Unlock()
	return HonorStats{
		Requests: s.requests.Load(), Accepted: s.accepted.Load(), Codes: maps.Clone(s.codes),
		Peak: s.peak.Load(), Grants: s.grants.Load(), Bearers: bearers,
	}
}
