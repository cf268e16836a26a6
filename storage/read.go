package storage

import (
	"bytes"
	"errors"
	"fmt"
	"sync"

	"github.com/cockroachdb/pebble/v2"
)

// Get returns a copy of the value under key, or ErrNotFound. It sees what has
// been committed, which may be a moment before the entry's done runs.
func (s *Store) Get(key []byte) ([]byte, error) {
	if err := s.users.enter(); err != nil {
		return nil, err
	}
	defer s.users.leave()
	value, closer, err := s.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("storage: read: %w", err)
	}
	defer closer.Close() //nolint:errcheck // gives a buffer back, cannot fail
	return bytes.Clone(value), nil
}

// Scan calls fn for each key of r in ascending order until fn returns false. It
// sees one moment of the store; key and value are valid during the call only.
func (s *Store) Scan(r Range, fn func(key, value []byte) (more bool)) error {
	return s.iterate(r, fn, (*pebble.Iterator).First, (*pebble.Iterator).Next)
}

// ScanReverse is Scan in descending order.
func (s *Store) ScanReverse(r Range, fn func(key, value []byte) (more bool)) error {
	return s.iterate(r, fn, (*pebble.Iterator).Last, (*pebble.Iterator).Prev)
}

func (s *Store) iterate(r Range, fn func(key, value []byte) bool, first, next func(*pebble.Iterator) bool) error {
	if err := s.users.enter(); err != nil {
		return err
	}
	defer s.users.leave()
	return iterate(s.db, r, fn, first, next)
}

func iterate(from pebble.Reader, r Range, fn func(key, value []byte) bool, first, next func(*pebble.Iterator) bool) error {
	it, err := from.NewIter(&pebble.IterOptions{LowerBound: r.Lo, UpperBound: r.Hi})
	if err != nil {
		return fmt.Errorf("storage: scan: %w", err)
	}
	for ok := first(it); ok; ok = next(it) {
		value, err := it.ValueAndErr()
		if err != nil || !fn(it.Key(), value) {
			break // Close reports the error
		}
	}
	if err := it.Close(); err != nil {
		return fmt.Errorf("storage: scan: %w", err)
	}
	return nil
}

// gate keeps the database open while it is being read. Calls may nest.
type gate struct {
	mu     sync.RWMutex // held to count in, not while inside
	closed bool
	inside sync.WaitGroup
}

func (g *gate) enter() error {
	g.mu.RLock()
	defer g.mu.RUnlock()
	if g.closed {
		return ErrClosed
	}
	g.inside.Add(1)
	return nil
}

func (g *gate) leave() { g.inside.Done() }

// close lets nobody in and waits until all have left; it reports whether this
// call was the first.
func (g *gate) close() bool {
	g.mu.Lock()
	first := !g.closed
	g.closed = true
	g.mu.Unlock()
	g.inside.Wait()
	return first
}
