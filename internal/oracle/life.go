package oracle

import (
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

// NewUser of whom nothing is known.
func NewUser(id string, app *App) *User {
	return &User{ID: id, App: app, Conversations: map[Conversation]Wish{}, Decided: map[string]*Message{}}
}

// Device of an id; nil = there is none.
func (u *User) Device(id string) *Device {
	for _, d := range u.Devices {
		if d.ID == id {
			return d
		}
	}
	return nil
}

func (u *User) seen(now time.Time, id string, info *rousev1.DeviceInfo) *Device {
	d := u.Device(id)
	if d == nil {
		d = &Device{ID: id}
		u.Devices = append(u.Devices, d)
		u.Known = true
	}
	d.Seen = now
	if info.GetPlatform() != 0 {
		d.Platform = info.GetPlatform()
	}
	if info.GetTimeZone() != "" {
		d.Zone = info.GetTimeZone()
	}
	return d
}

// Presence of a device, reported by a run of an IM node; an empty name = none named.
func (u *User) Presence(now time.Time, e *rousev1.PresenceEvent, node string, incarnation uint64) rousev1.ItemStatus {
	newSession, before := true, false
	if d := u.Device(e.GetDeviceId()); d != nil {
		switch {
		case e.GetSession() == d.Session && e.GetStep() == d.Step:
			return rousev1.ItemStatus_ITEM_STATUS_DUPLICATE
		case e.GetSession() < d.Session, e.GetSession() == d.Session && e.GetStep() < d.Step:
			return rousev1.ItemStatus_ITEM_STATUS_STALE
		}
		newSession, before = e.GetSession() > d.Session, u.online(d)
	}
	if u.Device(e.GetDeviceId()) == nil && e.GetState() == loggedOut && e.GetUnbind() {
		return rousev1.ItemStatus_ITEM_STATUS_ACCEPTED // nothing is kept of whom nothing is known
	}
	d := u.seen(now, e.GetDeviceId(), e.GetDevice())
	d.Session, d.Step = e.GetSession(), e.GetStep()
	d.Node, d.Incarnation = node, incarnation
	// Who was forced off or logged out does not come back by losing his connection.
	down := e.GetState() != connected && e.GetState() != background
	switch {
	case down && d.State == kicked && !newSession:
	case e.GetState() == disconnected && d.State == loggedOut && !newSession:
	default:
		d.State = e.GetState()
	}
	if !down && (newSession || !before) && !u.App.Settings.GetResetCountOnFetchOnly() {
		d.Unfetched = nil
	}
	if e.BadgeBase != nil {
		d.Base = int(e.GetBadgeBase())
	}
	if e.GetState() == loggedOut && e.GetUnbind() {
		d.Bindings = nil
	}
	return rousev1.ItemStatus_ITEM_STATUS_ACCEPTED
}

// Bind a token, or remove a binding if it is empty, or all if the notifier is too.
func (u *User) Bind(now time.Time, device, notifier, token string, info *rousev1.DeviceInfo) {
	if token == "" {
		u.Unbind(device, notifier)
		return
	}
	d := u.seen(now, device, info)
	b := &Binding{Notifier: notifier, Token: token, Marketing: map[string]int{}, taken: map[string]string{}}
	for _, other := range u.Devices {
		other.Bindings = slices.DeleteFunc(other.Bindings, func(x *Binding) bool {
			if other == d && x.Notifier == notifier {
				b.Marketing, b.taken = x.Marketing, x.taken // the vendor knows the device by more than its token
				return true
			}
			return x.Notifier == notifier && x.Token == token
		})
	}
	d.Bindings = append([]*Binding{b}, d.Bindings...)
}

// Unbind one binding, or all of a device if the notifier is empty.
func (u *User) Unbind(device, notifier string) {
	if d := u.Device(device); d != nil {
		d.Bindings = slices.DeleteFunc(d.Bindings, func(x *Binding) bool { return notifier == "" || x.Notifier == notifier })
	}
}

// Fetched: the device has all its messages.
func (u *User) Fetched(device string) {
	if d := u.Device(device); d != nil {
		d.Unfetched = nil
	}
}

// Read takes messages out of all counts.
func (u *User) Read(messages ...string) {
	for _, d := range u.Devices {
		d.Unfetched = slices.DeleteFunc(d.Unfetched, func(id string) bool { return slices.Contains(messages, id) })
	}
}

// Recall or edit a message; only the highest version counts. One that is recalled
// before it comes is decided by that: it is a repeat when it comes.
func (u *User) Recall(id string, version uint32, edited bool) {
	m := u.Decided[id]
	version = max(1, version)
	if m == nil && !edited && u.Known {
		u.Decided[id] = &Message{Version: version}
		return
	}
	if m == nil || version <= m.Version {
		return
	}
	m.Version = version
	if !edited {
		u.Read(id)
	}
}

// Ended moves what a marketing push took of a device's day to the day on which
// the vendor took it, or gives it back if it did not.
func (u *User) Ended(now time.Time, message, device, notifier string, taken bool) {
	d := u.Device(device)
	if d == nil {
		return
	}
	for _, b := range d.Bindings {
		if date := b.taken[message]; b.Notifier == notifier && date != "" {
			b.Marketing[date]--
			delete(b.taken, message)
			if taken {
				b.Marketing[u.date(now, b)]++
			}
		}
	}
}

// Set replaces the settings that hold for all conversations. Settings that say
// nothing do not make a user.
func (u *User) Set(s *rousev1.UserSettings) {
	u.Settings, u.Known = s, u.Known || proto.Size(s) > 0
}

// SetWish for one conversation.
func (u *User) SetWish(c Conversation, w Wish) {
	u.Conversations[c], u.Known = w, u.Known || w != Wish{}
}

// Ban keeps the user from being woken, or lifts that.
func (u *User) Ban(banned bool) { u.Banned, u.Known = banned, u.Known || banned }

// SetPolicy overrides the app's.
func (u *User) SetPolicy(p *rousev1.DevicePolicy) {
	u.Policy, u.Known = p, u.Known || p.GetPolicy() != 0
}

// Count of messages that a device has not fetched.
func (d *Device) Count() int { return min(len(d.Unfetched), maxBadge) }
