package user

import (
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rouse-im/rouse/actors/user/quiet"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

// MaxWindows of quiet time that a user may have.
const MaxWindows = 8

// Settings are what a user wishes for all his conversations; zero = not set.
type Settings struct {
	Mode, Direct, Group      rousev1.NotifyMode // of all, of direct and of group conversations
	Windows                  []quiet.Window
	QuietUntil               int64  // unix ms
	Zone                     string // IANA name
	Style                    rousev1.DisplayStyle
	Nickname, Lang, Template string
	HideContent              bool
}

// The settings in the record are a protobuf message, written by hand; without
// any there is none:
//
//	1 mode · 2 direct mode · 3 group mode · 4 packed window* · 5 quiet until ms · 6 zone ·
//	  7 style · 8 nickname · 9 language · 10 template · 11 hide content
func (s *Settings) encode(b []byte) []byte {
	b = putInt(b, 1, s.Mode)
	b = putInt(b, 2, s.Direct)
	b = putInt(b, 3, s.Group)
	for _, w := range s.Windows {
		b = protowire.AppendVarint(protowire.AppendTag(b, 4, protowire.VarintType), uint64(w.Pack()))
	}
	b = putInt(b, 5, s.QuietUntil)
	b = putString(b, 6, s.Zone)
	b = putInt(b, 7, s.Style)
	b = putString(b, 8, s.Nickname)
	b = putString(b, 9, s.Lang)
	b = putString(b, 10, s.Template)
	if s.HideContent {
		b = putInt(b, 11, uint32(1))
	}
	return b
}

func (s *Settings) decode(rec string) error {
	r := reader{s: rec}
	for {
		f, n, b, ok := r.next()
		if !ok {
			return r.err
		}
		switch f {
		case 1:
			s.Mode = rousev1.NotifyMode(n)
		case 2:
			s.Direct = rousev1.NotifyMode(n)
		case 3:
			s.Group = rousev1.NotifyMode(n)
		case 4:
			s.Windows = append(s.Windows, quiet.Unpack(uint32(n)))
		case 5:
			s.QuietUntil = int64(n)
		case 6:
			s.Zone = b
		case 7:
			s.Style = rousev1.DisplayStyle(n)
		case 8:
			s.Nickname = b
		case 9:
			s.Lang = b
		case 10:
			s.Template = b
		case 11:
			s.HideContent = n != 0
		}
	}
}

// proto tells the settings as they are at a time.
func (s *Settings) proto(now time.Time) *rousev1.UserSettings {
	u := &rousev1.UserSettings{
		Mode: s.Mode, DirectMode: s.Direct, GroupMode: s.Group, QuietUntil: until(s.QuietUntil, now), TimeZone: s.Zone,
		Style: s.Style, Nickname: s.Nickname, Language: s.Lang, Template: s.Template, HideContent: s.HideContent,
	}
	for _, w := range s.Windows {
		p := &rousev1.QuietWindow{StartMinute: uint32(w.Start), EndMinute: uint32(w.End), WholeDay: w.WholeDay, MentionsPass: w.MentionsPass}
		for d := range uint32(7) {
			if w.Days&(1<<d) != 0 {
				p.Weekdays = append(p.Weekdays, d+1)
			}
		}
		u.Windows = append(u.Windows, p)
	}
	return u
}

// until is a time that has not come yet, or none.
func until(ms int64, now time.Time) *timestamppb.Timestamp {
	if ms <= now.UnixMilli() {
		return nil
	}
	return millis(ms)
}
