package user

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rouse-im/rouse/actors"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

// badge is the number that the push of m shows on the device; negative = none.
func (d *Device) badge(m *rousev1.MessageEvent, e *Env, raised bool) int32 {
	switch {
	case m.Badge != nil:
		return int32(m.GetBadge())
	case e.App.NoBadge:
		return -1
	}
	n := d.number(e)
	if raised {
		n++
	}
	return min(n, maxCount)
}

// number is what the icon should show now.
func (d *Device) number(e *Env) int32 {
	n := int32(d.Count)
	if e.App.BadgeBase {
		n += int32(d.Base)
	}
	return min(n, maxCount)
}

// badgeRule names what the badge comes from.
func badgeRule(m *rousev1.MessageEvent, e *Env) string {
	switch {
	case m.Badge != nil:
		return "message badge"
	case e.App.NoBadge:
		return "app badge_mode"
	case e.App.BadgeBase:
		return "badge base and offline count"
	}
	return "offline count"
}

// decideSetBadge sets what a device counts from.
func (s *State) decideSetBadge(c *rousev1.SetBadgeRequest, e *Env) Decision {
	d := s.device(c.GetDeviceId())
	if d == nil {
		return refuse(rousev1.ErrorCode_ERROR_CODE_NOT_FOUND, false, "device_id: the user has no such device")
	}
	set := badgeSet{device: d.ID, count: d.Count, base: d.Base}
	if c.OfflineCount != nil {
		set.count = c.GetOfflineCount()
	}
	if c.Base != nil {
		set.base = c.GetBase()
	}
	next := Device{Count: set.count, Base: set.base}
	dec := Decision{Reply: actors.Reply{Status: accepted, Response: &rousev1.SetBadgeResponse{Badge: uint32(max(0, next.number(e)))}}}
	if set.count != d.Count || set.base != d.Base {
		dec.Events, dec.Changed = append(dec.Events, set), true
		if next.number(e) < d.number(e) {
			s.refresh(&dec, e, map[string]int32{d.ID: next.number(e)})
		}
	}
	return dec
}

// uncount takes a message out of the counts of the devices that it raised and
// that have not fetched it since; numbers are what these then show.
func (s *State) uncount(dec *Decision, e *Env, p *Pending, numbers map[string]int32) {
	for i := range p.Verdicts {
		v := &p.Verdicts[i]
		d := s.device(v.Device)
		if d == nil || !p.counted(v, d) {
			continue
		}
		n, known := numbers[d.ID]
		if !known {
			n = d.number(e)
		}
		numbers[d.ID] = max(n-1, 0)
		dec.Events = append(dec.Events, countFell{device: d.ID, p: p, i: i})
		dec.Changed = true
		dec.touch(p)
	}
}

// counts tells that the device's count holds the message. Of several pushes to a
// device, only one verdict is marked.
func (p *Pending) counts(d *Device) bool {
	return slices.ContainsFunc(p.Verdicts, func(v Verdict) bool { return v.Device == d.ID && p.counted(&v, d) })
}

// counted tells it of a verdict on the device. Releases before Round dated resets.
func (p *Pending) counted(v *Verdict, d *Device) bool {
	return d.Count > 0 && v.Counted == d.Round+1 && (d.Round > 0 || p.DecidedAt > d.ResetAt)
}

// markCounted notes on the verdicts which devices the message was counted for.
func (s *State) markCounted(p *Pending, raise []int) {
	for _, r := range raise {
		for i := range p.Verdicts {
			if p.Verdicts[i].Device == s.Devices[r].ID {
				p.Verdicts[i].Counted = s.Devices[r].Round + 1
				break
			}
		}
	}
}

// inner parts the message id from what the engine adds to it for pushes of its
// own. Ids of senders hold no control characters.
const inner = "\x1f"

const (
	refreshMark = "badge" + inner
	// refreshCollapse lets a later number take the place of one that waits.
	refreshCollapse = "badge"
	refreshTTL      = 24 * time.Hour
)

// isRefresh tells a push that changes the number on the icon and shows nothing.
func isRefresh(message string) bool { return strings.HasPrefix(message, refreshMark) }

// refresh tells offline devices the number that fell, silently: a badge that
// stays too high makes people look for messages that are not there. Devices
// without a way for it, and full lanes, are passed over.
func (s *State) refresh(dec *Decision, e *Env, numbers map[string]int32) {
	if !e.App.RefreshBadges || e.App.NoBadge || s.Banned || len(s.Pending) >= MaxPending {
		return
	}
	at := e.Now.UnixMilli()
	for s.pending(refreshMark+strconv.FormatInt(at, 36)) != nil {
		at++
	}
	p := &Pending{
		Message: refreshMark + strconv.FormatInt(at, 36), DecidedAt: e.Now.UnixMilli(), Expires: e.Now.Add(refreshTTL).UnixMilli(),
		Payload: &rousev1.MessageEvent{CollapseId: refreshCollapse},
	}
	for i := range s.Devices {
		d := &s.Devices[i]
		number, fell := numbers[d.ID]
		if !fell || d.unreachable(e, false) != 0 {
			continue
		}
		if b := d.silent(e); b != nil && e.Room(b.Notifier) {
			p.Verdicts = append(p.Verdicts, Verdict{
				Device: d.ID, Notifier: b.Notifier, Status: isPending, Reason: rousev1.Reason_REASON_QUEUED, Stage: StageLane, Badge: number,
			})
			dec.Send = append(dec.Send, Push{Pending: p, Verdict: len(p.Verdicts) - 1})
		}
	}
	if len(p.Verdicts) > 0 {
		dec.Events = append(dec.Events, messageDecided{p: p})
		dec.touch(p)
	}
}

// silent is the newest binding through which a number can be changed without a
// sound; nil = none.
func (d *Device) silent(e *Env) (newest *Binding) {
	for i := range d.Bindings {
		b := &d.Bindings[i]
		if n := e.App.Notifiers[b.Notifier]; n.Vendor == "apns" && !n.VoIP && e.App.gate(b.Notifier) == 0 && (newest == nil || b.BoundAt > newest.BoundAt) {
			newest = b
		}
	}
	return newest
}
