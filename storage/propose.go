package storage

import (
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

const (
	// maxQueuedEntries and maxQueuedBytes bound what waits for the commit in
	// progress; over either, Propose answers ErrBusy. A caller that keeps one
	// entry of 64 KiB in flight for each of MaxShards stays below both.
	maxQueuedEntries = 1 << 13
	maxQueuedBytes   = 64<<20 + MaxEntryBytes

	// retainedBatchBytes is kept between commits by each of the two pages.
	retainedBatchBytes = 4 << 20
)

// Propose writes the mutations of one shard as one atomic entry and calls done
// when they are on disk, with nil, or when they are not going to be. Entries
// commit in the order of their Propose calls, whatever their shard, and their
// done functions run in that order on the store's writer: they must not block
// and must not call Close. An entry without mutations is a barrier.
//
// Propose does not wait for the disk, and copies: ms and its slices may be
// reused as soon as it returns. A refused entry (ErrWrongShard,
// ErrBadMutation, ErrTooLarge, ErrBusy, ErrClosed, or the commit failure that
// ended the store) wrote nothing; its done runs before Propose returns.
//
// After Replicate the entry is on disk when enough replicas have it, done runs
// on the replica, and ErrNotLeader, ErrDropped and ErrUnknown are answers, too.
func (s *Store) Propose(shard uint16, ms []Mutation, done func(error)) {
	size, err := checkEntry(shard, s.shards, ms)
	if err == nil && s.propose != nil {
		s.propose(shard, ms, done)
		return
	}
	if err == nil {
		err = s.writer.enqueue(shard, ms, size, done)
	}
	if err != nil {
		s.metrics.refused.Inc()
		done(err)
	}
}

// Check returns the error with which Propose would refuse the entry for what it
// says: ErrWrongShard, ErrBadMutation or ErrTooLarge.
func (s *Store) Check(shard uint16, ms []Mutation) error {
	_, err := checkEntry(shard, s.shards, ms)
	return err
}

// Replicate makes Propose hand each entry, once checked, to propose, which owes
// what Propose owes its caller and writes with NewBatch. It must be called
// before the first Propose.
func (s *Store) Replicate(propose func(shard uint16, ms []Mutation, done func(error))) {
	s.propose = propose
}

// writer commits in groups. While one page syncs, proposers build the next one
// in place, so the queue is itself the batch and nothing is copied twice.
type writer struct {
	db      *pebble.DB
	metrics *metrics
	watch   *watch
	ended   chan struct{} // closed when run has returned

	mu   sync.Mutex
	wake sync.Cond // a page has its first entry, or err was set
	open *page     // what proposers append to
	err  error     // why nothing more is accepted; set once
}

// page is one group commit under construction.
type page struct {
	batch *pebble.Batch
	bytes int // entries' size as checkEntry counts it
	dones []func(error)
	meta  sightings
}

func newWriter(db *pebble.DB, m *metrics, watched *watch) *writer {
	w := &writer{db: db, metrics: m, watch: watched, ended: make(chan struct{}), open: newPage(db)}
	w.wake.L = &w.mu
	go w.run()
	return w
}

func newPage(db *pebble.DB) *page {
	return &page{batch: db.NewBatch(pebble.WithMaxRetainedSizeBytes(retainedBatchBytes))}
}

func (w *writer) enqueue(shard uint16, ms []Mutation, size int, done func(error)) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return w.err
	}
	p := w.open
	if len(p.dones) == maxQueuedEntries || p.bytes+size > maxQueuedBytes {
		return ErrBusy
	}
	if len(p.dones) == 0 {
		w.wake.Signal()
	}
	p.append(ms)
	if shard == MetaShard && w.watch.watched() {
		p.meta.add(ms)
	}
	p.bytes += size
	p.dones = append(p.dones, done)
	return nil
}

// append ignores the batch's errors: writing to a batch in memory has none.
func (p *page) append(ms []Mutation) {
	for i := range ms {
		write(p.batch, &ms[i])
	}
}

func write(b *pebble.Batch, m *Mutation) {
	switch m.Op {
	case Set:
		_ = b.Set(m.Key, m.Value, nil)
	case Delete:
		_ = b.Delete(m.Key, nil)
	case DeleteRange:
		_ = b.DeleteRange(m.Key, m.Value, nil)
	}
}

// run commits page after page until the writer is stopped and drained.
func (w *writer) run() {
	defer close(w.ended)
	next := newPage(w.db)
	crowd := false // the last commit was shared
	var failed error
	for {
		w.mu.Lock()
		for len(w.open.dones) == 0 && w.err == nil {
			w.wake.Wait()
			if crowd {
				w.letOthersJoin()
			}
		}
		if len(w.open.dones) == 0 {
			w.mu.Unlock()
			return
		}
		full := w.open
		w.open = next
		w.mu.Unlock()

		if failed == nil {
			failed = w.commit(full)
		}
		if failed == nil {
			w.watch.tell(&full.meta)
		}
		for _, done := range full.dones {
			done(failed)
		}
		crowd = len(full.dones) > 1
		full.reset()
		next = full
	}
}

// letOthersJoin gives the callers whom the last commit released a turn to
// propose before an idle writer commits the first entry alone. Measured on a
// quiet machine: 15-25 % more entries a second at 16-64 callers. A lone caller
// is not made to wait: on a busy machine the turn costs him a thread switch.
func (w *writer) letOthersJoin() {
	w.mu.Unlock()
	runtime.Gosched()
	w.mu.Lock()
}

func (w *writer) commit(p *page) error {
	start := time.Now()
	if err := w.db.Apply(p.batch, pebble.Sync); err != nil {
		return w.fail(err)
	}
	w.metrics.observeCommit(len(p.dones), p.batch.Len(), time.Since(start))
	return nil
}

func (p *page) reset() {
	p.batch.Reset()
	p.bytes = 0
	p.meta.reset()
	clear(p.dones)
	p.dones = p.dones[:0]
}

// fail ends the store: what a failed commit left on disk is known to a new
// process only.
func (w *writer) fail(err error) error {
	err = fmt.Errorf("storage: commit failed, nothing more is accepted; restart the process: %w", err)
	w.stop(err)
	return err
}

// stopped returns why nothing more is accepted, or nil.
func (w *writer) stopped() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// stop refuses all further entries with err, unless another reason came first.
func (w *writer) stop(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil {
		w.err = err
		w.wake.Signal()
	}
}
