package demo

import (
	"encoding/json"
	"fmt"
	"io"
)

// Line is one thing that happens in the day. Do says what; which other fields
// count depends on it.
type Line struct {
	Do Deed `json:"do"`
	// Node is the IM node that reports it, or that dies or comes up.
	Node string `json:"node,omitempty"`

	User   string `json:"user,omitempty"`
	Device string `json:"device,omitempty"`

	// Presence; State is a word like "connected".
	State    string `json:"state,omitempty"`
	Platform string `json:"platform,omitempty"`
	Brand    string `json:"brand,omitempty"`
	Session  uint64 `json:"session,omitempty"`
	Step     uint64 `json:"step,omitempty"`
	Unbind   bool   `json:"unbind,omitempty"`

	// Bind and Unbind; Token also names the one that dies.
	Notifier string `json:"notifier,omitempty"`
	Token    string `json:"token,omitempty"`

	// Group and Message: a group has members, a message goes to a group or to users.
	ID       string   `json:"id,omitempty"`
	Members  []string `json:"members,omitempty"`
	From     string   `json:"from,omitempty"`
	Group    string   `json:"group,omitempty"`
	To       []string `json:"to,omitempty"`
	Text     string   `json:"text,omitempty"`
	Kind     string   `json:"kind,omitempty"`    // "typing"
	Class    string   `json:"class,omitempty"`   // "call"
	TTL      int      `json:"ttl,omitempty"`     // seconds; 0 = the app's
	Ignore   bool     `json:"ignore,omitempty"`  // not pushed, but counted
	NoCount  bool     `json:"nocount,omitempty"` // pushed, but not counted
	Collapse string   `json:"collapse,omitempty"`
	Mentions []string `json:"mentions,omitempty"` // "all" = everybody
	Force    bool     `json:"force,omitempty"`    // heeds no wish of the recipients
	Template string   `json:"template,omitempty"` // its arguments are Args
	Args     []string `json:"args,omitempty"`
	Ext      string   `json:"ext,omitempty"` // message extension, JSON

	// Read.
	Messages []string `json:"messages,omitempty"`

	// Wish of a user, for Group if one is named: a mode like "mention-only";
	// Quiet in seconds from now, or AllDay, in which mentions may pass.
	Mode   string `json:"mode,omitempty"`
	Quiet  int    `json:"quiet,omitempty"`
	AllDay bool   `json:"all_day,omitempty"`
	Pass   bool   `json:"pass,omitempty"`

	// Policy of a user, a word like "away-delay"; Delay in seconds.
	Policy string `json:"policy,omitempty"`
	Delay  int    `json:"delay,omitempty"`

	// Fault of a vendor ("apns") on the next Times pushes; 0 = until Heal. Vendor
	// is also the one that forgets a token.
	Vendor     string `json:"vendor,omitempty"`
	Fault      string `json:"fault,omitempty"`
	Times      int    `json:"times,omitempty"`
	RetryAfter int    `json:"retry_after,omitempty"` // seconds
}

// Deed is what happens in a line.
type Deed string

// Deeds. Those marked * wait until everything before them has been answered.
const (
	Presence Deed = "presence"
	Bind     Deed = "bind"
	Unbind   Deed = "unbind"
	Message  Deed = "message"
	Fetched  Deed = "fetched"
	Read     Deed = "read"
	Recall   Deed = "recall" // of message ID; Text is what it says now, empty = it is withdrawn
	Policy   Deed = "policy"
	Wish     Deed = "wish"
	Tap      Deed = "tap"   // the newest push to a token of the vendor is tapped
	Group    Deed = "group" // names members for later messages
	Fault    Deed = "fault" // * the vendor begins to fail
	Heal     Deed = "heal"  // * the vendor's failures end
	Dead     Deed = "dead"  // * the vendor forgets a token
	Crash    Deed = "crash" // * the IM node dies; goes on once its lease has ended: User is offline then
	Up       Deed = "up"    // * the IM node starts
)

// parse reads a day: one JSON object a line.
func parse(r io.Reader) ([]Line, error) {
	d := json.NewDecoder(r)
	d.DisallowUnknownFields()
	var lines []Line
	for {
		var l Line
		err := d.Decode(&l)
		if err == io.EOF {
			return lines, nil
		}
		if err != nil {
			return nil, fmt.Errorf("line %d of the day: %w", len(lines)+1, err)
		}
		lines = append(lines, l)
	}
}

// resolve gives the messages of groups their recipients.
func resolve(lines []Line) {
	groups := map[string][]string{}
	for i := range lines {
		switch l := &lines[i]; {
		case l.Do == Group:
			groups[l.ID] = l.Members
		case (l.Do == Message || l.Do == Recall) && l.Group != "":
			l.To = groups[l.Group]
		}
	}
}

// users that a line is about, in whose order it must stay.
func (l *Line) users() []string {
	switch l.Do {
	case Message, Recall:
		return l.To
	case Presence, Bind, Unbind, Fetched, Read, Policy, Wish:
		return []string{l.User}
	}
	return nil
}

// alone says that a line waits for all lines before it.
func (l *Line) alone() bool {
	switch l.Do {
	case Fault, Heal, Dead, Crash, Up:
		return true
	}
	return false
}
