package checker

import (
	"cmp"
	"maps"
	"slices"

	"github.com/rouse-im/rouse/simulations"
)

type deviceKey struct{ user, device string }

type bindKey struct{ user, device, notifier string }

// ackedIsStored: sessions are at least as new as the newest acknowledged one,
// messages have outcomes, and tokens are where they were bound last.
func ackedIsStored(h *History, v *verdict) {
	stored := map[deviceKey]Stored{}
	for _, s := range h.Stored {
		stored[deviceKey{s.User, s.Device}] = s
	}
	decided := map[[2]string]bool{}
	for _, o := range h.Outcomes {
		decided[[2]string{o.User, o.Message}] = true
	}
	newest := map[deviceKey]*simulations.Event{}
	forgotten := h.erasures()
	for e, a := range h.taken(simulations.Presence, simulations.Message) {
		if e.Kind == simulations.Message {
			for _, u := range e.To {
				if forgotten.maybe(u, a.Sent) || len(forgotten[u]) > 0 && !h.Dated(a.Answered) {
					continue // or nobody knew him, on a day that is to come by other clocks
				}
				if v.look(); !decided[[2]string{u, e.Message}] {
					v.breach([]uint64{e.N}, "message %s was acknowledged and has no outcome for user %s", e.Message, u)
				}
			}
			continue
		}
		if forgotten.maybe(e.User, a.Sent) {
			continue
		}
		key := deviceKey{e.User, e.Device}
		if n := newest[key]; n == nil || e.Session > n.Session || e.Session == n.Session && e.Step > n.Step {
			newest[key] = e
		}
	}
	for _, key := range slices.SortedFunc(maps.Keys(newest), func(a, b deviceKey) int { return cmp.Compare(newest[a].N, newest[b].N) }) {
		e := newest[key]
		v.look()
		if s := stored[key]; (s.Session < e.Session || s.Session == e.Session && s.Step < e.Step) && !(e.Unbind && s.Device == "") {
			v.breach([]uint64{e.N}, "session %d.%d of device %s was acknowledged, the store has %d.%d", e.Session, e.Step, e.Device, s.Session, s.Step)
		}
	}
	bound := h.bound()
	for _, key := range slices.SortedFunc(maps.Keys(bound), func(a, b bindKey) int {
		return cmp.Or(cmp.Compare(bound[a].event, bound[b].event), cmp.Compare(a.notifier, b.notifier))
	}) {
		b := bound[key]
		v.look()
		if got := stored[deviceKey{key.user, key.device}].Tokens[key.notifier]; got != b.token {
			v.breach([]uint64{b.event}, "a token of %s was bound to device %s and acknowledged; the store has another or none", key.notifier, key.device)
		}
	}
}

// contested are the tokens that several users bound while clocks were not all right:
// who did last, each node judges by its own. A bind is dated when it is applied, which
// may be long after it happened: the client repeats it until a node answers.
func (h *History) contested() map[[2]string]bool {
	answered := map[uint64]simulations.Offset{}
	for _, a := range h.Acks {
		if a.Status != "unknown" {
			answered[a.Event] = max(answered[a.Event], a.Answered)
		}
	}
	all := map[[2]string]bool{}
	by := map[[2]string]string{}
	for _, e := range h.Events {
		if e.Kind != simulations.Bind {
			continue
		}
		token := [2]string{e.Notifier, e.Token}
		until, known := answered[e.N]
		if !known {
			until = endOfTime
		}
		if former, bound := by[token]; bound && former != e.User && !h.Dated(until) {
			all[token] = true
		}
		by[token] = e.User
	}
	return all
}

type boundToken struct {
	token    string
	event    uint64
	sent, at simulations.Offset
}

// tokenOwner is the last who bound a token, and when all its binds were answered.
type tokenOwner struct {
	key bindKey
	at  simulations.Offset
}

