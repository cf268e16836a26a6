package user

import (
	"fmt"
	"slices"

	"github.com/rouse-im/rouse/actors"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

// decideBind ties a token to a device. A token wakes one device: the user's
// other devices lose it here, other users through the claim.
func (s *State) decideBind(c Bind, e *Env) Decision {
	if c.GetToken() == "" {
		return s.unbind(c.GetDeviceId(), c.GetNotifier(), e)
	}
	if c.GetNotifier() == "" {
		return refuse(rousev1.ErrorCode_ERROR_CODE_INVALID_ARGUMENT, false, "notifier: a token needs the name of a credential")
	}
	dec := Decision{Changed: true, Reply: actors.Reply{Status: accepted}}
	d := s.device(c.GetDeviceId())
	switch {
	case d == nil:
		if full := s.noRoomForDevice(e); full != nil {
			return *full
		}
		s.evict(&dec, e)
	case d.binding(c.GetNotifier()) == nil && len(d.Bindings) >= MaxBindings:
		return refuse(rousev1.ErrorCode_ERROR_CODE_LIMIT_EXCEEDED, false,
			fmt.Sprintf("the device has %d bindings; unbind one first", MaxBindings))
	default:
		if old := d.binding(c.GetNotifier()); old != nil && old.Sum != c.Sum {
			dec.disown(old)
		}
	}
	for i := range s.Devices {
		if o := &s.Devices[i]; o.ID != c.GetDeviceId() {
			s.dropBindings(&dec, e, o, func(b *Binding) bool { return b.Sum == c.Sum })
		}
	}
	dec.Disown = slices.DeleteFunc(dec.Disown, func(old Claim) bool { return old.Sum == c.Sum })
	at := max(e.Now.UnixMilli(), s.boundAt(c.Sum)) // not before, whatever clocks say
	dec.Events = append(dec.Events, tokenBound{device: c.GetDeviceId(), notifier: c.GetNotifier(), sealed: c.Sealed, sum: c.Sum, at: at, info: infoOf(c.GetDevice())})
	dec.Claim = append(dec.Claim, Claim{Sum: c.Sum, Device: c.GetDeviceId(), BoundAt: at})
	return dec
}

func (s *State) decideUnbind(c *rousev1.UnbindTokenRequest, e *Env) Decision {
	return s.unbind(c.GetDeviceId(), c.GetNotifier(), e)
}

// unbind removes one binding, or all of a device when notifier is empty.
func (s *State) unbind(device, notifier string, e *Env) Decision {
	dec := Decision{Reply: actors.Reply{Status: accepted}}
	if d := s.device(device); d != nil {
		s.dropBindings(&dec, e, d, func(b *Binding) bool { return notifier == "" || b.Notifier == notifier })
	}
	return dec
}

// decideRelease gives a token up to whoever bound it later.
func (s *State) decideRelease(c Release, e *Env) Decision {
	dec := Decision{Reply: answer(accepted)}
	for i := range s.Devices {
		s.dropBindings(&dec, e, &s.Devices[i], func(b *Binding) bool { return b.Sum == c.Sum && b.BoundAt <= c.BoundAt })
	}
	dec.Disown = nil // its record names the new owner already
	return dec
}

// dropBindings removes bindings of a device and withdraws their pushes.
func (s *State) dropBindings(dec *Decision, e *Env, d *Device, match func(*Binding) bool) {
	for i := range d.Bindings {
		b := &d.Bindings[i]
		if !match(b) {
			continue
		}
		dec.Events = append(dec.Events, tokenDropped{device: d.ID, notifier: b.Notifier})
		dec.disown(b)
		dec.Changed = true
		s.endPushes(dec, e, rousev1.OutcomeStatus_OUTCOME_STATUS_CANCELLED, rousev1.Reason_REASON_UNBOUND,
			func(v *Verdict) bool { return v.Device == d.ID && v.Notifier == b.Notifier })
	}
}

// evict makes room for a new device when there are the most allowed.
func (s *State) evict(dec *Decision, e *Env) {
	id := s.evictable(e)
	if id == "" {
		return
	}
	s.dropBindings(dec, e, s.device(id), func(*Binding) bool { return true })
	dec.Events = append(dec.Events, deviceDropped{id})
}

// Bindings lists the bindings of a device, newest first.
func (s *State) Bindings(device string, tail func(device string, b *Binding) string) []*rousev1.Binding {
	d := s.device(device)
	if d == nil {
		return nil
	}
	return d.list(tail)
}

func (d *Device) list(tail func(device string, b *Binding) string) []*rousev1.Binding {
	out := make([]*rousev1.Binding, 0, len(d.Bindings))
	for i := range d.Bindings {
		b := &d.Bindings[i]
		r := &rousev1.Binding{Notifier: b.Notifier, TokenTail: tail(d.ID, b), BoundAt: millis(b.BoundAt), LastResult: b.LastReason}
		if b.LastAt != 0 {
			r.LastResultAt = millis(b.LastAt)
		}
		out = append(out, r)
	}
	slices.SortStableFunc(out, func(a, b *rousev1.Binding) int {
		return b.GetBoundAt().AsTime().Compare(a.GetBoundAt().AsTime())
	})
	return out
}

// disown gives up what was bound, and not what is bound later.
func (d *Decision) disown(b *Binding) {
	d.Disown = append(d.Disown, Claim{Sum: b.Sum, BoundAt: b.BoundAt})
}

// boundAt is when the user bound a token that he has; 0 = he has not.
func (s *State) boundAt(sum Sum) (at int64) {
	for i := range s.Devices {
		for j := range s.Devices[i].Bindings {
			if b := &s.Devices[i].Bindings[j]; b.Sum == sum {
				at = max(at, b.BoundAt)
			}
		}
	}
	return at
}
