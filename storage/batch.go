package storage

import (
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// StateKind names a part of a replica's state.
type StateKind byte

const (
	// HardState is term, vote and commit index.
	HardState StateKind = 'h'
	// ConfState is who votes and who learns, as of the applied index.
	ConfState StateKind = 'c'
	// TruncatedState is index and term of the last record cut off the log.
	TruncatedState StateKind = 't'
	// AppliedState is index and term of the last applied entry.
	AppliedState StateKind = 'a'
)

// Batch is what a node's replica writes at once, of any number of groups. It is
// for one goroutine; batches of several commit in the order of their Commits.
type Batch struct {
	s       *Store
	b       *pebble.Batch
	meta    sightings
	applied int
	erases  bool // the last entry
}

// NewBatch returns an empty batch that is used again and again.
func (s *Store) NewBatch() *Batch {
	return &Batch{s: s, b: s.db.NewBatch(pebble.WithMaxRetainedSizeBytes(retainedBatchBytes))}
}

// Apply adds the mutations of a committed entry of the group, in the form of
// AppendEntry. An entry that Propose would have refused is refused, after a
// part of it was added: give the batch up.
func (b *Batch) Apply(group uint16, entry []byte) error {
	b.erases = false
	err := ReadEntry(entry, func(m Mutation) error {
		if err := checkMutation(group, &m); err != nil {
			return err
		}
		write(b.b, &m)
		b.erases = b.erases || m.erases()
		return nil
	})
	if err != nil {
		return fmt.Errorf("storage: apply an entry of group %d: %w", group, err)
	}
	b.applied++
	if group == MetaShard && b.s.watch.watched() {
		b.meta.addEncoded(entry)
	}
	return nil
}

// Erases tells whether the entry that was applied last erases a user, see Erases.
func (b *Batch) Erases() bool { return b.erases }

// Put adds one key of the group as it is, for a group that is built anew after
// Clear; ErrWrongShard if the key is of no family that the group's entries write.
func (b *Batch) Put(group uint16, key, value []byte) error {
	if !owns(group, key) {
		return fmt.Errorf("%w: group %d", ErrWrongShard, group)
	}
	return b.b.Set(key, value, nil)
}

// Clear deletes all keys of the group, its log and its replica's state; what is
// added after it stays. Watchers of the meta shard are told to read it again.
func (b *Batch) Clear(group uint16) {
	for _, r := range ShardRanges(group) {
		b.deleteRange(r)
	}
	b.deleteRange(LogRange(group))
	b.deleteRange(StateRange(group))
	if group == MetaShard {
		b.meta.addReplaced()
	}
}

// SetLog adds a record of the group's log.
func (b *Batch) SetLog(group uint16, index uint64, record []byte) {
	op := b.b.SetDeferred(logKeyBytes, len(record))
	appendLogKey(op.Key[:0], group, index)
	copy(op.Value, record)
	_ = op.Finish() // a batch in memory has no errors
}

// DeleteLogs deletes the records i of the group's log with from <= i < to.
func (b *Batch) DeleteLogs(group uint16, from, to uint64) {
	if from < to {
		b.deleteRange(Range{Lo: appendLogKey(nil, group, from), Hi: appendLogKey(nil, group, to)})
	}
}

// SetState adds a part of the state of the group's replica.
func (b *Batch) SetState(group uint16, kind StateKind, value []byte) {
	op := b.b.SetDeferred(stateKeyBytes, len(value))
	appendStateKey(op.Key[:0], group, kind)
	copy(op.Value, value)
	_ = op.Finish()
}

func (b *Batch) deleteRange(r Range) { _ = b.b.DeleteRange(r.Lo, r.Hi, nil) }

// Bytes is the size of what the batch holds.
func (b *Batch) Bytes() int { return b.b.Len() }

// Empty reports whether there is nothing to commit.
func (b *Batch) Empty() bool { return b.b.Empty() }

// Commit writes the batch, atomically, and empties it. With sync it returns
// when this batch and all that were committed before it are on disk; without,
// when it can be read. After a failed commit nothing more is accepted, in any
// batch: the process has to end and recover.
func (b *Batch) Commit(sync bool) error {
	s := b.s
	if sync && s.waits != nil {
		s.waits()
	}
	if err := s.users.enter(); err != nil {
		return err
	}
	defer s.users.leave()
	if err := s.writer.stopped(); err != nil {
		return err
	}
	options := pebble.NoSync
	if sync {
		options = pebble.Sync
	}
	start := time.Now()
	if err := s.db.Apply(b.b, options); err != nil {
		return s.writer.fail(err)
	}
	if sync {
		s.metrics.observeCommit(max(1, b.applied), b.b.Len(), time.Since(start))
	}
	s.watch.tell(&b.meta)
	b.Reset()
	return nil
}

// Reset empties the batch.
func (b *Batch) Reset() {
	b.b.Reset()
	b.meta.reset()
	b.applied = 0
}

// Logs calls fn for the records of the group's log from index on, in order,
// until it returns an error, which Logs returns; record is valid during the
// call only.
func (s *Store) Logs(group uint16, from uint64, fn func(index uint64, record []byte) error) error {
	var failed error
	r := Range{Lo: appendLogKey(nil, group, from), Hi: LogRange(group).Hi}
	err := s.Scan(r, func(key, record []byte) bool {
		index, err := parseLogKey(key)
		if err == nil {
			err = fn(index, record)
		}
		failed = err
		return err == nil
	})
	return errors.Join(err, failed)
}

// State returns a part of the state of the group's replica, or ErrNotFound.
func (s *Store) State(group uint16, kind StateKind) ([]byte, error) {
	return s.Get(appendStateKey(nil, group, kind))
}

// Replicas returns the groups of which this node has a replica, ascending.
func (s *Store) Replicas() (groups []uint16, err error) {
	all := Range{Lo: []byte{familyReplica}, Hi: []byte{familyReplica + 1}}
	err = s.Scan(all, func(key, _ []byte) bool {
		if group, _, ok := cutHead(key, familyReplica); ok && (len(groups) == 0 || groups[len(groups)-1] != group) {
			groups = append(groups, group)
		}
		return true
	})
	return groups, err
}
