package fake

import (
	"slices"
	"strings"
	"sync"
	"time"
)

// APNsPush is one push that the fake took.
type APNsPush struct {
	Token, Topic, ID, PushType, CollapseID string
	Priority                               int
	// Expires is the apns-expiration header; zero = absent.
	Expires time.Time
	At      time.Time
	Badge   *int
	// MessageID is the payload's own key "m".
	MessageID string
	Payload   []byte
}

// APNsDevice is what the fake knows of one device token.
type APNsDevice struct {
	Topic string
	// Badge is the number on the icon.
	Badge int
	// Received are the pushes taken, oldest first, at most KeepPerDevice.
	Received []APNsPush
	// Shown are the notifications on the screen: delivered while online, with
	// later ones replacing earlier ones of the same collapse id.
	Shown []APNsPush
}

type apnsDevices struct {
	mu        sync.Mutex
	byToken   map[string]*apnsDevice
	perSecond int // pushes to one device; 0 = no bound
}

type apnsDevice struct {
	APNsDevice
	unregistered time.Time // zero = live
	offline      bool
	stored       *APNsPush // the one push kept for an offline device, last wins
	ids          []messageIDs
	second       span
}

// messageIDs are the distinct apns-ids seen for one message; two are enough
// to know that it was doubled.
type messageIDs struct{ message, first, second string }

// AddDevice registers a live device token for topic (the bundle id, with
// ".voip" for PushKit tokens); a token that was dead lives again.
func (a *APNs) AddDevice(token, topic string) {
	a.devices.mu.Lock()
	defer a.devices.mu.Unlock()
	d := a.devices.add(token, a.opts.MaxDevices)
	if d != nil {
		d.Topic, d.unregistered = topic, time.Time{}
	}
}

// add returns nil when the table is full.
func (s *apnsDevices) add(token string, most int) *apnsDevice {
	token = strings.ToLower(token)
	d := s.byToken[token]
	if d == nil && len(s.byToken) < most {
		d = &apnsDevice{}
		s.byToken[token] = d
	}
	return d
}

// Unregister makes the token dead since then: 410 Unregistered.
func (a *APNs) Unregister(token string, since time.Time) {
	a.devices.mu.Lock()
	defer a.devices.mu.Unlock()
	if d := a.devices.add(token, a.opts.MaxDevices); d != nil {
		d.unregistered = since
	}
}

// SetOnline connects or disconnects a device. While it is away, one push is
// kept for it, the last; it is shown on return if it has not expired.
func (a *APNs) SetOnline(token string, online bool) {
	a.devices.mu.Lock()
	defer a.devices.mu.Unlock()
	d := a.devices.byToken[strings.ToLower(token)]
	if d == nil {
		return
	}
	d.offline = !online
	if stored := d.stored; online && stored != nil {
		d.stored = nil
		if stored.Expires.IsZero() || time.Now().Before(stored.Expires) {
			d.show(*stored, a.opts.KeepPerDevice)
		}
	}
}

// Device returns a copy of what is known of token.
func (a *APNs) Device(token string) (APNsDevice, bool) {
	a.devices.mu.Lock()
	defer a.devices.mu.Unlock()
	d := a.devices.byToken[strings.ToLower(token)]
	if d == nil {
		return APNsDevice{}, false
	}
	view := d.APNsDevice
	view.Received, view.Shown = slices.Clone(view.Received), slices.Clone(view.Shown)
	return view, true
}

// checkDevice returns a reason and, with Unregistered, since when.
func (a *APNs) checkDevice(r *apnsRequest, now time.Time) (string, time.Time) {
	a.devices.mu.Lock()
	defer a.devices.mu.Unlock()
	d := a.devices.byToken[r.token]
	switch {
	case strings.Trim(r.token, "0") == "":
		return "BadDeviceToken", time.Time{} // of no device
	case d == nil && a.opts.AnyDevice:
		if d = a.devices.add(r.token, a.opts.MaxDevices); d != nil {
			d.Topic = r.topic
		}
		return "", time.Time{}
	case d == nil:
		return "BadDeviceToken", time.Time{}
	case !d.unregistered.IsZero():
		return "Unregistered", d.unregistered
	case d.Topic != "" && d.Topic != r.topic:
		return "DeviceTokenNotForTopic", time.Time{}
	case a.devices.perSecond > 0 && !d.second.spend(a.devices.perSecond, time.Second, now):
		return "TooManyRequests", time.Time{}
	}
	return "", time.Time{}
}

// take records a push that passed all checks.
func (a *APNs) take(r *apnsRequest, now time.Time) {
	a.stats.accepted.Add(1)
	if a.opts.Light {
		return
	}
	push := APNsPush{
		Token: r.token, Topic: r.topic, ID: r.id, PushType: r.pushType, CollapseID: r.collapse,
		Priority: r.parsedPriority, Expires: r.expires, At: now, Badge: r.fields.APS.Badge,
		MessageID: r.fields.MessageID, Payload: r.body,
	}
	a.record(push)
	if a.opts.OnPush != nil {
		a.opts.OnPush(push)
	}
}

func (a *APNs) record(push APNsPush) {
	a.devices.mu.Lock()
	defer a.devices.mu.Unlock()
	d := a.devices.byToken[push.Token]
	if d == nil {
		return
	}
	keep := a.opts.KeepPerDevice
	d.Received = appendRing(d.Received, push, keep)
	if push.MessageID != "" && d.doubles(push.MessageID, push.ID, keep) {
		a.stats.doubled.Add(1)
	}
	if !d.offline {
		d.show(push, keep)
	} else if push.Expires.IsZero() || push.Expires.After(push.At) {
		d.stored = &push
	}
}

func (d *apnsDevice) show(push APNsPush, keep int) {
	if push.Badge != nil {
		d.Badge = *push.Badge
	}
	if push.CollapseID != "" {
		d.Shown = slices.DeleteFunc(d.Shown, func(s APNsPush) bool { return s.CollapseID == push.CollapseID })
	}
	d.Shown = appendRing(d.Shown, push, keep)
}

// doubles reports whether id is the second distinct one of message.
func (d *apnsDevice) doubles(message, id string, keep int) bool {
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

// appendRing drops the oldest beyond keep.
func appendRing[T any](ring []T, item T, keep int) []T {
	if len(ring) >= keep {
		ring = slices.Delete(ring, 0, len(ring)-keep+1)
	}
	return append(ring, item)
}
