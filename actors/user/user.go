// Package user decides, for one user, whether and where an offline message
// becomes a push, and keeps the devices, tokens, sessions and badge counts
// that this needs.
//
// The core is pure: Decide takes a command and an Env (the clock among it) and
// answers with events and effects; events are applied to the State. Nothing in
// it does I/O or knows an actor. The shell, in actor.go, loads and saves the
// record, hands mutations to the shard for the commit, and effects with them:
// no reply, push or claim leaves before the commit that it follows from.
package user

import (
	"time"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

// Bounds of one user.
const (
	MaxDevices  = 32
	MaxBindings = 8 // per device
	// MaxPending is how many messages may have pushes not ended; a further
	// message is refused as overloaded.
	MaxPending = 512
)

// Sum identifies a (notifier, token) pair without showing it: a keyed hash.
type Sum [16]byte

// State is what is kept for a user. Strings may alias the record that it was
// decoded from; the zero State is a user who was never heard of.
type State struct {
	// Known is false until the first device, policy or setting is stored.
	Known   bool
	Devices []Device
	Banned  bool
	Policy  Policy // overrides the app's when its Kind is set
	// Settings are the user's wishes; Conversations is how many conversations
	// have settings of their own, void ones among them.
	Settings      Settings
	Conversations uint32
	// Days are the last two unix days on which a message was decided, newest
	// first: the only ones in which a repeat can be found. 0 = none.
	Days [2]uint16
	// Ops are the numbers of commands that were carried out, oldest first, 8 bytes
	// each; OpsAt is when the newest was (unix s).
	Ops   string
	OpsAt int64

	// Pending are the messages with pushes that have not ended, oldest first.
	// They are kept in the outbox, not in the record.
	Pending []*Pending
}

// Device of a user, in order of first appearance.
type Device struct {
	ID       string
	Info     Info
	State    rousev1.SessionState
	Node     string // IM node that owns the session; empty = none named, or no session is up
	Inc      uint64 // its incarnation
	Session  uint64
	Step     uint64
	LastSeen int64  // unix s of the last presence event or bind
	Count    uint32 // messages that the device has not fetched
	ResetAt  int64  // unix ms at which Count last fell to 0 because all was fetched
	Round    uint32 // how often it did; clocks of several nodes do not tell what was before
	Base     uint32 // what the app said it counts itself
	Bindings []Binding
}

// Info describes a device; empty = unknown.
type Info struct {
	Platform                            rousev1.Platform
	Brand, Package, Version, Lang, Zone string
}

// Binding of a token to a device.
type Binding struct {
	Notifier string
	Sealed   string // token, sealed
	Sum      Sum
	BoundAt  int64 // unix ms; the newest bind of a token owns it
	LastAt   int64 // unix ms of LastReason
	// LastReason is of the last push through it; 0 = none yet.
	LastReason rousev1.Reason
	// Marketing is kept where the notifier has a cap.
	Marketing Ledger
}

// Policy for several devices.
type Policy struct {
	Kind  rousev1.MultiDevicePolicy
	Delay time.Duration // of AWAY_DELAY
}

// Notifier is what a decision needs to know of a credential.
type Notifier struct {
	Vendor   string // as the contract names it, like "apns"
	VoIP     bool
	Disabled bool
	// Banned by an operator.
	Banned bool
	// Invalid: its key or certificate cannot be used.
	Invalid bool
	// Coalesce: its pushes name no receiver, so that a group's may share a call.
	Coalesce bool
	// MarketingCap bounds the marketing pushes of a day to one binding; 0 = no
	// bound. The day is that of Zone; nil = UTC.
	MarketingCap uint16
	Zone         *time.Location
}

// Env is the world at the time of a decision.
type Env struct {
	ID  string // app id
	Me  string // user id
	Now time.Time
	App *App
	// Live tells whether the run of an IM node holds its lease.
	Live func(node string, incarnation uint64) bool
	// Zone finds a time zone by its IANA name; nil = there is none.
	Zone func(name string) *time.Location
	// Trail keeps the steps of the decision; nil = they are not wanted.
	Trail *Trail
	// Room takes a place in the lane of a notifier; false = full. Places taken
	// by a decision that is then refused are given back by the shell.
	Room func(notifier string) bool
}

func (s *State) device(id string) *Device {
	for i := range s.Devices {
		if s.Devices[i].ID == id {
			return &s.Devices[i]
		}
	}
	return nil
}

func (d *Device) binding(notifier string) *Binding {
	for i := range d.Bindings {
		if d.Bindings[i].Notifier == notifier {
			return &d.Bindings[i]
		}
	}
	return nil
}

func (s *State) pending(message string) *Pending {
	for _, p := range s.Pending {
		if p.Message == message {
			return p
		}
	}
	return nil
}

// online says that the device's session is up as the policy sees it: its state
// says so and the IM node that owns it holds a live lease of the same run.
func (d *Device) online(e *Env) bool {
	switch d.State {
	case rousev1.SessionState_SESSION_STATE_CONNECTED:
	case rousev1.SessionState_SESSION_STATE_BACKGROUND:
		if e.App.IOSBackgroundOffline && d.Info.Platform == rousev1.Platform_PLATFORM_IOS {
			return false
		}
	default:
		return false
	}
	return e.Live(d.Node, d.Inc)
}

func (d *Device) up() bool {
	return d.State == rousev1.SessionState_SESSION_STATE_CONNECTED || d.State == rousev1.SessionState_SESSION_STATE_BACKGROUND
}

// stale: not connected for too long. A device whose IM node died was connected
// until then, however long ago its last event is.
func (d *Device) stale(e *Env) bool { return !d.up() && d.unseen(e) }

func (d *Device) unseen(e *Env) bool {
	return e.Now.Unix()-d.LastSeen > int64(e.App.StaleAfter/time.Second)
}

// mobile is true for all but desktop and web: what is not known may be a phone.
func (d *Device) mobile() bool {
	return d.Info.Platform != rousev1.Platform_PLATFORM_DESKTOP && d.Info.Platform != rousev1.Platform_PLATFORM_WEB
}
