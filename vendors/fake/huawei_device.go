package fake

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"
)

// HuaweiPush is one push that the fake took for one token.
type HuaweiPush struct {
	// API is "hms" or "harmony"; Owner the app or project of the address.
	API, Owner string
	Token      string
	RequestID  string
	// PushID is bi_tag or biTag; MessageID the data key "m"; ReceiptID names
	// the receipt configuration.
	PushID, MessageID, ReceiptID string
	At, Expires                  time.Time

	Title, Body, Image, Sound string
	Category                  string
	// Channel, Importance, Tag and Group are of HMS, AppMessageID is of HarmonyOS.
	Channel, Importance, Tag, Group, AppMessageID string
	NotifyID                                      *int
	Badge                                         *HuaweiBadge
	Data                                          map[string]string
	// Bytes is the size of the body without the tokens.
	Bytes int
	// Raw is the request body, with all tokens.
	Raw []byte
}

// HuaweiDevice is what the fake knows of one token.
type HuaweiDevice struct {
	// Owner is the app or project that the token belongs to; empty = any.
	Owner string
	// Badge is the number on the icon, by the rules of the service: set wins
	// over add; an HMS push with neither adds one.
	Badge int
	// Received are the pushes taken, oldest first, at most KeepPerDevice.
	Received []HuaweiPush
	// Shown are the notifications on the screen: a later one replaces that of
	// the same tag (HMS) or notify id, and HarmonyOS shows an app message id
	// once within a day. At most KeepPerDevice.
	Shown []HuaweiPush
}

type huaweiDevices struct {
	mu      sync.Mutex
	byToken map[string]*huaweiDevice
}

type huaweiDevice struct {
	HuaweiDevice
	dead, upgraded bool
}

// AddDevice registers a live token of owner (app or project, empty = any); a
// token that was dead lives again.
func (h *Huawei) AddDevice(token, owner string) {
	h.change(token, func(d *huaweiDevice) { d.Owner, d.dead, d.upgraded = owner, false, false })
}

// Unregister makes the token illegal.
func (h *Huawei) Unregister(token string) { h.change(token, func(d *huaweiDevice) { d.dead = true }) }

// Upgrade moves the token's phone to HarmonyOS 5: noRight until AddDevice.
func (h *Huawei) Upgrade(token string) { h.change(token, func(d *huaweiDevice) { d.upgraded = true }) }

func (h *Huawei) change(token string, f func(*huaweiDevice)) {
	h.devices.mu.Lock()
	defer h.devices.mu.Unlock()
	if d := h.devices.add(token, h.opts.MaxDevices); d != nil {
		f(d)
	}
}

// Device returns a copy of what is known of token.
func (h *Huawei) Device(token string) (HuaweiDevice, bool) {
	h.devices.mu.Lock()
	defer h.devices.mu.Unlock()
	d := h.devices.byToken[token]
	if d == nil {
		return HuaweiDevice{}, false
	}
	view := d.HuaweiDevice
	view.Received, view.Shown = slices.Clone(view.Received), slices.Clone(view.Shown)
	return view, true
}

// add returns nil when the table is full.
func (s *huaweiDevices) add(token string, most int) *huaweiDevice {
	d := s.byToken[token]
	if d == nil && len(s.byToken) < most {
		d = &huaweiDevice{}
		s.byToken[token] = d
	}
	return d
}

// take sorts out the illegal tokens and records the push for the others.
func (h *Huawei) take(m huaweiMessage, owner, id string, now time.Time) *huaweiAnswer {
	if !h.pace.spend(len(m.tokens), now) {
		return &huaweiAnswer{http.StatusServiceUnavailable, "80300020", "Flow control"}
	}
	s := &h.devices
	s.mu.Lock()
	defer s.mu.Unlock()
	illegal, failed := map[string][]string{}, 0
	for _, token := range m.tokens {
		if reason := s.illegal(token, owner, &h.opts); reason != "" {
			illegal[reason] = append(illegal[reason], token)
			failed++
			continue
		}
		push := m.push
		push.Token, push.Owner, push.RequestID = token, owner, id
		push.At, push.Expires, push.MessageID = now, now.Add(m.ttl), push.Data["m"]
		h.stats.accepted.Add(1)
		if d := s.byToken[token]; d != nil {
			d.record(push, h.opts.KeepPerDevice)
		}
		if h.opts.OnPush != nil {
			h.opts.OnPush(push)
		}
		address := h.opts.Callbacks[push.ReceiptID]
		h.Receipts.taken(sent{
			url: address.URL, proof: address.ReceiptProof, form: push.API,
			app: owner, token: token, message: id, param: push.PushID, expires: push.Expires,
		})
	}
	return huaweiVerdict(m.push.API, len(m.tokens)-failed, failed, illegal)
}

