package replica

import (
	"math/rand/v2"
	"testing"
	"time"
)

// disk is a node whose commits take longer the more of its capacity a copy uses.
type disk struct {
	alone    time.Duration // what a commit takes without a copy
	capacity float64       // bytes per second that double it
	noise    float64
}

func (d disk) commit(speed float64, rng *rand.Rand) time.Duration {
	factor := 1 + speed/d.capacity + d.noise*rng.NormFloat64()
	return time.Duration(float64(d.alone) * max(factor, 0.2))
}

const mib = 1 << 20

// A copy goes as fast as commits allow: at full speed where it costs nothing, at
// its least where any costs too much, and between them so that a commit takes less
// than twice what it took.
func TestSpeedFollowsCommits(t *testing.T) {
	for _, c := range []struct {
		name     string
		disk     disk
		from, to float64 // of the last half of the copy, MiB/s
	}{
		{"it costs nothing", disk{2 * time.Millisecond, 10_000 * mib, 0.05}, 60, 64},
		{"it costs little", disk{4 * time.Millisecond, 40 * mib, 0.05}, 8, 40},
		{"it costs a lot", disk{20 * time.Millisecond, 1 * mib, 0.05}, 4, 7},
	} {
		t.Run(c.name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(1, 2))
			s := newSpeed(64 * mib)
			for range 20 {
				s.rest(c.disk.commit(0, rng))
			}
			var sum float64
			const steps = 200
			for i := range steps {
				s.copied(c.disk.commit(s.now, rng))
				if s.now < s.least || s.now > s.most {
					t.Fatalf("%v is not within %v and %v", s.now, s.least, s.most)
				}
				if i >= steps/2 {
					sum += s.now
				}
			}
			if mean := sum / (steps / 2) / mib; mean < c.from || mean > c.to {
				t.Errorf("%.1f MiB/s, want %v to %v", mean, c.from, c.to)
			}
		})
	}
}

// Without commits nothing is held up. A copy that begins finds the least speed.
func TestSpeedWithoutCommits(t *testing.T) {
	s := newSpeed(64 * mib)
	for range 20 {
		s.free()
	}
	if s.now != s.most {
		t.Errorf("%v without commits, want %v", s.now, s.most)
	}
	s.rest(time.Millisecond)
	if s.now != 4*mib {
		t.Errorf("a copy begins at %v", s.now)
	}
}

// What was usual before the copy is not for ever: a load that came since does not
// hold it at the least speed.
func TestSpeedLearnsOfOtherLoad(t *testing.T) {
	s := newSpeed(64 * mib)
	s.rest(time.Millisecond)
	steps := 0
	for ; s.now == s.least; steps++ {
		s.copied(5 * time.Millisecond)
		if steps > 240 {
			t.Fatal("at the least speed for two minutes, and commits take what they take without the copy")
		}
	}
	if steps < 20 {
		t.Errorf("it took %d decisions to believe that a copy at the least speed is not what makes commits slow", steps)
	}
}

func TestSpeedBounds(t *testing.T) {
	for _, c := range []struct{ most, least float64 }{
		{64 * mib, 4 * mib}, {mib, leastSnapshotRate}, {leastSnapshotRate, leastSnapshotRate}, {2 * leastSnapshotRate, leastSnapshotRate},
	} {
		if s := newSpeed(c.most); s.least != c.least || s.now != c.least || s.most != c.most {
			t.Errorf("of %v: %+v", c.most, s)
		}
	}
}

// 98 of 100 are below what is said, and it is no more than an eighth above.
func TestMostCommits(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 200 {
		var times commitTimes
		unit := time.Duration(1) << rng.IntN(42)
		for i := range 100 {
			times.add(time.Duration(i) * unit)
		}
		var all tally
		times.take(&all)
		got, want := all.most(), min(97*unit, time.Hour)
		if all.n != 100 || got <= want || got > want+want/8+2*time.Microsecond {
			t.Errorf("of 100 in steps of %v: %v, want just above %v", unit, got, want)
		}
		times.take(&all)
		if all.n != 100 {
			t.Error("what was taken was counted again")
		}
	}
	var none tally
	if got := none.most(); got > time.Microsecond {
		t.Errorf("of nothing %v", got)
	}
}
