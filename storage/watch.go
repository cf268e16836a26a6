package storage

import (
	"slices"
	"sync/atomic"
)

// Watch calls fn with the mutations of every entry of the meta shard, in the
// order of their commits, after the commit and before the entry's done. nil
// says that the whole catalogue was replaced and has to be read again. fn runs
// on the goroutine that commits: it must not block, must not propose and wait,
// and must not keep the slices. Call it before the first Propose; there may be
// several.
func (s *Store) Watch(fn func(ms []Mutation)) {
	var fns []func([]Mutation)
	if p := s.watch.fns.Load(); p != nil {
		fns = slices.Clone(*p)
	}
	fns = append(fns, fn)
	s.watch.fns.Store(&fns)
}

type watch struct {
	fns atomic.Pointer[[]func([]Mutation)]
}

func (w *watch) watched() bool { return w.fns.Load() != nil }

func (w *watch) tell(seen *sightings) {
	fns := w.fns.Load()
	if fns == nil || len(seen.ends) == 0 {
		return
	}
	ms := make([]Mutation, 0, 8) // a barrier has none, and is not nil
	from := 0
	for _, end := range seen.ends {
		ms = ms[:0]
		// Only AppendEntry and entries already applied get here.
		_ = ReadEntry(seen.entries[from:end.at], func(m Mutation) error { ms = append(ms, m); return nil })
		from = end.at
		told := ms
		if end.replaced {
			told = nil
		}
		for _, fn := range *fns {
			fn(told)
		}
	}
}

// sightings are what watchers are to be told after a commit.
type sightings struct {
	entries []byte // encoded, one after the other
	ends    []sighting
}

type sighting struct {
	at       int
	replaced bool // the whole catalogue, not an entry
}

func (s *sightings) add(ms []Mutation) {
	s.entries = AppendEntry(s.entries, ms)
	s.ends = append(s.ends, sighting{at: len(s.entries)})
}

func (s *sightings) addEncoded(entry []byte) {
	s.entries = append(s.entries, entry...)
	s.ends = append(s.ends, sighting{at: len(s.entries)})
}

func (s *sightings) addReplaced() {
	s.ends = append(s.ends, sighting{at: len(s.entries), replaced: true})
}

func (s *sightings) reset() {
	if cap(s.entries) > retainedBatchBytes {
		s.entries = nil
	}
	s.entries, s.ends = s.entries[:0], s.ends[:0]
}
