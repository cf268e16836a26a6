// Package stepped makes the times that a clock tells after it was set: another
// hour on the wall, and as much time gone by as before. Package time makes no such
// times, and none at all of two readings in a bubble of testing/synctest; tests of
// what a set clock does to the engine have them from here.
package stepped

import (
	"time"
	"unsafe"
)

// instant is a time.Time as package time describes it: wall is a flag (bit 63: ext is
// what has passed), the seconds since 1885 (33 bits) and nanoseconds (30 bits).
type instant struct {
	wall uint64
	ext  int64
	loc  *time.Location
}

const flag, seconds, year1885 = 1 << 63, 30, -2682288000

// Wall moves what the clock on the wall says at t, by whole seconds. What has passed
// between two results is what has passed between the times that they were made of;
// these are all of one bubble, or all of none. The wall times are between 1885
// and 2157.
func Wall(t time.Time, by time.Duration) time.Time {
	x := (*instant)(unsafe.Pointer(&t)) //nolint:gosec // TestWall fails when package time changes
	if x.wall&flag == 0 {
		x.wall, x.ext = flag|uint64(t.Unix()-year1885)<<seconds|x.wall, passed(t) //nolint:gosec // within the years above
	}
	x.wall += uint64(by/time.Second) << seconds //nolint:gosec // wraps around as intended
	return t
}

// passed is what has passed at t, which does not say it, so that time.Since and
// time.Until of a time of a bubble are right within it.
func passed(t time.Time) int64 {
	now := time.Now()
	if (*instant)(unsafe.Pointer(&now)).wall&flag != 0 { //nolint:gosec // as above
		return t.UnixNano()
	}
	var beginning time.Time
	(*instant)(unsafe.Pointer(&beginning)).wall = flag //nolint:gosec // as above
	return int64(time.Since(beginning)) + int64(t.Sub(now))
}
