package storage

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// sampleEvery bounds how often the file system is asked.
const sampleEvery = time.Second

// watermark remembers whether there was room at the last sample.
type watermark struct {
	fs     vfs.FS
	dir    string
	needed uint64
	log    *slog.Logger

	mu   sync.Mutex
	at   time.Time
	free uint64 // 0 = the file system does not say
	err  error
}

// Writable reports whether the disk has room for more intake: nil, or a
// *DiskLowError, or why the file system did not say. Pebble ends the process
// on a full disk, so new work must be refused before; work in progress may be
// finished. The disk is asked once a second at most; a file system that cannot
// say (ErrUnsupported) is taken as large enough.
func (s *Store) Writable(now time.Time) error {
	if err := s.users.enter(); err != nil {
		return err
	}
	defer s.users.leave()
	return s.disk.check(now)
}

// DiskFree is how many bytes of the store's file system are free, as of the last
// second; 0 = it does not say.
func (s *Store) DiskFree(now time.Time) uint64 {
	if s.users.enter() != nil {
		return 0
	}
	defer s.users.leave()
	_ = s.disk.check(now) // a low disk has a number, too
	s.disk.mu.Lock()
	defer s.disk.mu.Unlock()
	return s.disk.free
}

func (w *watermark) check(now time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	age := now.Sub(w.at)
	if !w.at.IsZero() && age >= 0 && age < sampleEvery {
		return w.err
	}
	before := w.err
	w.at, w.err = now, w.sample()
	switch {
	case w.err != nil && before == nil:
		w.log.Warn("storage: what needs room on the disk is refused from now on; free space on it", "dir", w.dir, "error", w.err)
	case w.err == nil && before != nil:
		w.log.Info("storage: the disk has room again", "dir", w.dir, "free", w.free)
	}
	return w.err
}

func (w *watermark) sample() error {
	w.free = 0
	usage, err := w.fs.GetDiskUsage(w.dir)
	if errors.Is(err, vfs.ErrUnsupported) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("storage: free space of %s is unknown: %w", w.dir, err)
	}
	w.free = usage.AvailBytes
	if usage.AvailBytes < w.needed {
		return &DiskLowError{FreeBytes: usage.AvailBytes, NeededBytes: w.needed}
	}
	return nil
}
