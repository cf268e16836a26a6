package replica

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// commitTimes counts how long commits took, in classes that are an eighth wide:
// cheap enough to be told of every commit, from anywhere.
type commitTimes struct {
	some    atomic.Bool // since the last take
	classes [256]atomic.Uint32
}

// classOf has a class of its own for each of 0..15 µs, and eight for each doubling
// from then on. What takes longer than an hour is in the last one.
func classOf(d time.Duration) int {
	us := uint64(min(max(d, 0), time.Hour) / time.Microsecond)
	wide := max(0, bits.Len64(us)-4)
	return wide*8 + int(us>>wide)
}

// classEnd is what all of a class are below.
func classEnd(class int) time.Duration {
	wide := max(0, class/8-1)
	return time.Duration(uint64(class-wide*8+1)<<wide) * time.Microsecond
}

func (c *commitTimes) add(d time.Duration) {
	c.classes[classOf(d)].Add(1)
	if !c.some.Load() {
		c.some.Store(true)
	}
}

// tally is a number of commits by class.
type tally struct {
	n       uint64
	classes [256]uint32
}

// take moves what was counted to t. What is added meanwhile may come with the next
// take, or the one after the next add.
func (c *commitTimes) take(t *tally) {
	if !c.some.Swap(false) {
		return
	}
	for i := range c.classes {
		n := c.classes[i].Swap(0)
		t.classes[i] += n
		t.n += uint64(n)
	}
}

// most is what 98 of 100 were below: the slow ones are what is felt, and of the
// slowest alone a few hundred tell nothing.
func (t *tally) most() time.Duration {
	left := t.n - t.n/50
	for i, n := range t.classes {
		if left <= uint64(n) {
			return classEnd(i)
		}
		left -= uint64(n)
	}
	return 0
}
