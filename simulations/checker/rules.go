package checker

import (
	"slices"
	"time"

	"github.com/rouse-im/rouse/simulations"
)

// quiet is what a user asked for, from when on it surely holds.
type quietWish struct {
	*simulations.Wish
	sent, answered simulations.Offset
	event          uint64
}

// quietTimes computes windows for a third time: by the clock on the wall of the
// user's zone. Only wishes that surely held are looked at.
// After a clock jumped windows went by that one, of which outcomes do not tell.
func quietTimes(h *History, v *verdict) {
	wishes, zones, forgotten := map[string][]quietWish{}, map[string]map[string]bool{}, h.erasures()
	for e, a := range h.taken(simulations.Settings, simulations.Presence, simulations.Bind) {
		if e.Zone != "" {
			if zones[e.User] == nil {
				zones[e.User] = map[string]bool{}
			}
			zones[e.User][e.Zone] = true
		}
		if e.Wish != nil && e.Group == "" && !forgotten.maybe(e.User, a.Sent) {
			wishes[e.User] = append(wishes[e.User], quietWish{e.Wish, a.Sent, a.Answered, e.N})
		}
	}
	answered := map[uint64]simulations.Offset{}
	for _, a := range h.Acks {
		answered[a.Event] = a.Answered
	}
	for i := range h.Outcomes {
		o := &h.Outcomes[i]
		if o.PushID == "" || o.Status == "suppressed" || len(zones[o.User]) != 1 || !h.Dated(answered[o.Event]) {
			continue
		}
		w := holding(wishes[o.User], o.Decided)
		if w == nil || w.QuietStart == w.QuietEnd {
			continue
		}
		m := h.event[o.Event]
		if m == nil || w.MentionsPass && (m.MentionAll || slices.Contains(m.Mentions, o.User)) {
			continue
		}
		v.look()
		for zone := range zones[o.User] {
			if at, in := h.inWindow(o.Decided, zone, w.Wish); in {
				v.breach([]uint64{o.Event, w.event}, "message %s was pushed to user %s at %s of %s, who is quiet from minute %d to %d", o.Message, o.User, at.Format("15:04:05"), zone, w.QuietStart, w.QuietEnd)
			}
		}
	}
}

// holding is the wish that holds at a time, nil if that is not certain.
func holding(all []quietWish, at simulations.Offset) *quietWish {
	var last *quietWish
	for i := range all {
		switch w := &all[i]; {
		case w.answered < at:
			last = w
		case w.sent <= at:
			return nil
		}
	}
	return last
}

// inWindow tells what the clock on the wall shows, and whether that is quiet.
func (h *History) inWindow(at simulations.Offset, zone string, w *simulations.Wish) (time.Time, bool) {
	z, err := time.LoadLocation(zone)
	if err != nil || h.Limits.Start.IsZero() {
		return time.Time{}, false
	}
	wall := h.Limits.Start.Add(at.Duration()).In(z)
	minute := uint32(wall.Hour()*60 + wall.Minute())
	if w.QuietStart < w.QuietEnd {
		return wall, minute >= w.QuietStart && minute < w.QuietEnd
	}
	return wall, minute >= w.QuietStart || minute < w.QuietEnd
}

func badInput(h *History, v *verdict) {
	for _, p := range h.Probes {
		v.look()
		switch {
		case p.Answer != "typed-error":
			v.breach(nil, "%s: the answer was %s, want a typed error", p.Name, p.Answer)
		case !p.Counted:
			v.breach(nil, "%s: it was refused and not counted", p.Name)
		case p.Changed:
			v.breach(nil, "%s: it was refused and left something behind", p.Name)
		}
	}
}

func orderlyStop(h *History, v *verdict) {
	for _, s := range h.Stops {
		v.look()
		switch {
		case s.Done == 0:
			v.breach(nil, "%s was asked to stop at %v and never did", s.Node, s.Asked)
		case s.Done-s.Asked > s.Deadline:
			v.breach(nil, "%s took %v to stop, at most %v", s.Node, (s.Done - s.Asked).Duration(), s.Deadline.Duration())
		}
	}
}

// clockBack looks at deferred pushes when clocks jumped.
func clockBack(h *History, v *verdict) {
	if h.Dated(endOfTime) {
		return
	}
	took := map[string]int{}
	for _, p := range h.Pushes {
		if p.Answer == "accepted" {
			took[p.PushID]++
		}
	}
	for _, o := range h.Outcomes {
		if !o.Delayed {
			continue
		}
		v.look()
		switch n := took[o.PushID]; {
		case o.Ended == 0:
			v.breach([]uint64{o.Event}, "deferred push %s of message %s was lost: it has not ended", o.PushID, o.Message)
		case n > 1:
			v.breach([]uint64{o.Event}, "deferred push %s of message %s was accepted %d times", o.PushID, o.Message, n)
		}
	}
}

func tenants(h *History, v *verdict) {
	for _, a := range h.Accesses {
		if v.look(); a.Allowed && a.App != a.Of {
			v.breach(nil, "app %s got %s of app %s", a.App, a.What, a.Of)
		}
	}
	for _, p := range h.Pushes {
		o := h.outcome[p.PushID]
		if p.App == "" || o == nil {
			continue
		}
		if v.look(); o.App != p.App {
			v.breach([]uint64{o.Event}, "push %s of app %s went out with a credential of app %s", p.PushID, o.App, p.App)
		}
	}
}

func secrets(h *History, v *verdict) { h.canaries(v, false) }
func erased(h *History, v *verdict)  { h.canaries(v, true) }

func (h *History) canaries(v *verdict, erasedOnes bool) {
	for _, c := range h.Canaries {
		if (c.Erased != "") != erasedOnes {
			continue
		}
		v.look()
		switch {
		case c.Found > 0:
			v.breach(nil, "%s was found %d times in %s", c.What, c.Found, c.Where)
		case c.Bytes == 0:
			v.breach(nil, "%s was looked for in nothing: %s is empty", c.What, c.Where)
		}
	}
}

func audited(h *History, v *verdict) {
	records := map[string]int{}
	for _, a := range h.Audits {
		records[a.Write]++
	}
	for _, w := range h.Writes {
		if v.look(); records[w.ID] != 1 {
			v.breach(nil, "write %s (%s) has %d audit records, want one", w.ID, w.What, records[w.ID])
		}
	}
}
