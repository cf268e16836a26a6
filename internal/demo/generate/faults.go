package main

import (
	"github.com/rouse-im/rouse/internal/demo"
)

// makers are the vendors of phones that are neither Apple's nor Google's, and
// their notifiers.
var makers = []string{demo.Huawei, demo.Harmony, demo.Honor, demo.Xiaomi, demo.OPPO, demo.Vivo, demo.Meizu}

// throttled: all vendors refuse pushes for their number, and say how long to wait.
func (s *story) throttled() {
	s.tell(demo.Line{Do: demo.Fault, Vendor: demo.APNs, Fault: demo.HotDevice, Times: 20, RetryAfter: 1})
	for _, vendor := range append([]string{demo.FCM}, makers...) {
		s.tell(demo.Line{Do: demo.Fault, Vendor: vendor, Fault: demo.Throttle, Times: 5, RetryAfter: 1})
	}
	for range 12 {
		s.inGroup(s.group())
	}
}

// expired: access tokens end before their time. Nobody notices but the clients,
// which ask for new ones.
func (s *story) expired() {
	for _, vendor := range []string{demo.FCM, demo.Huawei, demo.Harmony, demo.Honor, demo.OPPO, demo.Vivo} {
		s.tell(demo.Line{Do: demo.Fault, Vendor: vendor, Fault: demo.Expired})
	}
	for range 8 {
		s.inGroup(s.group())
	}
}

// outage: APNs answers nothing but 500 for a while. What waits meanwhile is
// read elsewhere, expires, is overtaken, or its device comes back. Then the
// others have bad moments.
func (s *story) outage() {
	s.tell(demo.Line{Do: demo.Fault, Vendor: demo.APNs, Fault: demo.Down})
	for range 10 {
		s.inGroup(s.group())
	}
	for range 40 {
		s.waiting(s.offlineApple())
	}
	for range 4 {
		s.inGroup(s.group())
	}
	s.tell(demo.Line{Do: demo.Heal, Vendor: demo.APNs})
	for _, vendor := range append([]string{demo.FCM}, makers...) {
		s.tell(demo.Line{Do: demo.Fault, Vendor: vendor, Fault: demo.Down, Times: 4, RetryAfter: 1})
	}
}

// offlineApple is a user whose only way to be reached is an iPhone.
func (s *story) offlineApple() *user {
	for {
		u := s.someone()
		if d := u.devices[0]; u.online() == "" && d.notifier == demo.IOS && d.token != "" && d.state == disconnected {
			return u
		}
	}
}

// waiting is a message that has to wait, and why it may never be pushed.
func (s *story) waiting(u *user) {
	from := s.someone()
	if from == u {
		return
	}
	switch s.r.IntN(4) {
	case 0:
		s.say(s.message(from, demo.Line{To: []string{u.name}, TTL: 2}), u)
	case 1:
		for range 3 {
			s.say(s.message(from, demo.Line{To: []string{u.name}, Collapse: "status-" + from.name, Text: "is typing a long story"}), u)
		}
	case 2:
		l := s.message(from, demo.Line{To: []string{u.name}})
		s.say(l, u)
		s.tell(demo.Line{Do: demo.Read, Node: s.node(), User: u.name, Messages: []string{l.ID}})
	case 3:
		s.say(s.message(from, demo.Line{To: []string{u.name}}), u)
		s.come(u.devices[0])
	}
}

// unanswered: vendors take pushes and cut the connection. Nobody can know, so
// they are sent again under their ids.
func (s *story) unanswered() {
	for _, vendor := range append([]string{demo.APNs, demo.FCM}, makers...) {
		s.tell(demo.Line{Do: demo.Fault, Vendor: vendor, Fault: demo.Unanswered, Times: 2})
	}
	for range 12 {
		s.inGroup(s.group())
	}
}

// crash: an IM node dies. Its sessions are online until its lease ends, and
// offline after that without a word from anybody.
func (s *story) crash() {
	const dying = "im-2"
	s.up = []string{"im-1"}
	witness := ""
	for _, u := range s.users {
		for _, d := range u.devices {
			if d.online() && d.node == dying {
				d.state, witness = lost, u.name
			}
		}
	}
	s.tell(demo.Line{Do: demo.Crash, Node: dying, User: witness})
	for range 20 {
		s.inGroup(s.group())
	}
}

// retirement: apps are deleted from phones, so their tokens die, two at each vendor.
func (s *story) retirement() {
	for _, notifier := range append([]string{demo.IOS, demo.Android}, makers...) {
		for range 2 {
			s.retire(notifier)
		}
	}
	for range 10 {
		s.inGroup(s.group())
	}
}

// retire ends the app on an idle phone of the notifier.
func (s *story) retire(notifier string) {
	for {
		d := s.someone().devices[0]
		if d.notifier != notifier || d.token == "" || d.online() {
			continue
		}
		s.tell(demo.Line{Do: demo.Dead, Vendor: demo.VendorOf(notifier), Token: d.token})
		d.token = ""
		return
	}
}
