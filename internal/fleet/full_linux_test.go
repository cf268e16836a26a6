package fleet

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// small gives a node a disk of its own with so many bytes.
func (d *door) small(t *testing.T, bytes int) {
	t.Helper()
	err := os.MkdirAll(d.Dir, 0o700)
	if err == nil {
		err = unix.Mount("none", d.Dir, "tmpfs", 0, fmt.Sprint("size=", bytes))
	}
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
		t.Skip("mounting a small disk needs root: ", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(d.Kill(), unix.Unmount(d.Dir, 0)); err != nil {
			t.Error(err)
		}
	})
}

// free is the room on a node's disk.
func (d *door) free(t *testing.T) int64 {
	t.Helper()
	var s unix.Statfs_t
	if err := unix.Statfs(d.Dir, &s); err != nil {
		t.Fatal(err)
	}
	return int64(s.Bavail) * s.Bsize
}

// ballast leaves so much room on a node's disk.
func (d *door) ballast(t *testing.T, leave int64) (remove func()) {
	t.Helper()
	name := filepath.Join(d.Dir, "ballast-of-a-test")
	f, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	block := make([]byte, 64<<10)
	for d.free(t) > leave {
		if _, err := f.Write(block[:min(int64(len(block)), d.free(t)-leave)]); err != nil {
			break // it is full, which is as much as can be
		}
	}
	return func() {
		if err := os.Remove(name); err != nil {
			t.Error(err)
		}
	}
}

// TestFullDisk lets one node run out of room: within seconds the others lead in its
// place, and all is taken, also through it. With room it leads again.
func TestFullDisk(t *testing.T) {
	rare(t)
	w, victim := withSmallDisk(t)
	p := w.startProberAt(t, "full", growEvery, w.doors...)
	p.until(t, time.Now())

	began := time.Now()
	free := victim.ballast(t, 50<<20) // min_free_disk is 64 MiB
	given := w.givesAll(t, victim, began)
	took := p.until(t, time.Now())
	free()
	back := w.leadsAgain(t, victim)
	w.whole(t)
	longest, failed, err := p.end()
	t.Logf("it led nothing %s after its disk was full, all users were served %s later, it led again %s after there was room; longest of %d writes %s, %d refused in part (%v)",
		given.Round(time.Millisecond), took.Round(time.Millisecond), back.Round(time.Millisecond), len(p.probes), longest.Round(time.Millisecond), failed, err)
	p.verify(t, victim)
	w.served(t, victim)
}

// withSmallDisk is three nodes of which the last has a disk of its own, as large as
// can be filled in a test.
func withSmallDisk(t *testing.T) (w *town, victim *door) {
	t.Helper()
	w = ownTown(t, 3, 8, nil)
	victim = w.doors[2]
	victim.small(t, 256<<20)
	for _, d := range w.doors[1:] {
		if err := d.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	w.whole(t)
	w.balance(t)
	return w, victim
}

// givesAll waits until a node leads nothing, and tells how long after a moment that
// was.
func (w *town) givesAll(t *testing.T, victim *door, since time.Time) time.Duration {
	t.Helper()
	until(t, 20*time.Second, "it leads nothing", func() error { return w.others(victim)[0].leads(t.Context(), victim, 0) })
	return time.Since(since)
}

// leadsAgain waits until a node leads something, and tells how long that took.
func (w *town) leadsAgain(t *testing.T, victim *door) time.Duration {
	t.Helper()
	began := time.Now()
	until(t, 90*time.Second, "it leads again", func() error {
		led, err := w.others(victim)[0].ledBy(t.Context(), victim)
		if err == nil && led == 0 {
			err = errNotYet
		}
		return err
	})
	return time.Since(began)
}
