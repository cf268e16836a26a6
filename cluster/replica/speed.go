package replica

import "time"

const (
	// speedEvery is how often the speed is decided anew.
	speedEvery = 500 * time.Millisecond
	// leastPart of most is the least speed: a copy always goes on.
	leastPart = 16
	// fewCommits say nothing about how long most take: they are counted on with the
	// next ones. fewFor is after how many decisions a node has so few that a copy can
	// hold up little.
	fewCommits = 100
	fewFor     = 10
	// Beyond usual and half of it commits are slow; up to a fifth they are not.
	// slack is what the clock and the scheduler of an idle machine differ by.
	slack = 200 * time.Microsecond
	// Factors of one decision. Down is steeper than up: what has become slow shall
	// be so for a moment only.
	slower, faster = 0.7, 1.2
	// usualPart is how much of a new measurement goes into what is usual, and
	// creepPart while the copy is at its slowest and commits are slow all the
	// same: then it is not the copy that makes them so.
	usualPart, creepPart = 8, 32
)

// speed decides how fast a node copies groups as a whole, from how long its own
// commits take: it speeds up while they take what they take without a copy, and
// slows down while they take longer. Invariant: least <= now <= most.
type speed struct {
	least, most, now float64 // bytes per second
	// usual is what most commits, see tally, stay below while nothing is copied, or
	// do since the copy began if that is less; 0 = not known.
	usual time.Duration
}

func newSpeed(most float64) speed {
	least := min(most, max(most/leastPart, leastSnapshotRate))
	return speed{least: least, most: most, now: least}
}

// rest takes what most commits stayed below while nothing was copied. The
// next copy begins at the least speed.
func (s *speed) rest(took time.Duration) {
	s.now = s.least
	if s.usual == 0 {
		s.usual = took
	}
	s.usual += (took - s.usual) / usualPart
}

// copied decides by what most commits stayed below while something was copied.
func (s *speed) copied(took time.Duration) {
	if s.usual == 0 {
		s.usual = took
	}
	s.usual += min(0, took-s.usual) / usualPart
	switch {
	case took <= s.usual+s.usual/5+slack/2:
		s.free()
	case s.now == s.least:
		s.usual += (took - s.usual) / creepPart
	case took > s.usual+s.usual/2+slack:
		s.now = max(s.least, s.now*slower)
	}
}

// free decides where a copy holds up nothing.
func (s *speed) free() { s.now = min(s.most, s.now*faster) }
