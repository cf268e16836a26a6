package simulations

import (
	"fmt"
	"time"
)

// Offset is a time since the start of the scenario, in milliseconds.
type Offset int64

// At makes an offset of a duration; what is finer than a millisecond is cut off.
func At(d time.Duration) Offset { return Offset(d / time.Millisecond) }

// Duration since the start.
func (o Offset) Duration() time.Duration { return time.Duration(o) * time.Millisecond }

// String shows days and the time of day, like "1d 07:30:00.250".
func (o Offset) String() string {
	d := o.Duration()
	clock := fmt.Sprintf("%02d:%02d:%02d.%03d", int(d.Hours())%24, int(d.Minutes())%60, int(d.Seconds())%60, d.Milliseconds()%1000)
	if days := int(d.Hours()) / 24; days > 0 {
		return fmt.Sprintf("%dd %s", days, clock)
	}
	return clock
}

// Kind of an event: what happens.
type Kind string

// Kinds of events.
const (
	Presence Kind = "presence" // a session changes
	Bind     Kind = "bind"     // an app registers its token
	Unbind   Kind = "unbind"   // an app takes its token back
	Dead     Kind = "dead"     // the vendor forgets a token
	Message  Kind = "message"  // to at most MaxRecipients users
	Read     Kind = "read"
	Fetched  Kind = "fetched"
	Recall   Kind = "recall" // Text is what the message says now; empty = it is withdrawn
	Settings Kind = "settings"
	Policy   Kind = "policy"
	Erase    Kind = "erase"   // a user is forgotten; the phones do not hear of it
	IMUp     Kind = "im-up"   // an IM node starts
	IMDown   Kind = "im-down" // an IM node dies: its sessions end without a word
)

// Kinds lists all of them.
var Kinds = []Kind{Presence, Bind, Unbind, Dead, Message, Read, Fetched, Recall, Settings, Policy, Erase, IMUp, IMDown}

// MaxRecipients of one event, as the contract says; messages to more users are
// several events with one id.
const MaxRecipients = 1024

// State of a session, as the contract calls it.
type State string

// States of a session.
const (
	Connected    State = "connected"
	Background   State = "background"
	Disconnected State = "disconnected"
	Kicked       State = "kicked"
	LoggedOut    State = "logged-out"
)

// Event is one thing that truly happens; which fields count depends on Kind.
type Event struct {
	// N numbers the events of a run from 1 on, in the order of At.
	N    uint64 `json:"n"`
	At   Offset `json:"at"`
	Kind Kind   `json:"kind"`
	// Why it happened, a word for people: "open", "os-kill", "flight".
	Why string `json:"why,omitempty"`

	// Node is the IM node that has to report the event, or that starts or dies.
	Node string `json:"node,omitempty"`
	// Incarnation of the IM node; >= 1.
	Incarnation uint64 `json:"inc,omitempty"`

	User   string `json:"user,omitempty"`
	Device string `json:"device,omitempty"`

	State   State  `json:"state,omitempty"`
	Session uint64 `json:"session,omitempty"`
	Step    uint64 `json:"step,omitempty"`
	Unbind  bool   `json:"unbind,omitempty"`

	// Platform ("ios", "android", "harmony", "desktop", "web"), Brand and Zone of
	// the device, with presence and bind.
	Platform string `json:"platform,omitempty"`
	Brand    string `json:"brand,omitempty"`
	Zone     string `json:"zone,omitempty"`

	// Notifier is the credential that the token is bound to. Vendor forgets it.
	Notifier string `json:"notifier,omitempty"`
	Vendor   string `json:"vendor,omitempty"`
	Token    string `json:"token,omitempty"`

	// Message and recall. Group is empty for direct messages.
	Message    string   `json:"message,omitempty"`
	From       string   `json:"from,omitempty"`
	Group      string   `json:"group,omitempty"`
	GroupSize  uint32   `json:"size,omitempty"`
	To         []string `json:"to,omitempty"`
	Mentions   []string `json:"mentions,omitempty"`
	MentionAll bool     `json:"all,omitempty"`
	Call       bool     `json:"call,omitempty"`
	TTL        uint32   `json:"ttl,omitempty"`      // seconds; 0 = the app's
	Collapse   string   `json:"collapse,omitempty"` // a later message with the same word takes its place
	Text       string   `json:"text,omitempty"`
	Version    uint32   `json:"version,omitempty"`

	// Messages that were read.
	Messages []string `json:"messages,omitempty"`

	// Settings of the user, or for Group if one is named.
	Wish *Wish `json:"wish,omitempty"`
	// Policy word: "all-offline", "any-offline", "mobile-offline", "away-delay".
	Policy string `json:"policy,omitempty"`
}

// Wish is what a user asks for. Zero fields are not set.
type Wish struct {
	// Mode: "all", "mention-only", "none".
	Mode string `json:"mode,omitempty"`
	// QuietStart and QuietEnd are minutes of the day; equal = no window.
	QuietStart   uint32 `json:"quiet_start,omitempty"`
	QuietEnd     uint32 `json:"quiet_end,omitempty"`
	MentionsPass bool   `json:"mentions_pass,omitempty"`
	// QuietFor is a duration from now on, in seconds.
	QuietFor uint32 `json:"quiet_for,omitempty"`
}

// Users that the event is about; the engine must keep each one's order.
func (e *Event) Users() []string {
	switch e.Kind {
	case Message, Recall:
		return e.To
	case Presence, Bind, Unbind, Read, Fetched, Settings, Policy, Erase:
		return []string{e.User}
	}
	return nil
}
