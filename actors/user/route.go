package user

import (
	"cmp"
	"slices"
	"time"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

// route gives each device its verdict. raise are the devices whose count the
// message raises: their badge is one higher.
//
// A device that cannot be woken says so before the user's wish not to be.
func (s *State) route(p *Pending, m *rousev1.MessageEvent, e *Env, w *wish, raise []int) {
	stop, delay := s.policy(e)
	if e.Trail != nil {
		e.Trail.look(stepPolicy, 0, s.policyRule(), enum(wordPolicy, ofPolicy, s.effective(e).Kind),
			yes(wordStops, stop), yes(wordDelays, delay))
	}
	if len(s.Devices) == 0 {
		p.Verdicts = []Verdict{{Status: suppressed, Reason: rousev1.Reason_REASON_NO_BINDING, Badge: -1}}
		return
	}
	w.note(s, m, e)
	p.Verdicts = make([]Verdict, 0, len(s.Devices))
	for i := range s.Devices {
		d := &s.Devices[i]
		r := d.unreachable(e, stop)
		if e.Trail != nil {
			e.Trail.lookAt(d.ID, stepPresence, r, "",
				enum(wordState, ofSession, d.State), yes(wordOnline, d.online(e)), num(wordBindings, len(d.Bindings)))
		}
		if r = cmp.Or(r, w.reason()); r != 0 {
			p.Verdicts = append(p.Verdicts, Verdict{Device: d.ID, Status: suppressed, Reason: r, Badge: -1})
			continue
		}
		s.routeTo(p, d, m, e, delay, slices.Contains(raise, i))
	}
}

// routeTo gives a device that may be woken its verdict, or one for each of its
// bindings if the app wants all of them.
func (s *State) routeTo(p *Pending, d *Device, m *rousev1.MessageEvent, e *Env, delay, raised bool) {
	t := e.Trail
	reason := t.lookAt(d.ID, stepFilter, d.filter(m), "")
	var chosen []*Binding
	if reason == 0 {
		chosen, reason = d.choose(m, e)
	}
	if reason == 0 {
		chosen, reason = d.uncapped(chosen, m, e)
	}
	if reason != 0 {
		p.Verdicts = append(p.Verdicts, Verdict{Device: d.ID, Status: suppressed, Reason: reason, Badge: -1})
		return
	}
	s.noteContent(d, m, e)
	badge := d.badge(m, e, raised)
	if t != nil {
		t.lookAt(d.ID, stepBadge, 0, badgeRule(m, e), num(wordBadge, badge), num(wordCount, d.Count))
		t.lookAt(d.ID, stepLifetime, 0, ttlRule(m), num(wordLeft, (p.Expires-p.DecidedAt)/1000))
	}
	if delay && t != nil {
		t.wait(d.ID, rousev1.DecisionStep_DECISION_STEP_LANE, rousev1.Reason_REASON_DELAYED, "away delay", num(wordDelay, int64(s.effective(e).Delay/time.Second)))
	}
	for _, b := range chosen {
		v := Verdict{
			Device: d.ID, Notifier: b.Notifier, Status: isPending, Reason: rousev1.Reason_REASON_QUEUED,
			Stage: StageLane, VoIP: e.App.Notifiers[b.Notifier].VoIP, Badge: badge,
		}
		if delay {
			v.Stage, v.Reason = StageDelayed, rousev1.Reason_REASON_DELAYED
			p.Due = e.Now.Add(s.effective(e).Delay).UnixMilli()
		}
		p.Verdicts = append(p.Verdicts, v)
	}
}

// policyRule names the level whose policy holds.
func (s *State) policyRule() string {
	if s.Policy.Kind != 0 {
		return "user policy"
	}
	return "app policy"
}

func ttlRule(m *rousev1.MessageEvent) string {
	if m.GetTtl() != nil {
		return "message ttl"
	}
	return "app default_ttl"
}

func (s *State) effective(e *Env) Policy {
	if s.Policy.Kind != 0 {
		return s.Policy
	}
	return e.App.Policy
}

// policy says whether online devices stop the pushes to the others (stop), or
// put them off (delay).
func (s *State) policy(e *Env) (stop, delay bool) {
	var mobile, other bool
	for i := range s.Devices {
		if d := &s.Devices[i]; d.online(e) {
			mobile = mobile || d.mobile()
			other = other || !d.mobile()
		}
	}
	switch s.effective(e).Kind {
	case rousev1.MultiDevicePolicy_MULTI_DEVICE_POLICY_ANY_OFFLINE:
		return false, false
	case rousev1.MultiDevicePolicy_MULTI_DEVICE_POLICY_MOBILE_OFFLINE:
		return mobile, false
	case rousev1.MultiDevicePolicy_MULTI_DEVICE_POLICY_AWAY_DELAY:
		return mobile, other
	}
	return mobile || other, false
}

// unreachable tells why a device is not woken, before any binding is looked at.
func (d *Device) unreachable(e *Env, stop bool) rousev1.Reason {
	switch {
	case d.State == rousev1.SessionState_SESSION_STATE_KICKED:
		return rousev1.Reason_REASON_KICKED
	case d.online(e):
		return rousev1.Reason_REASON_DEVICE_ONLINE
	case len(d.Bindings) == 0 && d.State == rousev1.SessionState_SESSION_STATE_LOGGED_OUT:
		return rousev1.Reason_REASON_LOGGED_OUT
	case len(d.Bindings) == 0:
		return rousev1.Reason_REASON_NO_BINDING
	case d.stale(e):
		return rousev1.Reason_REASON_STALE_DEVICE
	case stop:
		return rousev1.Reason_REASON_USER_ONLINE
	}
	return 0
}

// filter tells that the message does not want this device, or none of its
// bindings. Ignore beats accept.
func (d *Device) filter(m *rousev1.MessageEvent) rousev1.Reason {
	f := m.GetFilter()
	if f == nil {
		return 0
	}
	if filtered(f.GetAcceptDeviceIds(), f.GetIgnoreDeviceIds(), d.ID) || !slices.ContainsFunc(d.Bindings, func(b Binding) bool { return wanted(m, &b) }) {
		return rousev1.Reason_REASON_DEVICE_FILTERED
	}
	return 0
}

func wanted(m *rousev1.MessageEvent, b *Binding) bool {
	return !filtered(m.GetFilter().GetAcceptNotifiers(), m.GetFilter().GetIgnoreNotifiers(), b.Notifier)
}

// choose picks the bindings to push through: for a call the VoIP ones if there
// are any, else the others; of these the newest whose credential can be used,
// or all if the app wants that. The reason is of the newest when none can.
func (d *Device) choose(m *rousev1.MessageEvent, e *Env) ([]*Binding, rousev1.Reason) {
	var voip, alert []*Binding
	for i := range d.Bindings {
		b := &d.Bindings[i]
		switch {
		case !wanted(m, b):
		case e.App.Notifiers[b.Notifier].VoIP:
			voip = append(voip, b)
		default:
			alert = append(alert, b)
		}
	}
	list := alert
	if m.GetClass() == rousev1.MessageClass_MESSAGE_CLASS_CALL && len(voip) > 0 {
		list = voip
	}
	var none rousev1.Reason
	if len(list) == 0 {
		none = rousev1.Reason_REASON_NO_BINDING // PushKit tokens take calls only
	}
	if e.Trail != nil {
		e.Trail.lookAt(d.ID, stepBinding, none, "", enum(wordClass, ofClass, m.GetClass()), num(wordAlert, len(alert)), num(wordVoIP, len(voip)))
	}
	if none != 0 {
		return nil, none
	}
	slices.SortStableFunc(list, func(a, b *Binding) int { return cmp.Compare(b.BoundAt, a.BoundAt) })
	var why rousev1.Reason
	newest, usable := list[0], list[:0]
	for _, b := range list {
		if r := e.App.gate(b.Notifier); r == 0 {
			usable = append(usable, b)
		} else if why == 0 {
			why = r
		}
	}
	if len(usable) == 0 {
		return nil, e.Trail.lookAt(d.ID, stepCredential, why, "", text(wordNewest, newest.Notifier))
	}
	if !e.App.AllBindings {
		usable = usable[:1]
	}
	if e.Trail != nil {
		e.Trail.lookAt(d.ID, stepCredential, 0, "", text(wordNotifier, usable[0].Notifier), num(wordPushes, len(usable)))
	}
	return usable, 0
}

func (a *App) gate(notifier string) rousev1.Reason {
	n, ok := a.Notifiers[notifier]
	switch {
	case !ok:
		return rousev1.Reason_REASON_NO_NOTIFIER
	case n.Invalid:
		return rousev1.Reason_REASON_INVALID_NOTIFIER
	case n.Banned:
		return rousev1.Reason_REASON_NOTIFIER_BANNED
	case n.Disabled:
		return rousev1.Reason_REASON_NOTIFIER_DISABLED
	}
	return 0
}

// filtered: ignore beats accept; an empty accept list accepts all.
func filtered(accept, ignore []string, id string) bool {
	return slices.Contains(ignore, id) || (len(accept) > 0 && !slices.Contains(accept, id))
}
