package user

import (
	"fmt"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/internal/plant"
)

// decidePresence applies an event only if it is later in the order of the
// device's sessions, whatever order events arrive in: (session, step) must rise.
func (s *State) decidePresence(c Presence, e *Env) Decision {
	d := s.device(c.GetDeviceId())
	if d == nil {
		if c.GetState() == rousev1.SessionState_SESSION_STATE_LOGGED_OUT && c.GetUnbind() {
			return Decision{Reply: answer(accepted)} // nothing is kept of a device that leaves for good
		}
		if full := s.noRoomForDevice(e); full != nil {
			return *full
		}
	} else if st := d.order(c); st != accepted {
		return Decision{Reply: answer(st)}
	}

	ev := sessionChanged{
		device: c.GetDeviceId(), state: d.next(c), node: c.Node,
		session: c.GetSession(), step: c.GetStep(), at: e.Now.UnixMilli(), info: infoOf(c.GetDevice()),
	}
	up := c.GetState() == rousev1.SessionState_SESSION_STATE_CONNECTED || c.GetState() == rousev1.SessionState_SESSION_STATE_BACKGROUND
	if c.BadgeBase != nil {
		ev.base = new(c.GetBadgeBase())
	}
	ev.resetCount = (up || plant.On(plant.BadgeResetTooEarly)) && !e.App.CountUntilFetched && (d == nil || d.Session != c.GetSession() || !d.online(e))
	dec := Decision{Changed: true, Reply: answer(accepted)}
	if d == nil {
		s.evict(&dec, e)
	}
	if up && !plant.On(plant.ReturnCancelsNone) {
		s.endPushes(&dec, e, rousev1.OutcomeStatus_OUTCOME_STATUS_CANCELLED, rousev1.Reason_REASON_DEVICE_RETURNED,
			func(v *Verdict) bool { return v.Device == c.GetDeviceId() })
	}
	if c.GetState() == rousev1.SessionState_SESSION_STATE_KICKED {
		s.endPushes(&dec, e, rousev1.OutcomeStatus_OUTCOME_STATUS_CANCELLED, rousev1.Reason_REASON_KICKED,
			func(v *Verdict) bool { return v.Device == c.GetDeviceId() })
	}
	dec.Events = append(dec.Events, ev)
	if d != nil && c.GetState() == rousev1.SessionState_SESSION_STATE_LOGGED_OUT && c.GetUnbind() {
		s.dropBindings(&dec, e, d, func(*Binding) bool { return true })
	}
	return dec
}

// order compares an event with the last applied one.
func (d *Device) order(c Presence) rousev1.ItemStatus {
	switch {
	case plant.On(plant.StalePresenceWins):
		return accepted
	case c.GetSession() > d.Session, c.GetSession() == d.Session && c.GetStep() > d.Step:
		return accepted
	case c.GetSession() == d.Session && c.GetStep() == d.Step && d.Session > 0:
		return rousev1.ItemStatus_ITEM_STATUS_DUPLICATE
	}
	return rousev1.ItemStatus_ITEM_STATUS_STALE
}

// next is the state after an event. Who was forced off or logged out does not
// come back by losing the connection that he had: only a login ends that.
func (d *Device) next(c Presence) rousev1.SessionState {
	st := c.GetState()
	if d == nil || d.Session != c.GetSession() {
		return st
	}
	gone := st == rousev1.SessionState_SESSION_STATE_DISCONNECTED
	left := st == rousev1.SessionState_SESSION_STATE_LOGGED_OUT
	switch {
	case d.State == rousev1.SessionState_SESSION_STATE_KICKED && (gone || left),
		d.State == rousev1.SessionState_SESSION_STATE_LOGGED_OUT && gone:
		return d.State
	}
	return st
}

// evictable names the device that makes room for a new one when the user has
// the most allowed: the longest unseen of those offline and without a token,
// or else of those that are long unseen. Empty = none needed or none found.
func (s *State) evictable(e *Env) string {
	if len(s.Devices) < MaxDevices {
		return ""
	}
	var pick *Device
	for i := range s.Devices {
		d := &s.Devices[i]
		if d.online(e) || (len(d.Bindings) > 0 && !d.unseen(e)) {
			continue
		}
		if pick == nil || d.LastSeen < pick.LastSeen {
			pick = d
		}
	}
	if pick == nil {
		return ""
	}
	return pick.ID
}

func (s *State) noRoomForDevice(e *Env) *Decision {
	if len(s.Devices) < MaxDevices || s.evictable(e) != "" {
		return nil
	}
	d := refuse(rousev1.ErrorCode_ERROR_CODE_LIMIT_EXCEEDED, false,
		fmt.Sprintf("the user has %d devices that are online or have tokens; log one out with unbind first", MaxDevices))
	return &d
}

func (s *State) decideFetched(c *rousev1.FetchedEvent, e *Env) Decision {
	d := s.device(c.GetDeviceId())
	if d == nil || d.Count == 0 {
		return Decision{Reply: answer(rousev1.ItemStatus_ITEM_STATUS_DUPLICATE)}
	}
	return Decision{Events: []Event{countReset{c.GetDeviceId(), e.Now.UnixMilli()}}, Changed: true, Reply: answer(accepted)}
}

func infoOf(i *rousev1.DeviceInfo) Info {
	return Info{
		Platform: i.GetPlatform(), Brand: i.GetBrand(), Package: i.GetAppPackage(),
		Version: i.GetAppVersion(), Lang: i.GetLocale(), Zone: i.GetTimeZone(),
	}
}

// merge keeps what the new info does not say.
func (i *Info) merge(n Info) {
	if n.Platform != 0 {
		i.Platform = n.Platform
	}
	for _, f := range []struct {
		to   *string
		from string
	}{{&i.Brand, n.Brand}, {&i.Package, n.Package}, {&i.Version, n.Version}, {&i.Lang, n.Lang}, {&i.Zone, n.Zone}} {
		if f.from != "" {
			*f.to = f.from
		}
	}
}

// List tells the user's devices as known at e.Now. tail shows the end of a
// sealed token.
func (s *State) List(e *Env, tail func(device string, b *Binding) string) *rousev1.ListDevicesResponse {
	r := &rousev1.ListDevicesResponse{}
	for i := range s.Devices {
		d := &s.Devices[i]
		r.Devices = append(r.Devices, &rousev1.Device{
			DeviceId: d.ID,
			Info: &rousev1.DeviceInfo{
				Platform: d.Info.Platform, Brand: d.Info.Brand, AppPackage: d.Info.Package,
				AppVersion: d.Info.Version, Locale: d.Info.Lang, TimeZone: d.Info.Zone,
			},
			State: d.State, Online: d.online(e), Node: d.Node, Session: d.Session, Step: d.Step,
			LastSeenAt: seconds(d.LastSeen), OfflineCount: d.Count, BadgeBase: d.Base, Bindings: d.list(tail),
		})
	}
	return r
}

// OfflineCount tells the counts of all devices.
func (s *State) OfflineCount() *rousev1.GetOfflineCountResponse {
	r := &rousev1.GetOfflineCountResponse{ByDevice: make(map[string]uint32, len(s.Devices))}
	for i := range s.Devices {
		d := &s.Devices[i]
		r.ByDevice[d.ID] = d.Count
		r.Count = max(r.Count, d.Count)
	}
	return r
}
