package user

import (
	"slices"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

// route gives each device its verdict. raise are the devices whose count the
// message raises: their badge is one higher.
func (s *State) route(p *Pending, m *rousev1.MessageEvent, e *Env, raise []int) {
	if !s.Known {
		p.Verdicts = []Verdict{{Status: suppressed, Reason: rousev1.Reason_REASON_NO_USER, Badge: -1}}
		return
	}
	if len(s.Devices) == 0 {
		p.Verdicts = []Verdict{{Status: suppressed, Reason: rousev1.Reason_REASON_NO_BINDING, Badge: -1}}
		return
	}
	stop, delay := s.policy(e)
	p.Verdicts = make([]Verdict, 0, len(s.Devices))
	for i := range s.Devices {
		d := &s.Devices[i]
		reason := d.unreachable(e, stop)
		if reason == 0 && filtered(m.GetFilter().GetAcceptDeviceIds(), m.GetFilter().GetIgnoreDeviceIds(), d.ID) {
			reason = rousev1.Reason_REASON_DEVICE_FILTERED
		}
		var chosen []*Binding
		if reason == 0 {
			chosen, reason = d.choose(m, e)
		}
		if reason != 0 {
			p.Verdicts = append(p.Verdicts, Verdict{Device: d.ID, Status: suppressed, Reason: reason, Badge: -1})
			continue
		}
		badge := d.badge(m, e, slices.Contains(raise, i))
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
	case stop:
		return rousev1.Reason_REASON_USER_ONLINE
	case d.stale(e):
		return rousev1.Reason_REASON_STALE_DEVICE
	}
	return 0
}

// choose picks the bindings to push through: for a call the VoIP ones if there
// are any, else the others; of these the newest whose credential can be used,
// or all if the app wants that. The reason is of the newest when none can.
func (d *Device) choose(m *rousev1.MessageEvent, e *Env) ([]*Binding, rousev1.Reason) {
	var voip, alert []*Binding
	accept, ignore := m.GetFilter().GetAcceptNotifiers(), m.GetFilter().GetIgnoreNotifiers()
	for i := range d.Bindings {
		b := &d.Bindings[i]
		switch {
		case filtered(accept, ignore, b.Notifier):
		case e.App.Notifiers[b.Notifier].VoIP:
			voip = append(voip, b)
		default:
			alert = append(alert, b)
		}
	}
	if len(voip)+len(alert) == 0 {
		return nil, rousev1.Reason_REASON_DEVICE_FILTERED
	}
	list := alert
	if m.GetClass() == rousev1.MessageClass_MESSAGE_CLASS_CALL && len(voip) > 0 {
		list = voip
	}
	if len(list) == 0 {
		return nil, rousev1.Reason_REASON_NO_BINDING // PushKit tokens take calls only
	}
	slices.SortStableFunc(list, func(a, b *Binding) int { return int(b.BoundAt - a.BoundAt) })
	var why rousev1.Reason
	usable := list[:0:0]
	for _, b := range list {
		if r := e.App.gate(b.Notifier); r == 0 {
			usable = append(usable, b)
		} else if why == 0 {
			why = r
		}
	}
	if len(usable) == 0 {
		return nil, why
	}
	if e.App.AllBindings {
		return usable, 0
	}
	return usable[:1], 0
}

func (a *App) gate(notifier string) rousev1.Reason {
	n, ok := a.Notifiers[notifier]
	switch {
	case !ok:
		return rousev1.Reason_REASON_NO_NOTIFIER
	case n.Invalid:
		return rousev1.Reason_REASON_INVALID_NOTIFIER
	case n.Disabled:
		return rousev1.Reason_REASON_NOTIFIER_DISABLED
	}
	return 0
}

// filtered: ignore beats accept; an empty accept list accepts all.
func filtered(accept, ignore []string, id string) bool {
	return slices.Contains(ignore, id) || (len(accept) > 0 && !slices.Contains(accept, id))
}

// badge is the number that the push shows; negative = none.
func (d *Device) badge(m *rousev1.MessageEvent, e *Env, raised bool) int32 {
	switch {
	case m.Badge != nil:
		return int32(m.GetBadge())
	case e.App.NoBadge:
		return -1
	case raised:
		return int32(d.Count) + 1
	}
	return int32(d.Count)
}
