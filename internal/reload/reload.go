// Package reload keeps what was read from files in step with them: renewed
// certificates and lists of keys need no restart.
package reload

import (
	"os"
	"slices"
	"sync"
	"time"
)

// every is how often the files are looked at, at most: Get is called at each
// handshake.
const every = time.Second

// Files is a value read from files.
type Files[T any] struct {
	paths []string
	read  func() (T, error)

	mu    sync.Mutex
	value T
	known bool
	next  time.Time // not to be looked at before
	seen  []stamp
}

type stamp struct {
	changed time.Time
	size    int64
}

// New reads the value, which depends on all of paths.
func New[T any](read func() (T, error), paths ...string) (*Files[T], error) {
	f := &Files[T]{paths: paths, read: read}
	if _, err := f.Get(); err != nil {
		return nil, err
	}
	return f, nil
}

// Get answers the value, which it reads again if a file has changed. Files that
// cannot be read leave the former value in use.
func (f *Files[T]) Get() (T, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	if f.known && now.Before(f.next) {
		return f.value, nil
	}
	f.next = now.Add(every)
	seen, err := look(f.paths)
	if err == nil && (!f.known || !slices.Equal(seen, f.seen)) {
		var v T
		if v, err = f.read(); err == nil {
			f.value, f.seen, f.known = v, seen, true
		}
	}
	if f.known {
		return f.value, nil
	}
	return f.value, err
}

func look(paths []string) ([]stamp, error) {
	seen := make([]stamp, 0, len(paths))
	for _, p := range paths {
		info, err := os.Stat(p)
		if err != nil {
			return nil, err
		}
		seen = append(seen, stamp{info.ModTime(), info.Size()})
	}
	return seen, nil
}
