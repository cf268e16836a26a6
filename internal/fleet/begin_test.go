package fleet

import (
	"testing"
	"time"
)

// TestGrow starts two nodes beside one that serves: all groups get three
// replicas, and nobody waits. It is the first test, so that the others find the
// cluster that it made.
func TestGrow(t *testing.T) {
	w := oneNode(t)
	l := w.busy(t, "grow")
	p := w.startProberAt(t, "growp-", growEvery, w.doors[0])
	p.until(t, time.Now())
	began := time.Now()
	for _, d := range w.doors[1:] {
		if err := d.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for _, d := range w.doors {
		until(t, 40*time.Second, "three replicas of everything", func() error { return d.settled(t.Context(), 3) })
	}
	grown := time.Since(began)
	l.more(t, 100)
	longest, failed, err := p.end()
	t.Logf("three replicas of all groups after %s; longest of %d writes %s, %d failed (%v)", grown.Round(time.Millisecond), len(p.probes), longest.Round(time.Millisecond), failed, err)
	if most := max(longest, l.end(t)); failed > 0 || most > smooth*slack {
		t.Errorf("growing was felt: %d writes failed (%v), the longest took %s", failed, err, most)
	}
	if again := l.verify(t, w.doors[2]); again > 0 {
		t.Errorf("%d pushes came twice though nobody died", again)
	}
	p.verify(t, w.doors[1])
	// The founder is not needed any more.
	if err := w.doors[0].Kill(); err != nil {
		t.Fatal(err)
	}
	until(t, 10*time.Second, "served without the founder", func() error {
		_, err := p.write(t.Context(), len(p.probes), w.doors[1])
		return err
	})
	for _, user := range p.users {
		if err := w.doors[2].counts(t.Context(), user, len(p.probes)+1); err != nil {
			t.Error(err)
		}
	}
}
