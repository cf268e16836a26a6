package storage

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// View is one moment of the store. It holds back what compactions may delete:
// close it soon. It is for one goroutine.
type View struct {
	s *Store
	p *pebble.Snapshot
}

// View opens a view of what has been committed, or returns ErrClosed. Close of
// the store waits until its views are closed.
func (s *Store) View() (*View, error) {
	if err := s.users.enter(); err != nil {
		return nil, err
	}
	return &View{s: s, p: s.db.NewSnapshot()}, nil
}

// Close gives the view up; it must be called once.
func (v *View) Close() error {
	defer v.s.users.leave()
	if err := v.p.Close(); err != nil {
		return fmt.Errorf("storage: close a view: %w", err)
	}
	return nil
}

// Scan is Store.Scan at the moment of the view.
func (v *View) Scan(r Range, fn func(key, value []byte) (more bool)) error {
	return iterate(v.p, r, fn, (*pebble.Iterator).First, (*pebble.Iterator).Next)
}

// State is Store.State at the moment of the view.
func (v *View) State(group uint16, kind StateKind) ([]byte, error) {
	value, closer, err := v.p.Get(appendStateKey(nil, group, kind))
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("storage: read: %w", err)
	}
	defer closer.Close() //nolint:errcheck // gives a buffer back, cannot fail
	return bytes.Clone(value), nil
}