// illegal names the reason, "" for a good token.
func (s *huaweiDevices) illegal(token, owner string, o *HuaweiOptions) string {
	d := s.byToken[token]
	if d == nil && o.AnyDevice {
		_ = s.add(token, o.MaxDevices)
		return ""
	}
	switch {
	case d == nil || d.dead:
		return "tokenFormatError"
	case d.upgraded, d.Owner != "" && d.Owner != owner:
		return "noRight"
	}
	return ""
}

// huaweiVerdict has each service's own form of the illegal tokens, inside a
// string. The reasons carry spaces, as in Huawei's sample.
func huaweiVerdict(api string, success, failure int, illegal map[string][]string) *huaweiAnswer {
	if failure == 0 {
		return &huaweiAnswer{http.StatusOK, "80000000", "Success"}
	}
	msg := map[string]any{"failure": failure}
	answer := &huaweiAnswer{http.StatusOK, "80300007", "All tokens are invalid"}
	if success > 0 {
		answer.code, msg["success"] = "80100000", success
	} else if api == "hms" {
		return answer
	}
	if api == "hms" {
		var all []string
		for _, reason := range slices.Sorted(maps.Keys(illegal)) {
			all = append(all, illegal[reason]...)
		}
		msg["illegal_tokens"] = all
	} else {
		padded := map[string][]string{}
		for reason, tokens := range illegal {
			padded[" "+reason+" "] = tokens
		}
		msg["illegalTokens"] = padded
	}
	raw, _ := json.Marshal(msg) // strings and numbers always encode
	answer.msg = string(raw)
	return answer
}

func (d *huaweiDevice) record(push HuaweiPush, keep int) {
	d.Received = appendRing(d.Received, push, keep)
	if push.AppMessageID != "" && slices.ContainsFunc(d.Shown, func(s HuaweiPush) bool {
		return s.AppMessageID == push.AppMessageID && push.At.Sub(s.At) < 24*time.Hour
	}) {
		return
	}
	switch b := push.Badge; {
	case b != nil && b.Set != nil:
		d.Badge = *b.Set
	case b != nil && b.Add != nil:
		d.Badge += *b.Add
	case push.API == "hms":
		d.Badge++
	}
	d.Shown = slices.DeleteFunc(d.Shown, func(s HuaweiPush) bool {
		sameID := push.NotifyID != nil && *push.NotifyID >= 0 && s.NotifyID != nil && *s.NotifyID == *push.NotifyID
		return sameID || push.Tag != "" && s.Tag == push.Tag
	})
	d.Shown = appendRing(d.Shown, push, keep)
}

// HuaweiStats counts what a fake saw since its start.
type HuaweiStats struct {
	// Requests to send arrived whole; Accepted is the number of tokens whose
	// push was taken, those whose answer a fault then withheld included.
	Requests, Accepted int64
	// Codes counts the answers other than success, scripted ones excepted.
	Codes map[string]int64
	// Peak is the greatest number of send requests open at one time.
	Peak int64
	// Grants is the number of token requests, Bearers of the bearers given and
	// the distinct JWTs seen.
	Grants, Bearers int64
}

// Stats returns the counts so far.
func (h *Huawei) Stats() HuaweiStats {
	h.auth.mu.Lock()
	bearers := h.auth.given
	h.auth.mu.Unlock()
	s := &h.stats
	s.mu.Lock()
	defer s.mu.Unlock()
	return HuaweiStats{
		Requests: s.requests.Load(), Accepted: s.accepted.Load(), Codes: maps.Clone(s.codes),
		Peak: s.peak.Load(), Grants: s.grants.Load(), Bearers: bearers,
	}
}
