package fleet

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// TestDiskFullToTheBrim fills one node's disk to its last byte while users are
// written to: those whom the node leads are refused, and it says why. When it dies
// then, others lead; without room it may start, and refuses; with room it is one
// like the others, and nothing acknowledged is lost.
func TestDiskFullToTheBrim(t *testing.T) {
	rare(t)
	w := ownTown(t, 3, 8, nil)
	victim := w.doors[2]
	victim.small(t, 256<<20)
	for _, d := range w.doors[1:] {
		if err := d.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	w.whole(t)
	w.balance(t)
	rest := w.others(victim)
	p := w.startProberAt(t, "brim", growEvery, rest...)
	p.until(t, time.Now())

	free := victim.ballast(t, 0)
	q := &prober{w: w, users: w.everywhere("brimful", 1)}
	tried := 0
	until(t, 20*time.Second, "some is refused as DISK_FULL, some is taken", func() error {
		tried++
		taken, full, err := q.fullness(t.Context(), tried, rest[tried%2])
		if err == nil && (taken == 0 || full == 0) {
			err = fmt.Errorf("%d taken, %d refused", taken, full)
		}
		return err
	})
	victim.says(t, "free space on it")

	killed := time.Now()
	if err := victim.Kill(); err != nil {
		t.Fatal(err)
	}
	took := p.until(t, killed)
	victim.ballast(t, 0) // the dead process may have left some room
	if err := victim.Launch(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	t.Logf("all users were served by the others %s after it died; started without room: %v", took.Round(time.Millisecond), victim.Ready(ctx))

	free()
	if !victim.Running() {
		if err := victim.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	w.whole(t)
	p.until(t, time.Now())
	longest, failed, err := p.end()
	t.Logf("longest of %d writes %s, %d failed (%v)", len(p.probes), longest.Round(time.Millisecond), failed, err)
	p.verify(t, victim)
	w.served(t, victim)
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
