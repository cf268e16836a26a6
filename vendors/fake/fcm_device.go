package fake

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// FCMPush is one push that the fake took.
type FCMPush struct {
	Token, Project string
	// ID is FCM's message id; PushID the data key "rouse_push_id"; MessageID the data key "m".
	ID, PushID, MessageID string
	At                    time.Time
	// Expires is At plus the message's ttl.
	Expires     time.Time
	Title, Body string
	Tag         string
	Priority    string
	// Count is android.notification.notification_count; nil = absent.
	Count *int
	// DataOnly: nothing for Android to draw.
	DataOnly bool
	Data     map[string]string
	// Bytes is the size that the limit of 4096 is about.
	Bytes int
	// Raw is the request body.
	Raw []byte
}

// FCMDevice is what the fake knows of one token.
type FCMDevice struct {
	// Project that the token belongs to; empty = any.
	Project string
	// Badge is the number on the icon as the system counts it: a count sets
	// it, a notification without one (or with 0) adds one.
	Badge int
	// Received are the pushes taken, oldest first, at most KeepPerDevice.
	Received []FCMPush
	// Shown are the notifications that the system drew, with later ones
	// replacing earlier ones of the same tag, at most KeepPerDevice.
	Shown []FCMPush
}

type fcmDevices struct {
	mu      sync.Mutex
	byToken map[string]*fcmDevice
}

type fcmDevice struct {
	FCMDevice
	dead bool
	ids  []messageIDs
	rate span
}

// AddDevice registers a live token of project (empty = any); a token that was
// dead lives again.
func (f *FCM) AddDevice(token, project string) {
	f.devices.mu.Lock()
	defer f.devices.mu.Unlock()
	if d := f.devices.add(token, f.opts.MaxDevices); d != nil {
		d.Project, d.dead = project, false
	}
}

// Unregister makes the token dead: 404 UNREGISTERED.
func (f *FCM) Unregister(token string) {
	f.devices.mu.Lock()
	defer f.devices.mu.Unlock()
	if d := f.devices.add(token, f.opts.MaxDevices); d != nil {
		d.dead = true
	}
}

// Device returns a copy of what is known of token.
func (f *FCM) Device(token string) (FCMDevice, bool) {
	f.devices.mu.Lock()
	defer f.devices.mu.Unlock()
	d := f.devices.byToken[token]
	if d == nil {
		return FCMDevice{}, false
	}
	view := d.FCMDevice
	view.Received, view.Shown = slices.Clone(view.Received), slices.Clone(view.Shown)
	return view, true
}

// add returns nil when the table is full.
func (s *fcmDevices) add(token string, most int) *fcmDevice {
	d := s.byToken[token]
	if d == nil && len(s.byToken) < most {
		d = &fcmDevice{}
		s.byToken[token] = d
	}
	return d
}

// check returns nil when the token is live and within its rate.
func (s *fcmDevices) check(token, project string, now time.Time, o *FCMOptions) *fcmError {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.byToken[token]
	if d == nil && o.AnyDevice {
		d = s.add(token, o.MaxDevices)
		if d == nil {
			return nil
		}
	}
	switch {
	case d == nil:
		return &fcmError{
			http: 400, status: "INVALID_ARGUMENT", errorCode: "INVALID_ARGUMENT",
			message: "The registration token is not a valid FCM registration token",
		}
	case d.dead:
		return &fcmError{http: 404, status: "NOT_FOUND", errorCode: "UNREGISTERED", message: "Requested entity was not found."}
	case d.Project != "" && d.Project != project:
		return &fcmError{http: 403, status: "PERMISSION_DENIED", errorCode: "SENDER_ID_MISMATCH", message: "SenderId mismatch"}
	case !d.rate.spend(o.DevicePerMinute, time.Minute, now):
		return fcmDeviceQuota("")
	}
	return nil
}

// take records a push that passed all checks.
func (f *FCM) take(m *fcmMessage, project, id string, body []byte, now time.Time) {
	f.stats.accepted.Add(1)
	push := FCMPush{
		Token: m.Message.Token, Project: project, ID: id,
		PushID: m.Message.Data["rouse_push_id"], MessageID: m.Message.Data["m"],
		At: now, Expires: now.Add(m.ttl), DataOnly: m.Message.Notification == nil,
		Data: m.Message.Data, Bytes: m.bytes, Raw: body,
	}
	if n := m.Message.Notification; n != nil {
		push.Title, push.Body = n.Title, n.Body
	}
	if a := m.Message.Android; a != nil {
		push.Priority = a.Priority
		if n := a.Notification; n != nil {
			push.Tag, push.Count, push.DataOnly = n.Tag, n.Count, false
		}
	}
	f.record(push)
	if f.opts.OnPush != nil {
		f.opts.OnPush(push)
	}
}

func (f *FCM) record(push FCMPush) {
	f.devices.mu.Lock()
	defer f.devices.mu.Unlock()
	d := f.devices.byToken[push.Token]
	if d == nil {
		return
	}
	keep := f.opts.KeepPerDevice
	d.Received = appendRing(d.Received, push, keep)
	if push.MessageID != "" && d.doubles(push.MessageID, push.PushID, keep) {
		f.stats.doubled.Add(1)
	}
	if push.DataOnly {
		return
	}
	if push.Count != nil && *push.Count > 0 {
		d.Badge = *push.Count
	} else {
		d.Badge++
	}
	if push.Tag != "" {
		d.Shown = slices.DeleteFunc(d.Shown, func(s FCMPush) bool { return s.Tag == push.Tag })
	}
	d.Shown = appendRing(d.Shown, push, keep)
}

// doubles reports whether id is the second distinct one of message.
func (d *fcmDevice) doubles(message, id string, keep int) bool {
	i := slices.IndexFunc(d.ids, func(m messageIDs) bool { return m.message == message })
	if i < 0 {
		d.ids = appendRing(d.ids, messageIDs{message: message, first: id}, keep)
		return false
	}
	if m := &d.ids[i]; m.first != id && m.second == "" {
		m.second = id
		return true
	}
	return false
}

// FCMStats counts what a fake saw since its start.
type FCMStats struct {
	// Requests to send arrived whole; Accepted of them were taken, those
	// whose answer a fault then withheld included.
	Requests, Accepted int64
	// Codes counts the errors answered, scripted ones excepted.
	Codes map[string]int64
	// Peak is the greatest number of send requests open at one time.
	Peak int64
	// Grants is the number of token requests, Bearers of those that got a bearer.
	Grants, Bearers int64
	// Doubled is the number of (token, data key "m") pairs that were taken
	// under more than one push id.
	Doubled int64
}

type fcmStats struct {
	requests, accepted, open, peak, grants, doubled atomic.Int64

	mu    sync.Mutex
	codes map[string]int64
}

// Stats returns the counts so far.
func (f *FCM) Stats() FCMStats {
	f.auth.mu.Lock()
	bearers := f.auth.given
	f.auth.mu.Unlock()
	s := &f.stats
	s.mu.Lock()
	defer s.mu.Unlock()
	return FCMStats{
		Requests: s.requests.Load(), Accepted: s.accepted.Load(), Codes: maps.Clone(s.codes),
		Peak: s.peak.Load(), Grants: s.grants.Load(), Bearers: bearers, Doubled: s.doubled.Load(),
	}
}

// count counts an error answer; the codes are a closed set.
func (s *fcmStats) count(code string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.codes[code]++
}

func (s *fcmStats) opened() {
	open := s.open.Add(1)
	for peak := s.peak.Load(); open > peak && !s.peak.CompareAndSwap(peak, open); peak = s.peak.Load() {
	}
}