// bound are the tokens that must be in the store: those that nothing took away,
// neither surely nor maybe. What overlaps in time is left out. Only what was accepted
// puts a token there. To take one away it is enough that it may have been applied: a
// duplicate was, when it came before, and what has no answer that is known may be.
func (h *History) bound() map[bindKey]boundToken {
	last, forgotten := map[bindKey]boundToken{}, h.erasures()
	owner := map[[2]string]tokenOwner{}
	for _, a := range h.Acks {
		e := h.event[a.Event]
		if e == nil || a.Status == "refused" || a.Status == "stale" {
			continue
		}
		key := bindKey{e.User, e.Device, e.Notifier}
		switch {
		case e.Kind == simulations.Bind:
			token := [2]string{e.Notifier, e.Token}
			former, other := owner[token]
			if other = other && former.key != key; other {
				delete(last, former.key)
			}
			owner[token] = tokenOwner{key, max(a.Answered, former.at)}
			if before, ok := last[key]; a.Status != "accepted" || forgotten.maybe(e.User, a.Sent) || ok && a.Sent < before.at || other && a.Sent < former.at {
				delete(last, key) // in doubt, forgotten, or one of two at the same time
				continue
			}
			last[key] = boundToken{e.Token, e.N, a.Sent, a.Answered}
		case e.Kind == simulations.Unbind || e.Kind == simulations.Presence && e.State == simulations.LoggedOut && e.Unbind:
			maps.DeleteFunc(last, func(k bindKey, _ boundToken) bool {
				return k.user == e.User && k.device == e.Device && (e.Notifier == "" || k.notifier == e.Notifier)
			})
		}
	}
	refused := map[[2]string][]*Push{}
	for i := range h.Pushes {
		if p := &h.Pushes[i]; p.Answer == "invalid-token" {
			refused[[2]string{p.Notifier, p.Token}] = append(refused[[2]string{p.Notifier, p.Token}], p)
		}
	}
	doubtful := h.contested()
	maps.DeleteFunc(last, func(k bindKey, b boundToken) bool { return doubtful[[2]string{k.notifier, b.token}] })
	dead := map[string]bool{}
	for _, e := range h.Events {
		if e.Kind == simulations.Dead {
			dead[e.Token] = true
		}
	}
	maps.DeleteFunc(last, func(k bindKey, b boundToken) bool {
		all := refused[[2]string{k.notifier, b.token}]
		undated := func(p *Push) bool { return !h.Dated(p.At) } // unlike the bind, perhaps
		return slices.ContainsFunc(all, undated) || mayBeDropped(b, all, dead[b.token])
	})
	return last
}

// mayBeDropped tells whether the engine may have removed a token: its vendor
// forgot it, and no answer that came says that this was before it was bound.
func mayBeDropped(b boundToken, refused []*Push, dead bool) bool {
	before := false
	for _, p := range refused {
		if p.Answered > 0 && p.Answered < b.sent {
			continue
		}
		if p.Since == 0 || p.Since >= b.sent {
			return true
		}
		before = true
	}
	return dead && !before
}

// twice finds tokens that two devices have at the end.
func (h *History) twice(v *verdict) {
	type bound struct{ notifier, token string }
	of := map[bound]Stored{}
	for _, s := range h.Stored {
		for notifier, token := range s.Tokens {
			if token == "" {
				continue
			}
			v.look()
			b := bound{notifier, token}
			if o, ok := of[b]; ok {
				v.breach(nil, "one token of %s is with device %s of user %s and with device %s of user %s", notifier, o.Device, o.User, s.Device, s.User)
			}
			of[b] = s
		}
	}
}

var terminal = []string{"accepted", "suppressed", "expired", "cancelled", "failed", "superseded"}

func oneOutcome(h *History, v *verdict) {
	type key struct{ user, device, notifier, message string }
	count, byStatus, forgotten := map[key][]uint64{}, map[string]float64{}, h.erasures()
	for _, o := range h.Outcomes {
		v.look()
		k := key{o.User, o.Device, o.Notifier, o.Message}
		if count[k] = append(count[k], o.Event); len(count[k]) == 2 {
			v.breach(count[k], "message %s has two outcomes for device %s of user %s", o.Message, o.Device, o.User)
		}
		if !slices.Contains(terminal, o.Status) {
			v.breach([]uint64{o.Event}, "message %s for device %s of user %s has not ended: %s %s", o.Message, o.Device, o.User, o.Status, o.Reason)
		}
		if o.Reason == "" {
			v.breach([]uint64{o.Event}, "message %s for device %s of user %s ended without a reason", o.Message, o.Device, o.User)
		}
		byStatus[o.Status]++
	}
	for _, c := range h.Counters {
		if c.Name != "outcomes" || len(forgotten) > 0 { // it counts what is forgotten, too
			continue
		}
		if v.look(); byStatus[c.Label] != c.Value {
			v.breach(nil, "the counter of outcomes %s says %g, there are %g", c.Label, c.Value, byStatus[c.Label])
		}
	}
	accepted := map[string]bool{}
	for _, p := range h.Pushes {
		if p.Answer == "accepted" || p.Answer == "none" {
			accepted[p.PushID] = true
		}
	}
	for _, o := range h.Outcomes {
		if o.Status == "accepted" && len(h.Pushes) > 0 && !accepted[o.PushID] {
			v.breach([]uint64{o.Event}, "push %s of message %s is said to be accepted, and no vendor took it", o.PushID, o.Message)
		}
	}
}

// events of a message or user for findings.
func (h *History) eventOf(push string) []uint64 {
	if o := h.outcome[push]; o != nil {
		return []uint64{o.Event}
	}
	return nil
}

