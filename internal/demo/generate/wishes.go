package main

import (
	"fmt"

	"github.com/rouse-im/rouse/internal/demo"
)

// wish is what some users do not want to be woken by.
func (s *story) wish(i int, u *user) {
	l := demo.Line{Do: demo.Wish, User: u.name}
	switch i % 40 {
	case 2, 22:
		l.Mode = "mention-only"
	case 5:
		l.AllDay = true
	case 25:
		l.AllDay, l.Pass = true, true
	case 15:
		l.Mode = "none"
	case 9, 29:
		if len(u.groups) == 0 {
			return
		}
		l.Group, l.Mode = u.groups[0].id, "none"
	case 18, 38:
		if len(u.groups) == 0 {
			return
		}
		l.Group, l.Quiet = u.groups[0].id, 8*3600
	default:
		return
	}
	s.tell(l)
}

// night: some users want to be left alone for it.
func (s *story) night() {
	for range 20 {
		s.tell(demo.Line{Do: demo.Wish, User: s.someone().name, Quiet: 8 * 3600})
	}
}

// campaign is advertising to always the same users. Vendors allow one or two a
// day to a device, and vivo none at night: it is soon of no use.
func (s *story) campaign() {
	s.messages++
	l := demo.Line{Do: demo.Message, Node: s.node(), ID: fmt.Sprintf("m%04d", s.messages), From: "shop", Class: "marketing", TTL: 3, Text: "Everything at half price"}
	for _, u := range s.users[:60] {
		l.To = append(l.To, u.name)
	}
	s.tell(l)
}

// taps: the newest pushes to Meizu's phones are opened. Other vendors do not
// report it.
func (s *story) taps() {
	for _, u := range s.users {
		if d := u.devices[0]; d.notifier == demo.Meizu && d.token != "" {
			s.tell(demo.Line{Do: demo.Tap, Vendor: demo.Meizu, Token: d.token})
		}
	}
}

// maxRecent bounds the messages that may be recalled.
const maxRecent = 40

// recall withdraws one of the last messages, or changes what it says.
func (s *story) recall() {
	m := s.recent[s.r.IntN(len(s.recent))]
	l := demo.Line{Do: demo.Recall, Node: s.node(), ID: m.ID, From: m.From, Group: m.Group}
	if m.Group == "" {
		l.To = m.To
	}
	if s.r.IntN(3) == 0 {
		l.Text = "I meant: " + texts[s.r.IntN(len(texts))]
	}
	s.tell(l)
}
