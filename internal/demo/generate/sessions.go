package main

import (
	"slices"

	"github.com/rouse-im/rouse/internal/demo"
)

// report writes the device's session down as its IM node reports it.
func (s *story) report(d *device, state string) {
	d.state = state
	s.tell(demo.Line{
		Do: demo.Presence, Node: d.node, User: d.of.name, Device: d.name, Platform: d.platform, Brand: d.brand,
		State: state, Session: d.session, Step: d.step,
	})
}

// next is a later event of the same session.
func (s *story) next(d *device, state string) {
	d.step++
	s.report(d, state)
}

// open begins a session on some IM node.
func (s *story) open(d *device) {
	d.session, d.step, d.node = d.session+1, 0, s.node()
	s.report(d, connected)
}

// login opens a session and registers for pushes, as apps do at each start.
func (s *story) login(d *device) {
	s.open(d)
	if d.notifier == "" {
		return
	}
	if d.token == "" {
		d.token = d.newToken()
	}
	s.bind(d)
}

func (s *story) bind(d *device) {
	s.tell(demo.Line{Do: demo.Bind, User: d.of.name, Device: d.name, Notifier: d.notifier, Token: d.token})
	if d.voip {
		s.tell(demo.Line{Do: demo.Bind, User: d.of.name, Device: d.name, Notifier: demo.IOSVoIP, Token: "cafe" + d.token})
	}
}

// come is a device that is taken up again.
func (s *story) come(d *device) {
	if d.state == "" || d.state == kicked || d.state == loggedOut {
		s.login(d)
	} else {
		s.open(d)
	}
	if s.r.IntN(100) < 70 {
		s.tell(demo.Line{Do: demo.Fetched, Node: d.node, User: d.of.name, Device: d.name})
	}
}

// go away, in one of the ways that devices have.
func (s *story) leave(d *device) {
	switch n := s.r.IntN(100); {
	case n < 78:
		s.next(d, disconnected)
	case n < 85:
		s.next(d, kicked)
	case n < 93:
		s.next(d, loggedOut)
	default:
		d.step++
		d.state, d.token = loggedOut, ""
		s.tell(demo.Line{
			Do: demo.Presence, Node: d.node, User: d.of.name, Device: d.name, Platform: d.platform, Brand: d.brand,
			State: loggedOut, Session: d.session, Step: d.step, Unbind: true,
		})
	}
}

// renew is a token that the vendor has changed.
func (s *story) renew(d *device) {
	if d.notifier == "" || !d.online() {
		return
	}
	d.token = d.newToken()
	s.bind(d)
}

// sell gives a phone to a stranger with one of the same vendor, whose login
// takes the token along. The seller never said goodbye.
func (s *story) sell(from *user) {
	old := from.devices[0]
	heirs := slices.DeleteFunc(slices.Clone(s.users[users-strangers:]), func(u *user) bool {
		return u.devices[0].notifier != old.notifier || u.devices[0].voip
	})
	if !old.online() || old.token == "" || old.voip || len(heirs) == 0 {
		return
	}
	phone := heirs[s.r.IntN(len(heirs))].devices[0]
	s.next(old, disconnected)
	phone.token, old.token = old.token, ""
	s.login(phone)
}

// late is an event that comes after a newer session has begun: it is stale.
func (s *story) late(d *device) {
	if d.session > 1 && d.online() {
		s.tell(demo.Line{
			Do: demo.Presence, Node: d.node, User: d.of.name, Device: d.name, Platform: d.platform, Brand: d.brand,
			State: disconnected, Session: d.session - 1, Step: 1_000,
		})
	}
}