func onePushID(h *History, v *verdict) {
	type key struct{ user, device, notifier, message string }
	ids := map[key]string{}
	for _, o := range h.Outcomes {
		if o.PushID == "" {
			continue
		}
		k := key{o.User, o.Device, o.Notifier, o.Message}
		if id := ids[k]; id != "" && id != o.PushID {
			v.breach([]uint64{o.Event}, "message %s for device %s has push ids %s and %s", o.Message, o.Device, id, o.PushID)
		}
		ids[k] = o.PushID
	}
	last := map[[2]string]*Push{} // by push id and token
	excused := h.excuses()
	for i := range h.Pushes {
		p := &h.Pushes[i]
		v.look()
		k := [2]string{p.PushID, p.Token}
		if b := last[k]; b != nil && (b.Answer == "accepted" || b.Answer == "rejected" || b.Answer == "invalid-token") {
			v.breach(h.eventOf(p.PushID), "push %s was sent to %s by %s at %v, answered %q at %v, and again by %s at %v", p.PushID, p.Vendor, b.By, b.At, b.Answer, b.Answered, p.By, p.At)
		}
		last[k] = p
		if h.outcome[p.PushID] == nil && !excused(p) {
			v.breach(nil, "%s saw push %s at %v, which belongs to no outcome", p.Vendor, p.PushID, p.At)
		}
	}
}

// span in which a device was online for certain.
type span struct {
	from, to simulations.Offset
	event    uint64
}

type imRun struct {
	node        string
	incarnation uint64
}

// onlines are the spans between an acknowledged "online" and the moment at which
// the next event of the device, or the death of its IM node, was under way. What an
// IM node tells that never came up holds nobody online: a script that was made small
// may lack it.
func (h *History) onlines() map[deviceKey][]span {
	all := map[deviceKey][]span{}
	sent, forgotten := map[deviceKey][]Ack{}, h.erasures()
	var downs []*simulations.Event
	up := map[imRun]bool{{}: true}
	for _, e := range h.Events {
		switch e.Kind {
		case simulations.IMDown:
			downs = append(downs, e)
		case simulations.IMUp:
			up[imRun{e.Node, e.Incarnation}] = true
		}
	}
	for _, a := range h.Acks {
		if e := h.event[a.Event]; e != nil && e.Kind == simulations.Presence {
			k := deviceKey{e.User, e.Device}
			sent[k] = append(sent[k], a)
		}
	}
	for e, a := range h.taken(simulations.Presence) {
		if e.State != simulations.Connected || !up[imRun{e.Node, e.Incarnation}] {
			continue // a phone in the background may be counted offline
		}
		k := deviceKey{e.User, e.Device}
		s := span{a.Answered, endOfTime, e.N}
		for _, other := range sent[k] {
			if other.Event != a.Event && other.Answered >= a.Sent {
				s.to = min(s.to, other.Sent)
			}
		}
		for _, x := range forgotten[e.User] {
			if x.answered >= a.Sent {
				s.to = min(s.to, x.sent)
			}
		}
		for _, d := range downs {
			if d.Node == e.Node && d.Incarnation == e.Incarnation {
				s.to = min(s.to, d.At)
			}
		}
		if s.to > s.from {
			all[k] = append(all[k], s)
		}
	}
	return all
}

const endOfTime = simulations.Offset(1<<62 - 1)

// noRemovedToken: a token is gone when the device that bound it last gave it
// back; a former owner's leave takes nothing from the next one.
func noRemovedToken(h *History, v *verdict) {
	type when struct {
		at    simulations.Offset
		event uint64
	}
	gone, owners := map[[2]string]when{}, map[[2]string]deviceKey{}
	holds, doubtful := map[deviceKey][][2]string{}, h.contested()
	for _, a := range h.Acks {
		e := h.event[a.Event]
		if e == nil {
			continue
		}
		k := deviceKey{e.User, e.Device}
		switch {
		case e.Kind == simulations.Bind:
			t := [2]string{e.Notifier, e.Token}
			owners[t] = k
			holds[k] = append(holds[k], t)
			delete(gone, t)
		case a.Status != "accepted":
		case e.Kind == simulations.Unbind || e.Kind == simulations.Presence && e.State == simulations.LoggedOut && e.Unbind:
			for _, t := range holds[k] {
				// Another may have bound it meanwhile.
				if o := owners[t]; o == k && (e.Notifier == "" || e.Notifier == t[0]) {
					gone[t] = when{a.Answered, e.N}
				}
			}
			holds[k] = nil
		case e.Kind == simulations.Erase:
			for k, all := range holds {
				if k.user != e.User {
					continue
				}
				for _, t := range all {
					if owners[t] == k {
						gone[t] = when{a.Answered, e.N}
					}
				}
				delete(holds, k)
			}
		}
	}
	for _, p := range h.Pushes {
		v.look()
		t := [2]string{p.Notifier, p.Token}
		if w, ok := gone[t]; ok && !doubtful[t] && p.At > w.at+h.handover() {
			v.breach(append(h.eventOf(p.PushID), w.event), "push %s was sent at %v to a token of %s that was removed at %v", p.PushID, p.At, p.Notifier, w.at)
		}
	}
	h.twice(v)
	for _, d := range h.Dropped {
		v.look()
		if d.Since > 0 && d.Bound > d.Since {
			v.breach(nil, "a token of %s, bound at %v, was removed at %v by an answer that calls it invalid since %v", d.Notifier, d.Bound, d.At, d.Since)
		}
	}
}
