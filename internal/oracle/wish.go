package oracle

import (
	"cmp"
	"slices"
	"sync"
	"time"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

// silent says which wish keeps a message silent, or pass.
func (u *User) silent(now time.Time, m *rousev1.MessageEvent) rousev1.Reason {
	if !m.GetForcePush() {
		if r := u.quiet(now, m); r != pass {
			return r
		}
	}
	if m.GetForcePush() && u.App.Settings.GetForceScope() != rousev1.ForceScope_FORCE_SCOPE_QUIET {
		return pass
	}
	return u.modeStops(m)
}

func (u *User) quiet(now time.Time, m *rousev1.MessageEvent) rousev1.Reason {
	if u.App.Settings.GetAdvancedOff() {
		return pass
	}
	mentioned := m.GetMentionAll() || slices.Contains(m.GetMentions(), u.ID)
	wall := now.In(u.zone())
	for _, w := range u.Settings.GetWindows() {
		if inWindow(wall, w) && !(w.GetMentionsPass() && mentioned) {
			return rousev1.Reason_REASON_QUIET_WINDOW
		}
	}
	if until := u.Settings.GetQuietUntil(); until != nil && now.Before(until.AsTime()) {
		return rousev1.Reason_REASON_QUIET_DURATION
	}
	if now.Before(u.wish(m).QuietUntil) {
		return rousev1.Reason_REASON_QUIET_CONVERSATION
	}
	return pass
}

// inWindow goes by what the clock on the wall shows.
func inWindow(wall time.Time, w *rousev1.QuietWindow) bool {
	minute := uint32(wall.Hour()*60 + wall.Minute())
	today := isoWeekday(wall.Weekday())
	yesterday := isoWeekday((wall.Weekday() + 6) % 7)
	on := func(day uint32) bool { return len(w.GetWeekdays()) == 0 || slices.Contains(w.GetWeekdays(), day) }
	if w.GetStartMinute() < w.GetEndMinute() {
		return on(today) && minute >= w.GetStartMinute() && minute < w.GetEndMinute()
	}
	return on(today) && minute >= w.GetStartMinute() || on(yesterday) && minute < w.GetEndMinute()
}

// isoWeekday: 1 = Monday to 7 = Sunday.
func isoWeekday(d time.Weekday) uint32 {
	if d == time.Sunday {
		return 7
	}
	return uint32(d)
}

// zone of the user: his own, else that of the device last seen, else the app's,
// else UTC. Names without a zone fall through. Of devices seen in the same second,
// which is all that is kept, the one that he has had for longer counts.
func (u *User) zone() *time.Location {
	names := []string{u.Settings.GetTimeZone()}
	devices := slices.Clone(u.Devices)
	slices.SortStableFunc(devices, func(a, b *Device) int { return cmp.Compare(b.Seen.Unix(), a.Seen.Unix()) })
	for _, d := range devices {
		names = append(names, d.Zone)
	}
	names = append(names, u.App.Settings.GetTimeZone(), "UTC")
	for _, n := range names {
		if n == "" {
			continue
		}
		if z := location(n); z != nil {
			return z
		}
	}
	return time.UTC
}

// locations keeps what was looked up: each look reads a file.
var locations sync.Map

func location(name string) *time.Location {
	if z, ok := locations.Load(name); ok {
		return z.(*time.Location)
	}
	z, err := time.LoadLocation(name)
	if err != nil {
		z = nil
	}
	locations.Store(name, z)
	return z
}

// wish of the user for the conversation of a message. The peer of a direct
// conversation is, for its recipient, the sender.
func (u *User) wish(m *rousev1.MessageEvent) Wish {
	id := m.GetConversationId()
	if m.GetConversationType() == direct && (id == "" || id == u.ID) {
		id = m.GetSender()
	}
	return u.Conversations[Conversation{m.GetConversationType(), id}]
}

// mode is the first that is set, from the narrowest level to the widest.
func (u *User) mode(m *rousev1.MessageEvent) rousev1.NotifyMode {
	own, wish := u.Settings, u.wish(m)
	if u.App.Settings.GetAdvancedOff() {
		own, wish = nil, Wish{}
	}
	levels := []rousev1.NotifyMode{wish.Mode}
	switch m.GetConversationType() {
	case direct:
		levels = append(levels, own.GetDirectMode())
	case group:
		levels = append(levels, own.GetGroupMode(), m.GetGroupMode(), u.App.Settings.GetGroupDefaultMode())
	}
	levels = append(levels, own.GetMode())
	for _, l := range levels {
		if l != rousev1.NotifyMode_NOTIFY_MODE_UNSPECIFIED {
			return l
		}
	}
	return rousev1.NotifyMode_NOTIFY_MODE_ALL
}

func (u *User) modeStops(m *rousev1.MessageEvent) rousev1.Reason {
	me, all := slices.Contains(m.GetMentions(), u.ID), m.GetMentionAll()
	isDirect := m.GetConversationType() == direct
	unless := func(ok bool, r rousev1.Reason) rousev1.Reason {
		if ok {
			return pass
		}
		return r
	}
	switch u.mode(m) {
	case rousev1.NotifyMode_NOTIFY_MODE_NONE:
		return rousev1.Reason_REASON_MODE_NONE
	case rousev1.NotifyMode_NOTIFY_MODE_MENTION_ONLY:
		return unless(me || all || isDirect && u.App.Settings.GetDirectIsMention(), rousev1.Reason_REASON_MODE_MENTION)
	case rousev1.NotifyMode_NOTIFY_MODE_MENTION_ME_ONLY:
		return unless(me, rousev1.Reason_REASON_MODE_MENTION)
	case rousev1.NotifyMode_NOTIFY_MODE_MENTION_ALL_ONLY:
		return unless(all, rousev1.Reason_REASON_MODE_MENTION)
	case rousev1.NotifyMode_NOTIFY_MODE_MANAGERS_ONLY:
		return unless(m.GetSenderIsManager() && m.GetConversationType() == group, rousev1.Reason_REASON_MODE_MANAGERS)
	}
	return pass
}
