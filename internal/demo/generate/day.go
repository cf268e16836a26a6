package main

import (
	"math/rand/v2"

	"github.com/rouse-im/rouse/internal/demo"
)

// Size of the day.
const (
	users     = 400
	groups    = 24
	strangers = 20 // users in no group
	perHour   = 340
)

// story writes the day down.
type story struct {
	r        *rand.Rand
	users    []*user
	groups   []*group
	up       []string // IM nodes that are up
	lines    []demo.Line
	messages int
	recent   []demo.Line // messages that may be recalled, the newest last
}

func (s *story) tell(l demo.Line) { s.lines = append(s.lines, l) }

func (s *story) node() string { return s.up[s.r.IntN(len(s.up))] }

func (s *story) user() *user { return s.users[s.r.IntN(len(s.users))] }

func (s *story) someone() *user { return s.users[s.r.IntN(len(s.users)-strangers)] }

func (s *story) group() *group { return s.groups[s.r.IntN(len(s.groups))] }

func (s *story) device() *device {
	u := s.user()
	return u.devices[s.r.IntN(len(u.devices))]
}

// day is one day of the IM, from seven to midnight.
func day() []demo.Line {
	s := &story{r: rand.New(rand.NewPCG(7, 24)), up: []string{"im-1", "im-2"}}
	s.users, s.groups = people(s.r, users, groups)
	s.morning()
	for hour := 7; hour < 24; hour++ {
		for range perHour {
			s.something()
		}
		switch hour {
		case 8:
			s.campaign()
		case 9:
			s.retirement()
		case 11:
			s.throttled()
		case 12:
			s.campaign()
			s.taps()
		case 13:
			s.expired()
		case 14:
			s.outage()
		case 16:
			s.unanswered()
		case 17:
			s.campaign()
		case 18:
			s.crash()
		case 20:
			s.up = append(s.up, "im-2")
			s.tell(demo.Line{Do: demo.Up, Node: "im-2"})
		case 21:
			s.taps()
			s.night()
		}
	}
	return s.lines
}

// morning starts the IM nodes; everybody logs in on a phone, and puts it away.
func (s *story) morning() {
	for _, n := range s.up {
		s.tell(demo.Line{Do: demo.Up, Node: n})
	}
	for _, g := range s.groups {
		s.tell(demo.Line{Do: demo.Group, ID: g.id, Members: g.names()})
	}
	for i, u := range s.users[:users-strangers] {
		switch i % 20 {
		case 3:
			s.tell(demo.Line{Do: demo.Policy, User: u.name, Policy: "any-offline"})
		case 7:
			s.tell(demo.Line{Do: demo.Policy, User: u.name, Policy: "mobile-offline"})
		case 11, 12:
			s.tell(demo.Line{Do: demo.Policy, User: u.name, Policy: "away-delay", Delay: 1})
		}
		s.wish(i, u)
		s.login(u.devices[0])
		if s.r.IntN(100) < 80 {
			s.next(u.devices[0], disconnected)
		}
	}
}

// something is one of the things that happen all day.
func (s *story) something() {
	d := s.device()
	switch n := s.r.IntN(100); {
	case n < 40:
		s.direct(s.user(), s.user())
	case n < 54:
		s.inGroup(s.group())
	case n < 80:
		s.live(d)
	case n < 88 && d.online():
		s.leave(d)
	case n < 93:
		s.read(d.of)
	case n < 95:
		s.renew(d)
	case n < 96:
		s.sell(s.someone())
	case n < 98:
		s.late(d)
	case n < 99:
		s.toUnknown(d.of)
	default:
		s.recall()
	}
}

// live is the usual life of a device.
func (s *story) live(d *device) {
	switch {
	case !d.online() && s.r.IntN(2) == 0:
		s.come(d)
	case !d.online():
	case d.state == connected && s.r.IntN(2) == 0:
		s.next(d, background)
	case d.state == background && s.r.IntN(3) == 0:
		s.next(d, connected)
	default:
		s.leave(d)
	}
}
