package quiet

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var zones Zones

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	l := zones.Find(name)
	if l == nil {
		t.Fatalf("zone %s is not known", name)
	}
	return l
}

func minute(hh, mm uint16) uint16 { return hh*60 + mm }

func days(list ...time.Weekday) (bits uint8) {
	for _, d := range list {
		bits |= DayBit(d)
	}
	return bits
}

// 2026-03-02 is a Monday.
func TestContains(t *testing.T) {
	night := Window{Start: minute(22, 0), End: minute(8, 0)}
	noon := Window{Start: minute(12, 0), End: minute(13, 0)}
	fridayNight := Window{Start: minute(22, 0), End: minute(8, 0), Days: days(time.Friday)}
	sunday := Window{WholeDay: true, Days: days(time.Sunday)}
	fromNine := Window{Start: minute(9, 0), End: minute(9, 0), WholeDay: true, Days: days(time.Saturday)}
	evening := Window{Start: minute(20, 0), End: 1440, Days: days(time.Monday)}
	for _, tc := range []struct {
		w    Window
		at   string
		want bool
	}{
		{night, "2026-03-02 21:59:59", false},
		{night, "2026-03-02 22:00:00", true},
		{night, "2026-03-03 00:00:00", true},
		{night, "2026-03-03 07:59:59", true},
		{night, "2026-03-03 08:00:00", false},
		{noon, "2026-03-02 11:59:59", false},
		{noon, "2026-03-02 12:00:00", true},
		{noon, "2026-03-02 12:59:59", true},
		{noon, "2026-03-02 13:00:00", false},
		{fridayNight, "2026-03-06 21:59:59", false},
		{fridayNight, "2026-03-06 22:00:00", true},
		{fridayNight, "2026-03-07 07:59:59", true}, // Saturday, but it started on Friday
		{fridayNight, "2026-03-06 07:59:59", false},
		{fridayNight, "2026-03-07 22:00:00", false},
		{sunday, "2026-03-07 23:59:59", false},
		{sunday, "2026-03-08 00:00:00", true},
		{sunday, "2026-03-08 23:59:59", true},
		{sunday, "2026-03-09 00:00:00", false},
		{fromNine, "2026-03-07 08:59:59", false},
		{fromNine, "2026-03-07 09:00:00", true},
		{fromNine, "2026-03-08 08:59:59", true},
		{fromNine, "2026-03-08 09:00:00", false},
		{evening, "2026-03-02 23:59:59", true},
		{evening, "2026-03-03 00:00:00", false},
	} {
		at, err := time.Parse(time.DateTime, tc.at)
		if err != nil {
			t.Fatal(err)
		}
		if got := tc.w.Contains(at); got != tc.want {
			t.Errorf("%s at %s: %v", tc.w, tc.at, got)
		}
	}
}

// In Berlin the clock goes from 02:00 to 03:00 on 2026-03-29 (01:00 UTC), and
// from 03:00 back to 02:00 on 2026-10-25 (01:00 UTC).
func TestDaylightSaving(t *testing.T) {
	for name, tc := range map[string]struct {
		w     Window
		zone  string
		from  string // UTC
		hours int
		want  string // quiet half hours, one letter each: q or .
	}{
		"ahead, across the gap":       {Window{Start: minute(1, 0), End: minute(4, 0)}, "Europe/Berlin", "2026-03-28T23:00:00Z", 4, "..qqqq.."},
		"ahead, starts in the gap":    {Window{Start: minute(2, 30), End: minute(4, 0)}, "Europe/Berlin", "2026-03-28T23:00:00Z", 4, "....qq.."},
		"ahead, ends in the gap":      {Window{Start: minute(1, 0), End: minute(2, 30)}, "Europe/Berlin", "2026-03-28T23:00:00Z", 4, "..qq...."},
		"ahead, within the gap":       {Window{Start: minute(2, 0), End: minute(3, 0)}, "Europe/Berlin", "2026-03-28T23:00:00Z", 4, "........"},
		"back, across the hour":       {Window{Start: minute(1, 0), End: minute(4, 0)}, "Europe/Berlin", "2026-10-24T22:00:00Z", 6, "..qqqqqqqq.."},
		"back, starts in the hour":    {Window{Start: minute(2, 30), End: minute(4, 0)}, "Europe/Berlin", "2026-10-24T22:00:00Z", 6, ".....q.qqq.."},
		"back, ends in the hour":      {Window{Start: minute(1, 0), End: minute(2, 30)}, "Europe/Berlin", "2026-10-24T22:00:00Z", 6, "..qqq.q....."},
		"back, within the hour":       {Window{Start: minute(2, 0), End: minute(2, 30)}, "Europe/Berlin", "2026-10-24T22:00:00Z", 6, "....q.q....."},
		"night across the change":     {Window{Start: minute(22, 0), End: minute(7, 0)}, "Europe/Berlin", "2026-03-29T04:00:00Z", 2, "qq.."},
		"night across the way back":   {Window{Start: minute(22, 0), End: minute(7, 0)}, "Europe/Berlin", "2026-10-25T05:00:00Z", 2, "qq.."},
		"whole day of 23 hours":       {Window{WholeDay: true, Days: days(time.Sunday)}, "Europe/Berlin", "2026-03-29T21:00:00Z", 2, "qq.."},
		"whole day of 25 hours":       {Window{WholeDay: true, Days: days(time.Sunday)}, "Europe/Berlin", "2026-10-25T22:00:00Z", 2, "qq.."},
		"the gap is at midnight":      {Window{Start: minute(0, 30), End: minute(2, 0)}, "Asia/Beirut", "2026-03-28T21:00:00Z", 3, "..qq.."},
		"half an hour, Lord Howe":     {Window{Start: minute(1, 30), End: minute(2, 0)}, "Australia/Lord_Howe", "2026-04-04T14:00:00Z", 2, ".qq."},
		"the south goes other ways":   {Window{Start: minute(2, 0), End: minute(3, 0)}, "Australia/Sydney", "2026-04-04T14:00:00Z", 4, "..qqqq.."},
		"no daylight saving at all":   {Window{Start: minute(22, 0), End: minute(8, 0)}, "Asia/Shanghai", "2026-03-29T13:00:00Z", 2, "..qq"},
		"a quarter of an hour, Nepal": {Window{Start: minute(22, 0), End: minute(22, 30)}, "Asia/Kathmandu", "2026-03-29T16:15:00Z", 1, "q."},
	} {
		t.Run(name, func(t *testing.T) {
			at, err := time.Parse(time.RFC3339, tc.from)
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			for range 2 * tc.hours {
				if tc.w.Contains(at.In(zone(t, tc.zone))) {
					got += "q"
				} else {
					got += "."
				}
				at = at.Add(30 * time.Minute)
			}
			if got != tc.want {
				t.Errorf("%s in %s: %s, want %s", tc.w, tc.zone, got, tc.want)
			}
		})
	}
}

