package storage

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
)

// Op is what a Mutation does; the zero value is refused.
type Op uint8

const (
	// Set writes Value under Key.
	Set Op = iota + 1
	// Delete removes Key, which need not exist; Value is ignored.
	Delete
	// DeleteRange removes the keys k with Key <= k < Value.
	DeleteRange
)

// Mutation is one evaluated change.
type Mutation struct {
	Op         Op
	Key, Value []byte
}

const (
	// MaxEntryBytes bounds the keys and values of one entry, plus
	// mutationOverhead for each mutation: a replication message carries it.
	MaxEntryBytes    = 1 << 20
	mutationOverhead = 16
)

// checkEntry returns the size of an entry that may be written to the shard.
func checkEntry(shard, shards uint16, ms []Mutation) (size int, err error) {
	if shard > shards {
		return 0, fmt.Errorf("%w: shard %d of %d", ErrWrongShard, shard, shards)
	}
	for i := range ms {
		if err := checkMutation(shard, &ms[i]); err != nil {
			return 0, fmt.Errorf("%w: mutation %d of shard %d", err, i, shard)
		}
		size += len(ms[i].Key) + len(ms[i].Value) + mutationOverhead
	}
	if size > MaxEntryBytes {
		return 0, fmt.Errorf("%w: %d bytes in %d mutations, limit %d", ErrTooLarge, size, len(ms), MaxEntryBytes)
	}
	return size, nil
}

func checkMutation(shard uint16, m *Mutation) error {
	if !owns(shard, m.Key) {
		return ErrWrongShard
	}
	switch m.Op {
	case Set, Delete:
		return nil
	case DeleteRange:
		if bytes.Compare(m.Key, m.Value) >= 0 {
			return ErrBadMutation
		}
		if !bytes.HasPrefix(m.Value, m.Key[:headBytes]) && !bytes.Equal(m.Value, successor(m.Key[:headBytes])) {
			return ErrWrongShard
		}
		return nil
	}
	return ErrBadMutation
}

// owns reports whether key is of a family of the shard and of this shard.
func owns(shard uint16, key []byte) bool {
	if len(key) < headBytes || binary.BigEndian.Uint16(key[1:]) != shard {
		return false
	}
	if shard == MetaShard {
		return key[0] == familyCatalogue
	}
	return strings.IndexByte(shardFamilies, key[0]) >= 0
}
