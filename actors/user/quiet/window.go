// Package quiet tells when a user does not want to be woken: in daily windows
// of the clock on his wall.
//
// A window goes by what that clock shows. Where the clock jumps ahead, a window
// that starts in the gap starts after it, and one that lies within it does not
// occur. Where the clock is set back, the hour that it shows twice is quiet
// twice.
package quiet

import (
	"fmt"
	"strings"
	"time"
)

// Window is a time of day, from its first minute up to, and without, its last.
// One that ends before it starts ends on the next day.
type Window struct {
	Start, End uint16 // minutes after midnight; End at most 1440
	// WholeDay: 24 hours from Start on; End is the same as Start. Without it the
	// two differ.
	WholeDay bool
	// Days on which the window starts: bit 0 is Monday, bit 6 Sunday; 0 = each day.
	Days uint8
	// MentionsPass: those who mention the user may wake him.
	MentionsPass bool
}

const (
	minutesOfDay = 24 * 60
	everyDay     = 1<<7 - 1
)

// Fault tells what is wrong with a window and how to say it right; empty = nothing.
func (w Window) Fault() string {
	switch {
	case w.Start >= minutesOfDay || w.End > minutesOfDay || w.Days > everyDay:
		return "start_minute goes up to 1439, end_minute up to 1440, and weekdays from 1 to 7"
	case w.Start == w.End && !w.WholeDay:
		return "it starts and ends at the same minute; set whole_day if it lasts 24 hours, or leave the window out to have none"
	case w.Start != w.End && w.WholeDay:
		return "whole_day lasts 24 hours from start_minute on; make end_minute the same, or leave whole_day out"
	}
	return ""
}

// Contains tells whether the clock that t shows is in the window.
func (w Window) Contains(t time.Time) bool {
	minute := uint16(t.Hour()*60 + t.Minute())
	today := t.Weekday()
	if w.Start < w.End {
		return w.Start <= minute && minute < w.End && w.startsOn(today)
	}
	return minute >= w.Start && w.startsOn(today) || minute < w.End && w.startsOn((today+6)%7)
}

func (w Window) startsOn(d time.Weekday) bool {
	return w.Days == 0 || w.Days&DayBit(d) != 0
}

// DayBit of a day in Window.Days.
func DayBit(d time.Weekday) uint8 { return 1 << ((d + 6) % 7) }

// Bits of a packed window: start 0-10, end 11-21, days 22-28, whole day 29,
// mentions pass 30. They are on disk.
const (
	endShift, daysShift    = 11, 22
	wholeDayBit, passesBit = 1 << 29, 1 << 30
	minuteMask             = 1<<11 - 1
)

// Pack puts the window into a number.
func (w Window) Pack() uint32 {
	n := uint32(w.Start) | uint32(w.End)<<endShift | uint32(w.Days)<<daysShift
	if w.WholeDay {
		n |= wholeDayBit
	}
	if w.MentionsPass {
		n |= passesBit
	}
	return n
}

// Unpack undoes Pack; any number has a window, of which Fault tells.
func Unpack(n uint32) Window {
	return Window{
		Start: uint16(n & minuteMask), End: uint16(n >> endShift & minuteMask), Days: uint8(n >> daysShift & everyDay),
		WholeDay: n&wholeDayBit != 0, MentionsPass: n&passesBit != 0,
	}
}

// String shows the window as people write it: "22:00-08:00 Mon,Tue".
func (w Window) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%02d:%02d-%02d:%02d", w.Start/60, w.Start%60, w.End/60, w.End%60)
	sep := " "
	for i := range 7 {
		if w.Days&(1<<i) != 0 {
			b.WriteString(sep + time.Weekday((i + 1) % 7).String()[:3])
			sep = ","
		}
	}
	return b.String()
}
