package demo

import (
	"fmt"
	"slices"
	"strings"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

// Breach is a promise that was not kept.
type Breach string

// Breaches.
const (
	Missing  Breach = "missing"   // a message has no outcome for a device
	Pending  Breach = "pending"   // an outcome has not ended
	Unseen   Breach = "unseen"    // accepted, but no vendor saw the push
	Unknown  Breach = "unknown"   // a vendor saw a push that no outcome knows
	SameID   Breach = "same-id"   // two outcomes have one push id
	Astray   Breach = "astray"    // the push was for another token, or of another message, than the outcome says
	Doubled  Breach = "doubled"   // a device got one message under two push ids
	BadBadge Breach = "bad-badge" // the push showed another number than the outcome says
	// Miscounted: the number is not that of the messages that the device had not fetched.
	Miscounted Breach = "miscounted"
	Unreported Breach = "unreported" // the vendor reported the push, but its outcome does not say so
)

// Finding is one breach, and where.
type Finding struct {
	Breach Breach
	// Where names user, device, message and push id, as far as they are known.
	Where string
}

// verify checks every message for every recipient against what the engine says
// became of it, and that against what the vendors saw. All protocols carry the
// push id, most of them in a field of their own, Xiaomi and Meizu in the data
// (key "rouse_push_id"); the demo's credentials do not coalesce pushes, which
// then would share an id. Badges are checked at the vendors that set the number.
func verify(lines []Line, p *played) (found []Finding) {
	add := func(b Breach, format string, args ...any) {
		found = append(found, Finding{b, fmt.Sprintf(format, args...)})
	}
	bound := bindings(lines)
	due := receiptsDue{seen: p.seen, held: held(lines)}
	has, numbers := map[wanted]bool{}, badges(lines, p.verdicts)
	known := map[string]bool{}
	for user, list := range p.outcomes {
		for _, o := range list {
			of := wanted{user, o.GetDeviceId(), o.GetMessageId()}
			has[of] = true
			if number, ok := numbers[of]; ok && o.Badge != nil && int(o.GetBadge()) != number {
				add(Miscounted, "user %s, device %s, message %s: %d, want %d", user, o.GetDeviceId(), o.GetMessageId(), o.GetBadge(), number)
			}
			if o.GetPushId() != "" && known[o.GetPushId()] {
				add(SameID, "user %s, device %s, message %s, push %s", user, o.GetDeviceId(), o.GetMessageId(), o.GetPushId())
			}
			known[o.GetPushId()] = true
			if due.missing(o) {
				add(Unreported, "user %s, device %s, message %s, push %s", user, o.GetDeviceId(), o.GetMessageId(), o.GetPushId())
			}
			s := p.seen.pushes[o.GetPushId()]
			if s != nil && (s.Message != origin(o) || !bound[binding{user, o.GetDeviceId(), o.GetNotifier(), s.Token}]) {
				add(Astray, "user %s, device %s, message %s, push %s", user, o.GetDeviceId(), o.GetMessageId(), o.GetPushId())
			}
			if b := p.check(o); b != "" {
				add(b, "user %s, device %s, message %s, push %s", user, o.GetDeviceId(), o.GetMessageId(), o.GetPushId())
			}
		}
	}
	for _, w := range want(lines) {
		if !has[w] {
			add(Missing, "user %s, device %q, message %s", w.user, w.device, w.message)
		}
	}
	for id, s := range p.seen.pushes {
		if !known[id] {
			add(Unknown, "token %s, message %s, push %s", s.Token, s.Message, id)
		}
	}
	if n := p.doubled(); n > 0 {
		add(Doubled, "%d", n)
	}
	return found
}

// own parts the ids of the engine's own pushes: what a recall or an edit shows
// begins with the message's id, a badge that falls belongs to none.
const own = "#"

// origin is the sender's id of the message of an outcome, as its push says.
func origin(o *rousev1.Outcome) string {
	id, mark, found := strings.Cut(o.GetMessageId(), own)
	if found && !strings.HasPrefix(mark, "r") && !strings.HasPrefix(mark, "e") {
		return ""
	}
	return id
}

// binding is a token that a device had at some time of the day.
type binding struct{ user, device, notifier, token string }

func bindings(lines []Line) map[binding]bool {
	all := map[binding]bool{}
	for i := range lines {
		if l := &lines[i]; l.Do == Bind {
			all[binding{l.User, l.Device, l.Notifier, l.Token}] = true
		}
	}
	return all
}

// wanted is an outcome that there must be; device is empty for a user who has none.
type wanted struct{ user, device, message string }

// want follows the day: a message has an outcome for each device that its
// recipient had used before. The replay keeps the order of each user's lines.
func want(lines []Line) (all []wanted) {
	devices := map[string][]string{}
	sent := map[string]bool{}
	for i := range lines {
		l := &lines[i]
		switch l.Do {
		case Presence, Bind:
			if !slices.Contains(devices[l.User], l.Device) {
				devices[l.User] = append(devices[l.User], l.Device)
			}
		case Message:
			if sent[l.ID] {
				continue
			}
			sent[l.ID] = true
			for _, u := range l.To {
				if len(devices[u]) == 0 {
					all = append(all, wanted{user: u, message: l.ID})
				}
				for _, d := range devices[u] {
					all = append(all, wanted{u, d, l.ID})
				}
			}
		}
	}
	return all
}

// check holds one outcome against what the vendors saw; empty = all is well.
func (p *played) check(o *rousev1.Outcome) Breach {
	s := p.seen.pushes[o.GetPushId()]
	switch {
	case pending(o):
		return Pending
	case o.GetStatus() == rousev1.OutcomeStatus_OUTCOME_STATUS_ACCEPTED && s == nil:
		return Unseen
	case s == nil:
		return ""
	}
	badge := noBadge
	if o.Badge != nil {
		badge = int(o.GetBadge())
	}
	if number, ok := shown(s.Vendor, badge); ok && number != s.Badge {
		return BadBadge
	}
	return ""
}
