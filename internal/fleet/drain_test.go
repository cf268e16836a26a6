package fleet

import (
	"context"
	"fmt"
	"testing"
	"time"
)

// smooth is the longest that a request may take while a node goes away in order.
const smooth = 500 * time.Millisecond

// TestDrain takes the leaderships from a node, then ends a node in order: nobody
// notices who knows the others.
func TestDrain(t *testing.T) {
	w := threeNodes(t)
	l := w.busy(t, "drain")
	var took []time.Duration
	for round := range rounds(1) {
		victim := w.choose(t, round)
		p := w.startProber(t, fmt.Sprint("drainp", round, "-"), w.doors...)
		p.until(t, time.Now())
		began := time.Now()
		victim.drain(t, true)
		took = append(took, time.Since(began))
		l.more(t, 100)
		longest, failed, err := p.end()
		t.Logf("round %d: %s leads nothing after %s; longest of %d writes %s, %d failed (%v)", round, victim.Name, took[round].Round(time.Millisecond), len(p.probes), longest.Round(time.Millisecond), failed, err)
		if failed > 0 || longest > smooth*slack {
			t.Errorf("a drain was felt: %d writes failed, the longest took %s", failed, longest)
		}
		victim.drain(t, false)
		p.verify(t, victim)
		w.whole(t)

		victim = w.doors[round%len(w.doors)]
		p = w.startProber(t, fmt.Sprint("termp", round, "-"), w.others(victim)...)
		p.until(t, time.Now())
		ctx, cancel := context.WithTimeout(t.Context(), 25*time.Second)
		began = time.Now()
		if err := victim.Stop(ctx); err != nil {
			t.Error(err)
		}
		cancel()
		ended := time.Since(began)
		l.more(t, 100)
		longest, failed, err = p.end()
		t.Logf("round %d: %s ended %s after SIGTERM; longest of %d writes %s, %d failed (%v)", round, victim.Name, ended.Round(time.Millisecond), len(p.probes), longest.Round(time.Millisecond), failed, err)
		if failed > 0 || longest > smooth*slack {
			t.Errorf("a node that ended was felt: %d writes failed, the longest took %s", failed, longest)
		}
		if err := victim.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.whole(t)
		p.verify(t, victim)
	}
	if longest := l.end(t); longest > smooth*slack {
		t.Errorf("the longest message took %s", longest)
	}
	if again := l.verify(t, w.doors[2]); again > 0 {
		t.Errorf("%d pushes came twice though nobody died", again)
	}
}
