package checker

import (
	"cmp"
	"slices"

	"github.com/rouse-im/rouse/simulations"
)

// noneAfterOnline looks at each push: was it still wanted when it was sent?
func noneAfterOnline(h *History, v *verdict) {
	onlines, unwanted, later := h.onlines(), h.unwanted(), h.replaced()
	for i := range h.Pushes {
		p := &h.Pushes[i]
		o := h.outcome[p.PushID]
		if o == nil {
			continue
		}
		v.look()
		dated := h.Dated(p.At)
		for _, s := range onlines[deviceKey{o.User, o.Device}] {
			if dated && o.Decided > s.from && o.Decided < s.to || p.At > s.from+h.grace(p, s.from) && p.At < s.to {
				v.breach([]uint64{o.Event, s.event}, "push %s, decided at %v, was sent at %v to device %s of user %s, online since %v", p.PushID, o.Decided, p.At, o.Device, o.User, s.from)
			}
		}
		for _, u := range unwanted[[2]string{o.User, o.Message}] {
			if dated && o.Decided < u.sent && p.At > u.at+h.grace(p, u.at) {
				v.breach([]uint64{o.Event, u.event}, "push %s was sent at %v of message %s, which user %s did not want any more: %s at %v", p.PushID, p.At, o.Message, o.User, u.why, u.at)
			}
		}
		if until := h.wantedUntil(o); dated && until > 0 && p.At > until+LeadSlack {
			v.breach([]uint64{o.Event}, "push %s was sent at %v of message %s, which was wanted until %v", p.PushID, p.At, o.Message, until)
		}
		if dated {
			h.inPlace(v, p, o, later)
		}
	}
}

// Dated tells whether all clocks were right until then, so that the times of
// outcomes are true.
func (h *History) Dated(until simulations.Offset) bool {
	return !slices.ContainsFunc(h.Faults, func(f simulations.Fault) bool { return f.Kind == simulations.ClockJump && f.At <= until })
}

// grace is how long after a moment a push may still be sent: not at all by who
// led its shard all the time, and cancelled it; another may not have known.
func (h *History) grace(p *Push, since simulations.Offset) simulations.Offset {
	if h.led(p.By, p.Shard, since, p.At-LeadSlack) {
		return LeadSlack
	}
	return h.handover()
}

// end of the wish for a message, as it was acknowledged.
type end struct {
	sent, at simulations.Offset
	event    uint64
	why      simulations.Kind
}

// unwanted are messages that were read or withdrawn, by user and message.
func (h *History) unwanted() map[[2]string][]end {
	all := map[[2]string][]end{}
	for e, a := range h.taken(simulations.Read, simulations.Recall) {
		x := end{a.Sent, a.Answered, e.N, e.Kind}
		switch {
		case e.Kind == simulations.Read:
			for _, m := range e.Messages {
				all[[2]string{e.User, m}] = append(all[[2]string{e.User, m}], x)
			}
		case e.Text == "":
			for _, u := range e.To {
				all[[2]string{u, e.Message}] = append(all[[2]string{u, e.Message}], x)
			}
		}
	}
	return all
}

// wantedUntil is when a message expires; 0 = nobody knows.
func (h *History) wantedUntil(o *Outcome) simulations.Offset {
	e := h.event[o.Event]
	if e == nil || e.Kind != simulations.Message {
		return 0
	}
	ttl := cmp.Or(simulations.Offset(e.TTL)*1000, h.Limits.TTL)
	if ttl == 0 {
		return 0
	}
	return e.At + ttl
}

// place where later pushes replace earlier ones.
type place struct{ user, device, notifier, collapse string }

func (h *History) placeOf(o *Outcome) (place, bool) {
	e := h.event[o.Event]
	if e == nil || e.Collapse == "" || o.PushID == "" {
		return place{}, false
	}
	return place{o.User, o.Device, o.Notifier, e.Collapse}, true
}

// replaced has the pushes of each place. Those of users whose pushes may wait
// for their time are left out: nobody knows when they came into it.
func (h *History) replaced() map[place][]*Outcome {
	waits := map[string]bool{}
	for _, e := range h.Events {
		if e.Kind == simulations.Policy && e.Policy == "away-delay" {
			waits[e.User] = true
		}
	}
	all := map[place][]*Outcome{}
	for i := range h.Outcomes {
		o := &h.Outcomes[i]
		if k, ok := h.placeOf(o); ok && !o.Delayed && !waits[o.User] {
			all[k] = append(all[k], o)
		}
	}
	return all
}

// inPlace: no push is sent while a later one waits in its place.
func (h *History) inPlace(v *verdict, p *Push, o *Outcome, later map[place][]*Outcome) {
	k, ok := h.placeOf(o)
	if !ok || !h.led(p.By, p.Shard, o.Decided, p.At-LeadSlack) {
		return
	}
	for _, l := range later[k] {
		if l.Decided > o.Decided && p.At > l.Decided+LeadSlack && (l.Ended == 0 || l.Ended > p.At) {
			v.breach([]uint64{o.Event, l.Event}, "push %s of message %s was sent at %v, although message %s had taken its place at %v", p.PushID, o.Message, p.At, l.Message, l.Decided)
		}
	}
}

// inOrder: what is sent again goes before what was sent later to its token. Calls
// pass, and a new leader begins anew.
func inOrder(h *History, v *verdict) {
	type lane struct{ by, notifier, token string }
	type attempts struct {
		first, last map[string]simulations.Offset // by push id
	}
	all := map[lane]*attempts{}
	for i := range h.Pushes {
		p := &h.Pushes[i]
		o := h.outcome[p.PushID]
		if p.By == "" || o == nil || h.isCall(o) {
			continue
		}
		v.look()
		k := lane{p.By, p.Notifier, p.Token}
		a := all[k]
		if a == nil {
			a = &attempts{map[string]simulations.Offset{}, map[string]simulations.Offset{}}
			all[k] = a
		}
		if before, again := a.last[p.PushID]; again && h.led(p.By, p.Shard, before, p.At-LeadSlack) {
			for other, at := range a.first {
				if at > before && other != p.PushID {
					v.breach(append(h.eventOf(p.PushID), h.eventOf(other)...), "push %s was sent to %s at %v and again at %v; push %s, first sent at %v, had passed it", p.PushID, p.Notifier, before, p.At, other, at)
				}
			}
		}
		if _, again := a.first[p.PushID]; !again {
			a.first[p.PushID] = p.At
		}
		a.last[p.PushID] = p.At
	}
}

func (h *History) isCall(o *Outcome) bool {
	e := h.event[o.Event]
	return e == nil || e.Call
}
