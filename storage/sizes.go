package storage

import (
	"fmt"
	"sync"
	"time"
)

// measureEvery bounds how often the size of one group is estimated: a look into
// the index of each table at the edges of its ranges.
const measureEvery = 10 * time.Second

// sizes remembers estimates, by group.
type sizes struct {
	mu     sync.Mutex
	groups [MaxShards + 1]struct {
		at    time.Time
		bytes uint64
	}
}

// GroupBytes estimates what the records of a group take on disk. What is only in
// the write buffer is not counted; nor is the group's log. The estimate may be 10
// seconds old.
func (s *Store) GroupBytes(group uint16, now time.Time) (uint64, error) {
	if err := s.users.enter(); err != nil {
		return 0, err
	}
	defer s.users.leave()
	if group > s.Shards() {
		return 0, fmt.Errorf("%w: group %d of %d", ErrWrongShard, group, s.Shards())
	}
	s.sizes.mu.Lock()
	defer s.sizes.mu.Unlock()
	known := &s.sizes.groups[group]
	if age := now.Sub(known.at); !known.at.IsZero() && age >= 0 && age < measureEvery {
		return known.bytes, nil
	}
	total := uint64(0)
	for _, r := range ShardRanges(group) {
		n, err := s.db.EstimateDiskUsage(r.Lo, r.Hi)
		if err != nil {
			return 0, fmt.Errorf("storage: size of group %d: %w", group, err)
		}
		total += n
	}
	known.at, known.bytes = now, total
	return total, nil
}
