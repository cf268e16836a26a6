package fleet

import (
	"fmt"
	"testing"
	"time"
)

// TestFreeze stops a node's process without ending it: its connections stay
// open, and when it goes on it does not know that time has passed.
func TestFreeze(t *testing.T) {
	w := threeNodes(t)
	l := w.busy(t, "freeze")
	var times []time.Duration
	for round := range rounds(1) {
		victim := w.choose(t, round)
		rest := w.others(victim)
		p := w.startProber(t, fmt.Sprint("freezep", round, "-"), rest...)
		p.until(t, time.Now())
		froze := time.Now()
		if err := victim.Freeze(); err != nil {
			t.Fatal(err)
		}
		// What the frozen node is asked it does when it goes on, if at all: it leads no more.
		late := w.startProber(t, fmt.Sprint("freezelate", round, "-"), rest[0], victim)
		took := p.until(t, froze)
		times = append(times, took)
		l.more(t, 100)
		longest, failed, err := p.end()
		t.Logf("round %d: %s frozen; all users served after %s; longest of %d writes through the others %s, %d failed (%v)", round, victim.Name, took.Round(time.Millisecond), len(p.probes), longest.Round(time.Millisecond), failed, err)
		if err := victim.Thaw(); err != nil {
			t.Fatal(err)
		}
		thawed := time.Now()
		late.until(t, thawed)
		_, failed, err = late.end()
		t.Logf("round %d: of %d writes with those at the frozen node %d failed (%v)", round, len(late.probes), failed, err)
		w.whole(t)
		p.verify(t, victim)
		late.verify(t, victim)
	}
	l.end(t)
	l.verify(t, w.doors[1])
	judge(t, "SIGSTOP", times, 2500*time.Millisecond)
}