func draw(t *rapid.T) Window {
	w := Window{
		Start: uint16(rapid.IntRange(0, 1439).Draw(t, "start")), End: uint16(rapid.IntRange(0, 1440).Draw(t, "end")),
		Days: uint8(rapid.IntRange(0, everyDay).Draw(t, "days")), MentionsPass: rapid.Bool().Draw(t, "mentions pass"),
	}
	w.WholeDay = w.Start == w.End
	return w
}

// Where no clock is changed, a window holds as many minutes of a week as its
// length says, and they follow one another from its start on.
func TestMinutesOfAWeek(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := draw(t)
		if f := w.Fault(); f != "" {
			t.Fatal(f)
		}
		length := (int(w.End) - int(w.Start) + minutesOfDay - 1) % minutesOfDay
		occurs := 0
		monday := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
		want := map[int]bool{}
		for d := range 7 {
			if w.Days != 0 && w.Days&(1<<d) == 0 {
				continue
			}
			occurs++
			for m := range length + 1 {
				want[(d*minutesOfDay+int(w.Start)+m)%(7*minutesOfDay)] = true
			}
		}
		for m := range 7 * minutesOfDay {
			if got := w.Contains(monday.Add(time.Duration(m) * time.Minute)); got != want[m] {
				t.Fatalf("%s, minute %d: %v", w, m, got)
			}
		}
		if occurs == 0 {
			t.Fatal("a window without days never occurs")
		}
	})
}

func TestPackRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		if w := draw(t); Unpack(w.Pack()) != w {
			t.Fatalf("%+v came back as %+v", w, Unpack(w.Pack()))
		}
	})
	if got := (Window{Start: 1, End: 2, WholeDay: true, Days: 64, MentionsPass: true}).Pack(); got != 0x70001001 {
		t.Errorf("the form on disk changed: %#x", got)
	}
}

func FuzzUnpack(f *testing.F) {
	f.Add(uint32(0), int64(0))
	f.Add(Window{Start: 1320, End: 480, Days: 31}.Pack(), int64(1_795_392_000))
	f.Fuzz(func(t *testing.T, n uint32, unix int64) {
		w := Unpack(n)
		at := time.Unix(unix, 0).UTC()
		in := w.Contains(at)
		if w.Fault() != "" {
			return
		}
		if in != w.Contains(at.AddDate(0, 0, 7)) || in != w.Contains(at.Truncate(time.Minute)) {
			t.Errorf("%s at %s: %v, but not a week later or at the full minute", w, at, in)
		}
		if w.Pack() != n&(1<<31-1) {
			t.Errorf("%#x came back as %#x", n, w.Pack())
		}
	})
}

func TestFaults(t *testing.T) {
	for _, w := range []Window{{Start: 1440}, {Start: 3, End: 1441}, {}, {Start: 540, End: 540}, {Start: 1, End: 2, WholeDay: true}, {End: 1, Days: 1 << 7}} {
		if w.Fault() == "" {
			t.Errorf("%+v is taken", w)
		}
	}
}

func TestString(t *testing.T) {
	w := Window{Start: minute(22, 0), End: minute(8, 5), Days: days(time.Monday, time.Sunday)}
	if got := w.String(); got != "22:00-08:05 Mon,Sun" {
		t.Error(got)
	}
}

func TestZones(t *testing.T) {
	var z Zones
	if (*Zones)(nil).Find("Asia/Shanghai") == nil {
		t.Error("without memory nothing is found")
	}
	for _, name := range []string{"", "Local", "Nowhere/Atlantis", "../etc/passwd", "/etc/localtime"} {
		for range 2 { // the second time from memory
			if z.Find(name) != nil {
				t.Errorf("%q is a zone", name)
			}
		}
	}
	if a, b := z.Find("Asia/Shanghai"), z.Find("Asia/Shanghai"); a == nil || a != b {
		t.Error("a zone is not kept")
	}
	for i := range 3 * maxZones {
		z.Find(fmt.Sprint("Nowhere/", i))
	}
	if n := len(z.known); n > maxZones {
		t.Errorf("%d names are kept", n)
	}
}

func BenchmarkContains(b *testing.B) {
	w, l, at := Window{Start: minute(22, 0), End: minute(8, 0), Days: 31}, zone(b, "Europe/Berlin"), time.Unix(1_795_392_000, 0)
	b.ReportAllocs()
	for b.Loop() {
		_ = w.Contains(at.In(l))
	}
}
