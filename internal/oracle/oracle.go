// Package oracle decides for a second time, and in the simplest way, which
// devices of a user a message wakes. It was written from the rules
// (docs/decision.md) and the contract alone, shares no code with the engine,
// and is there for tests: whatever the engine answers must be what this answers.
//
// A User is told all that happens to him, in order. Nothing here is fast, has a
// bound or is kept.
package oracle

import (
	"cmp"
	"slices"
	"time"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

// App is what holds for all users.
type App struct {
	Settings    *rousev1.AppSettings
	Credentials map[string]Credential
	// Live tells whether the run of an IM node holds its lease.
	Live func(node string, incarnation uint64) bool
}

// Credential that bindings name.
type Credential struct {
	VoIP, Disabled, Banned, Invalid bool
	// MarketingCap bounds the marketing pushes of a day in Zone to one binding; 0 = no bound.
	MarketingCap int
	Zone         *time.Location
}

// User and all that is known of him. Known is false until a first device,
// policy, setting or ban.
type User struct {
	ID            string
	App           *App
	Known, Banned bool
	Devices       []*Device // in order of appearance
	Policy        *rousev1.DevicePolicy
	Settings      *rousev1.UserSettings // nil = none
	Conversations map[Conversation]Wish
	Decided       map[string]*Message
}

// Conversation names one.
type Conversation struct {
	Type rousev1.ConversationType
	ID   string
}

// Wish of a user for a conversation.
type Wish struct {
	Mode       rousev1.NotifyMode
	QuietUntil time.Time
}

// Device of a user.
type Device struct {
	ID            string
	Platform      rousev1.Platform
	Zone          string
	State         rousev1.SessionState
	Node          string
	Incarnation   uint64
	Session, Step uint64
	Seen          time.Time // last event or bind
	Base          int
	// Unfetched are the messages that the device counts.
	Unfetched []string
	Bindings  []*Binding // newest first
}

// Binding of a token.
type Binding struct {
	Notifier, Token string
	Marketing       map[string]int    // pushes by date
	taken           map[string]string // date by message
}

// Message that was decided.
type Message struct {
	At      time.Time
	Version uint32 // of the last change
}

// Verdict on a device, or on one of its bindings.
type Verdict struct {
	Device, Notifier string // empty = none
	Reason           rousev1.Reason
	Badge            int // -1 = none, or not pushed
	Due              time.Time
	Expires          time.Time
}

const (
	queued  = rousev1.Reason_REASON_QUEUED
	delayed = rousev1.Reason_REASON_DELAYED
	pass    = rousev1.Reason_REASON_UNSPECIFIED

	maxBadge = 9999
	day      = 24 * time.Hour

	connected    = rousev1.SessionState_SESSION_STATE_CONNECTED
	background   = rousev1.SessionState_SESSION_STATE_BACKGROUND
	disconnected = rousev1.SessionState_SESSION_STATE_DISCONNECTED
	kicked       = rousev1.SessionState_SESSION_STATE_KICKED
	loggedOut    = rousev1.SessionState_SESSION_STATE_LOGGED_OUT

	direct = rousev1.ConversationType_CONVERSATION_TYPE_DIRECT
	group  = rousev1.ConversationType_CONVERSATION_TYPE_GROUP
)

// Message decides. stopped: the app's hook wants no push. A repeat has no verdicts.
func (u *User) Message(now time.Time, m *rousev1.MessageEvent, stopped bool) (verdicts []Verdict, repeat bool) {
	if u.Decided[m.GetMessageId()] != nil {
		return nil, true
	}
	if u.Known {
		u.Decided[m.GetMessageId()] = &Message{At: now}
	}
	gate := u.messageGate(now, m)
	silent := u.silent(now, m)
	if counts(gate) && !m.GetNoCount() && (silent == pass || !u.App.Settings.GetSkipSilentCount()) {
		for _, d := range u.Devices {
			if !u.online(d) {
				d.Unfetched = append(d.Unfetched, m.GetMessageId())
			}
		}
	}
	switch {
	case gate != pass:
	case !u.Known:
		gate = rousev1.Reason_REASON_NO_USER
	case u.Banned:
		gate = rousev1.Reason_REASON_USER_BANNED
	case m.GetIgnorePush():
		gate = rousev1.Reason_REASON_IGNORED_BY_SENDER
	case stopped:
		gate = rousev1.Reason_REASON_STOPPED_BY_HOOK
	}
	if len(u.Devices) == 0 {
		if gate == pass {
			gate = rousev1.Reason_REASON_NO_BINDING
		}
		return []Verdict{{Reason: gate, Badge: -1}}, false
	}
	for _, d := range u.Devices {
		verdicts = append(verdicts, u.device(now, m, d, gate, silent)...)
	}
	return verdicts, false
}

// messageGate looks at the message alone.
func (u *User) messageGate(now time.Time, m *rousev1.MessageEvent) rousev1.Reason {
	s := u.App.Settings
	limit := s.GetGroupLimit()
	if limit == 0 {
		limit = 3000
	}
	chat := m.GetKind() == rousev1.MessageKind_MESSAGE_KIND_UNSPECIFIED || m.GetKind() == rousev1.MessageKind_MESSAGE_KIND_CHAT
	switch {
	case m.GetConversationType() == rousev1.ConversationType_CONVERSATION_TYPE_ROOM:
		return rousev1.Reason_REASON_CHAT_ROOM
	case m.GetOnlineOnly():
		return rousev1.Reason_REASON_ONLINE_ONLY
	case m.GetSender() == u.ID:
		return rousev1.Reason_REASON_SENDER_DEVICE
	case !chat && !s.GetPushAllKinds():
		return rousev1.Reason_REASON_KIND_NOT_PUSHED
	case m.GetConversationType() == group && m.GetGroupSize() > limit:
		return rousev1.Reason_REASON_GROUP_TOO_LARGE
	case now.Sub(sentAt(now, m)) > day, !now.Before(u.expires(now, m)):
		return rousev1.Reason_REASON_MESSAGE_EXPIRED
	}
	return pass
}

// counts tells whether a message with this gate is kept offline for devices.
func counts(gate rousev1.Reason) bool {
	return gate == pass || gate == rousev1.Reason_REASON_GROUP_TOO_LARGE || gate == rousev1.Reason_REASON_MESSAGE_EXPIRED
}

func sentAt(now time.Time, m *rousev1.MessageEvent) time.Time {
	if m.GetSentAt() == nil {
		return now
	}
	return m.GetSentAt().AsTime()
}

func (u *User) expires(now time.Time, m *rousev1.MessageEvent) time.Time {
	ttl := day
	if u.App.Settings.GetDefaultTtl() != nil {
		ttl = u.App.Settings.GetDefaultTtl().AsDuration()
	}
	if m.GetTtl() != nil {
		ttl = m.GetTtl().AsDuration()
	}
	return sentAt(now, m).Add(ttl)
}

// online: the state says so and the IM node that reported it lives.
func (u *User) online(d *Device) bool {
	switch d.State {
	case connected:
	case background:
		if d.Platform == rousev1.Platform_PLATFORM_IOS && u.App.Settings.GetIosBackgroundIsOffline() {
			return false
		}
	default:
		return false
	}
	return d.Node == "" || u.App.Live(d.Node, d.Incarnation)
}

func (d *Device) desk() bool {
	return d.Platform == rousev1.Platform_PLATFORM_DESKTOP || d.Platform == rousev1.Platform_PLATFORM_WEB
}

// policy tells whether offline devices are stopped because another is online,
// or how long they wait.
func (u *User) policy() (stop bool, wait time.Duration) {
	p := u.App.Settings.GetDevicePolicy()
	if u.Policy.GetPolicy() != 0 {
		p = u.Policy
	}
	anyone, mobile := false, false
	for _, d := range u.Devices {
		if u.online(d) {
			anyone = true
			mobile = mobile || !d.desk()
		}
	}
	switch p.GetPolicy() {
	case rousev1.MultiDevicePolicy_MULTI_DEVICE_POLICY_ANY_OFFLINE:
		return false, 0
	case rousev1.MultiDevicePolicy_MULTI_DEVICE_POLICY_MOBILE_OFFLINE:
		return mobile, 0
	case rousev1.MultiDevicePolicy_MULTI_DEVICE_POLICY_AWAY_DELAY:
		if anyone && !mobile {
			wait = 30 * time.Second
			if p.GetAwayDelay() != nil {
				wait = p.GetAwayDelay().AsDuration()
			}
		}
		return mobile, wait
	}
	return anyone, 0
}

// device decides for one: presence, wishes, filter, binding, credential, cap, badge.
func (u *User) device(now time.Time, m *rousev1.MessageEvent, d *Device, gate, silent rousev1.Reason) []Verdict {
	stopped := func(r rousev1.Reason) []Verdict { return []Verdict{{Device: d.ID, Reason: r, Badge: -1}} }
	if gate != pass {
		return stopped(gate)
	}
	othersOnline, wait := u.policy()
	if r := u.presence(now, d, othersOnline); r != pass {
		return stopped(r)
	}
	if silent != pass {
		return stopped(silent)
	}
	f := m.GetFilter()
	if !accepted(d.ID, f.GetAcceptDeviceIds(), f.GetIgnoreDeviceIds()) {
		return stopped(rousev1.Reason_REASON_DEVICE_FILTERED)
	}
	var open []*Binding
	for _, b := range d.Bindings {
		if accepted(b.Notifier, f.GetAcceptNotifiers(), f.GetIgnoreNotifiers()) {
			open = append(open, b)
		}
	}
	if len(open) == 0 {
		return stopped(rousev1.Reason_REASON_DEVICE_FILTERED)
	}
	fit := u.fitting(open, m)
	if len(fit) == 0 {
		return stopped(rousev1.Reason_REASON_NO_BINDING)
	}
	if !u.App.Settings.GetPushAllBindings() {
		fit = fit[:1]
	}
	// A binding that cannot be used speaks for the device only if none can.
	var vs []Verdict
	var why rousev1.Reason
	for _, b := range fit {
		r := u.usable(b)
		if r == pass {
			r = u.takeMarketing(now, m, b)
		}
		if r != pass {
			why = cmp.Or(why, r)
			continue
		}
		v := Verdict{Device: d.ID, Notifier: b.Notifier, Reason: queued, Badge: u.badge(m, d), Expires: u.expires(now, m)}
		if wait > 0 {
			v.Reason, v.Due = delayed, now.Add(wait)
		}
		vs = append(vs, v)
	}
	if len(vs) == 0 {
		return stopped(why)
	}
	return vs
}

func (u *User) presence(now time.Time, d *Device, othersOnline bool) rousev1.Reason {
	stale := 30 * day
	if s := u.App.Settings.GetStaleAfter(); s != nil {
		stale = s.AsDuration()
	}
	switch {
	case u.online(d):
		return rousev1.Reason_REASON_DEVICE_ONLINE
	case d.State == kicked:
		return rousev1.Reason_REASON_KICKED
	case d.State == loggedOut && len(d.Bindings) == 0:
		return rousev1.Reason_REASON_LOGGED_OUT
	case len(d.Bindings) == 0:
		return rousev1.Reason_REASON_NO_BINDING
	case d.State != connected && d.State != background && now.Sub(d.Seen) > stale:
		return rousev1.Reason_REASON_STALE_DEVICE
	case othersOnline:
		return rousev1.Reason_REASON_USER_ONLINE
	}
	return pass
}

func accepted(name string, accept, ignore []string) bool {
	return (len(accept) == 0 || slices.Contains(accept, name)) && !slices.Contains(ignore, name)
}

// fitting bindings for a message, newest first, and usable ones before others:
// for a call those of VoIP, if there are any; else those for alerts.
func (u *User) fitting(open []*Binding, m *rousev1.MessageEvent) []*Binding {
	var voip, alert []*Binding
	for _, b := range open {
		if u.App.Credentials[b.Notifier].VoIP {
			voip = append(voip, b)
		} else {
			alert = append(alert, b)
		}
	}
	fit := alert
	if m.GetClass() == rousev1.MessageClass_MESSAGE_CLASS_CALL && len(voip) > 0 {
		fit = voip
	}
	slices.SortStableFunc(fit, func(a, b *Binding) int {
		return min(1, int(u.usable(a))) - min(1, int(u.usable(b)))
	})
	return fit
}

func (u *User) usable(b *Binding) rousev1.Reason {
	c, ok := u.App.Credentials[b.Notifier]
	switch {
	case !ok:
		return rousev1.Reason_REASON_NO_NOTIFIER
	case c.Invalid:
		return rousev1.Reason_REASON_INVALID_NOTIFIER
	case c.Banned:
		return rousev1.Reason_REASON_NOTIFIER_BANNED
	case c.Disabled:
		return rousev1.Reason_REASON_NOTIFIER_DISABLED
	}
	return pass
}

func (u *User) takeMarketing(now time.Time, m *rousev1.MessageEvent, b *Binding) rousev1.Reason {
	c := u.App.Credentials[b.Notifier]
	if m.GetClass() != rousev1.MessageClass_MESSAGE_CLASS_MARKETING || c.MarketingCap == 0 {
		return pass
	}
	date := u.date(now, b)
	if b.Marketing[date] >= c.MarketingCap {
		return rousev1.Reason_REASON_DEVICE_CAP
	}
	b.Marketing[date]++
	b.taken[m.GetMessageId()] = date
	return pass
}

// date at the vendor.
func (u *User) date(now time.Time, b *Binding) string {
	return now.In(u.App.Credentials[b.Notifier].Zone).Format(time.DateOnly)
}

func (u *User) badge(m *rousev1.MessageEvent, d *Device) int {
	if m.Badge != nil {
		return int(m.GetBadge())
	}
	switch u.App.Settings.GetBadgeMode() {
	case rousev1.BadgeMode_BADGE_MODE_NONE:
		return -1
	case rousev1.BadgeMode_BADGE_MODE_BASE_PLUS:
		return min(d.Base+len(d.Unfetched), maxBadge)
	}
	return min(len(d.Unfetched), maxBadge)
}
