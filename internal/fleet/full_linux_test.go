package fleet

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
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

// TestFullDisk lets one node run out of room: new facts for users whom it leads are
// refused, the others take theirs, and with room again all is taken.
func TestFullDisk(t *testing.T) {
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
	p := &prober{w: w, users: w.everywhere("full", 1)}
	until(t, 10*time.Second, "phones", func() error { return w.doors[0].offline(t.Context(), p.users) })
	tried := 0
	until(t, 10*time.Second, "all is taken", func() error { tried++; return p.tried(t, tried, w.doors[0]) })

	free := victim.ballast(t, 50<<20) // min_free_disk is 64 MiB
	until(t, 20*time.Second, "some is refused as DISK_FULL, some is taken", func() error {
		tried++
		taken, full, err := p.fullness(t.Context(), tried, w.doors[0])
		if err == nil && (taken == 0 || full == 0) {
			err = fmt.Errorf("%d taken, %d refused", taken, full)
		}
		return err
	})
	free()
	until(t, 20*time.Second, "all is taken when there is room", func() error { tried++; return p.tried(t, tried, w.doors[0]) })

	w.whole(t)
	for n := range tried { // a part of each was refused
		until(t, 20*time.Second, "repeated", func() error { return p.tried(t, n+1, w.doors[n%3]) })
	}
	if err := eachOf(p.users, func(user string) error { return victim.counts(t.Context(), user, tried) }); err != nil {
		t.Error(err)
	}
}

// fullness counts what is taken and what is refused because a disk is full.
func (p *prober) fullness(ctx context.Context, n int, d *door) (taken, full int, err error) {
	r := &rousev1.IngestBatchRequest{}
	for _, user := range p.users {
		r.Events = append(r.Events, message(fmt.Sprint(user, "-", n), user))
	}
	response, err := d.intake.IngestBatch(ctx, r)
	for _, item := range response.GetItems() {
		switch {
		case item.GetError() == nil:
			taken++
		case item.GetError().GetCode() == rousev1.ErrorCode_ERROR_CODE_DISK_FULL:
			full++
		default:
			err = fmt.Errorf("%v", item.GetError())
		}
	}
	return taken, full, err
}
