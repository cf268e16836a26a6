package fleet

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"
)

// TestDiskFullToTheBrim fills one node's disk to its last byte while users are
// written to: it says so, and the others serve all users within seconds while it
// lives. When it dies then, nobody notices; without room it may start, and leads
// nothing; with room it is one like the others, and nothing acknowledged is lost.
func TestDiskFullToTheBrim(t *testing.T) {
	rare(t)
	w, victim := withSmallDisk(t)
	rest := w.others(victim)
	p := w.startProberAt(t, "brim", growEvery, rest...)
	p.until(t, time.Now())

	began := time.Now()
	free := victim.ballast(t, 0)
	given := w.givesAll(t, victim, began)
	took := p.until(t, time.Now())
	lives := victim.Running()
	t.Logf("it led nothing %s after its disk began to fill, all users were served %s later; it lives: %t", given.Round(time.Millisecond), took.Round(time.Millisecond), lives)
	victim.says(t, "free space on it")
	if !lives {
		t.Error("it died of what it wrote to give its leaderships away")
	}

	killed := time.Now()
	if err := victim.Kill(); err != nil {
		t.Fatal(err)
	}
	took = p.until(t, killed)
	victim.ballast(t, 0) // the dead process may have left some room
	if err := victim.Launch(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	t.Logf("all users were served by the others %s after it died; started without room: %v", took.Round(time.Millisecond), victim.Ready(ctx))
	w.leadsNothingFor(t, victim, 10*time.Second) // longer than a node must be there to be given something
	p.until(t, time.Now())

	free()
	if !victim.Running() {
		if err := victim.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("it led again %s after there was room", w.leadsAgain(t, victim).Round(time.Millisecond))
	w.whole(t)
	p.until(t, time.Now())
	longest, failed, err := p.end()
	t.Logf("longest of %d writes %s, %d failed (%v)", len(p.probes), longest.Round(time.Millisecond), failed, err)
	p.verify(t, victim)
	w.served(t, victim)
}

// leadsNothingFor looks all the time whether a node leads something; what it is
// elected for it may have for a moment.
func (w *town) leadsNothingFor(t *testing.T, victim *door, d time.Duration) {
	t.Helper()
	looks, leading := 0, 0
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for began := time.Now(); time.Since(began) < d; looks++ {
		<-tick.C
		led, err := w.others(victim)[0].ledBy(t.Context(), victim)
		if err == nil && led > 0 {
			leading++
		}
	}
	if leading > looks/10 {
		t.Errorf("without room it led in %d of %d looks", leading, looks)
	}
}

// says wants a line in a node's log.
func (d *door) says(t *testing.T, what string) {
	t.Helper()
	until(t, 10*time.Second, d.Name+" says: "+what, func() error {
		b, err := os.ReadFile(d.LogFile())
		if err == nil && !strings.Contains(string(b), what) {
			err = errNotYet
		}
		return err
	})
}
