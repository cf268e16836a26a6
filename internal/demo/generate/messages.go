package main

import (
	"fmt"

	"github.com/rouse-im/rouse/internal/demo"
)

var texts = []string{
	"Are you there?", "Lunch at 12:30?", "在吗？", "The build is green again.", "Running late, start without me.",
	"收到，谢谢！", "Can you look at this?", "See you tonight 👋", "明天上午十点开会", "Photo", "Done.", "Happy birthday! 🎂",
}

// message fills in what all messages have.
func (s *story) message(from *user, l demo.Line) demo.Line {
	s.messages++
	l.Do, l.ID, l.From = demo.Message, fmt.Sprintf("m%04d", s.messages), from.name
	if l.Text == "" {
		l.Text = texts[s.r.IntN(len(texts))]
	}
	if l.Node = from.online(); l.Node == "" {
		l.Node = s.node()
	}
	return l
}

// say sends a message and, now and then, sends it again: the IM node did not
// see the answer.
func (s *story) say(l demo.Line, to ...*user) {
	s.tell(l)
	if s.r.IntN(100) < 3 {
		s.tell(l)
	}
	for _, u := range to {
		u.got(l.ID)
	}
	if s.recent = append(s.recent, l); len(s.recent) > maxRecent {
		s.recent = s.recent[1:]
	}
}

// direct is a message to one user; some are of a kind of their own.
func (s *story) direct(from, to *user) {
	if from == to {
		return
	}
	l := s.message(from, demo.Line{To: []string{to.name}})
	switch n := s.r.IntN(100); {
	case n < 6:
		l.Class, l.Text, l.TTL = "call", "Incoming call", 45
	case n < 10:
		l.Ignore = true
	case n < 15:
		l.Kind, l.Text = "typing", ""
	case n < 18:
		l.NoCount = true
	case n < 24:
		l.TTL = 3600
	case n < 27:
		l.Template, l.Args, l.Text = "parcel", []string{fmt.Sprintf("R-%03d", s.r.IntN(1000)), "the front desk"}, "Your parcel has come"
	case n < 30:
		l.Ext = `{"em_push_ext":{"custom":{"order":7}}}`
	case n < 32:
		l.Ext = `{"em_ignore_notification":true}`
	case n < 34:
		l.Force = true
	}
	s.say(l, to)
}

// inGroup is a message to all members, their author included.
func (s *story) inGroup(g *group) {
	from := g.members[s.r.IntN(len(g.members))]
	l := s.message(from, demo.Line{Group: g.id})
	switch n := s.r.IntN(100); {
	case n < 12:
		l.Mentions = []string{g.members[s.r.IntN(len(g.members))].name}
	case n < 15:
		l.Mentions = []string{"all"}
	}
	s.say(l, g.members...)
}

// read says that the user has read what he got last.
func (s *story) read(u *user) {
	if node := u.online(); node != "" && len(u.recent) > 0 {
		s.tell(demo.Line{Do: demo.Read, Node: node, User: u.name, Messages: append([]string(nil), u.recent...)})
	}
}

// toUnknown is a message to somebody who never had a device.
func (s *story) toUnknown(from *user) {
	s.say(s.message(from, demo.Line{To: []string{fmt.Sprintf("ghost%d", s.r.IntN(5))}}))
}
