// Package stepped makes the times that a clock tells after it was set: another
// hour on the wall, and as much time gone by as before. Package time makes no such
// times, and none at all of two readings in a bubble of testing/synctest; tests of
// what a set clock does to the engine have them from here.
package stepped

import (
	"time"
	"unsafe"
)

// Wall moves what the clock on the wall says at t, by whole seconds. What has passed
// between two results is what has passed between the times that they were made of;
// these are all of one bubble, or all of none. Within a bubble time.Since and
// time.Until know nothing of that. The wall times are between 1885 and 2157.
func Wall(t time.Time, by time.Duration) time.Time {
	// As package time describes it: wall is a flag (bit 63: ext is what has passed),
	// the seconds since 1885 (33 bits) and nanoseconds (30 bits).
	const flag, seconds, year1885 = 1 << 63, 30, -2682288000
	x := (*struct {
		wall uint64
		ext  int64
		loc  *time.Location
	})(unsafe.Pointer(&t)) //nolint:gosec // TestWall fails when package time changes
	if x.wall&flag == 0 {
		x.wall, x.ext = flag|uint64(t.Unix()-year1885)<<seconds|x.wall, t.UnixNano() //nolint:gosec // within the years above
	}
	x.wall += uint64(by/time.Second) << seconds //nolint:gosec // wraps around as intended
	return t
}
