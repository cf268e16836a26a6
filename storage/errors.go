package storage

import (
	"errors"
	"fmt"
)

var (
	// ErrNotFound answers Get for a key that is not there.
	ErrNotFound = errors.New("storage: not found")
	// ErrClosed answers every call after Close.
	ErrClosed = errors.New("storage: closed")
	// ErrBusy refuses an entry because the queue is full; nothing was written
	// and the same entry may be proposed again later.
	ErrBusy = errors.New("storage: commit queue is full; propose again later")
	// ErrWrongShard refuses an entry with a key outside of its shard.
	ErrWrongShard = errors.New("storage: key is not of the stated shard")
	// ErrBadMutation refuses an entry with an unknown operation or an empty or
	// reversed range.
	ErrBadMutation = errors.New("storage: malformed mutation")
	// ErrTooLarge refuses an entry above MaxEntryBytes; split it.
	ErrTooLarge = errors.New("storage: entry is too large")
	// ErrNotLeader refuses an entry because this node does not lead the shard,
	// or not under the term that the proposal named; nothing was written.
	ErrNotLeader = errors.New("storage: this node does not lead the shard")
	// ErrDropped ends an entry that the replicated log gave up before it could
	// commit: nothing was written and it never will be.
	ErrDropped = errors.New("storage: entry was dropped before it was committed; propose again later")
	// ErrUnknown ends an entry whose fate cannot be told here: leadership was
	// lost while it was under way, so it may be committed now, later, or never.
	// Only a replica that leads again knows what became of it.
	ErrUnknown = errors.New("storage: leadership was lost while the entry was under way; it may be committed or not")
	// ErrBadKey answers a parser that met a key of another form.
	ErrBadKey = errors.New("storage: malformed key")
	// ErrDiskLow is matched by a DiskLowError.
	ErrDiskLow = errors.New("storage: disk space is low")
	// ErrNewerFormat refuses a store that a newer release has written.
	ErrNewerFormat = errors.New("format is newer than this release")
	// ErrForeign refuses a directory whose store is not of this product.
	ErrForeign = errors.New("not a rouse store")
	// ErrShardCount refuses to open a store under another number of shards.
	ErrShardCount = errors.New("number of shards is fixed at first open")
)

// DiskLowError says how much space is missing; it matches ErrDiskLow.
type DiskLowError struct {
	// FreeBytes is what the file system still offers to this process.
	FreeBytes uint64
	// NeededBytes is the watermark, Options.MinFreeBytes.
	NeededBytes uint64
}

func (e *DiskLowError) Error() string {
	return fmt.Sprintf("storage: disk space is low: %d bytes free, %d needed; free some or enlarge the volume",
		e.FreeBytes, e.NeededBytes)
}

// Is makes errors.Is match ErrDiskLow.
func (e *DiskLowError) Is(target error) bool { return target == ErrDiskLow }
