package storage

import (
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// Checkpoint makes dir, which must not exist and must be on the store's file
// system, a copy of the store as it is now, by links to the files that do not
// change. It holds the same node id: it is for looking at, for copying away,
// and for recovery, and never for a second node.
func (s *Store) Checkpoint(dir string) error {
	if err := s.users.enter(); err != nil {
		return err
	}
	defer s.users.leave()
	if err := s.db.Checkpoint(dir, pebble.WithFlushedWAL()); err != nil {
		return fmt.Errorf("storage: checkpoint: %w", err)
	}
	return nil
}
