package storage

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// currentFormat is the version of the key layout and of the m family. Format 2
// added replicated logs, which an older release would neither write nor apply.
const currentFormat uint32 = 2

// migration rewrites a store of one format as the next one. A crash may
// interrupt run at any point and start it again: it must be idempotent. The
// version is raised, synced, after run returned.
type migration struct {
	from, to uint32
	run      func(*pebble.DB) error
}

// formats is what this release can open: current, and all that the chain of
// migrations leads from to current.
type formats struct {
	current    uint32
	migrations []migration
}

var released = formats{current: currentFormat, migrations: []migration{
	{from: 1, to: 2, run: func(*pebble.DB) error { return nil }}, // families l and g begin empty
}}

var (
	formatKey = []byte("mformat")
	nodeKey   = []byte("mnode")
	shardsKey = []byte("mshards")
)

// identity is what the first open fixes.
type identity struct {
	node   string
	shards uint16
}

// ready brings a database to the current format, founding it when it is empty.
// shards 0 means as stored, or DefaultShards for a new store.
func (f formats) ready(db *pebble.DB, shards uint16) (identity, error) {
	stored, err := getCopy(db, formatKey)
	if errors.Is(err, pebble.ErrNotFound) {
		return f.found(db, shards)
	}
	if err != nil {
		return identity{}, err
	}
	if len(stored) != 4 {
		return identity{}, fmt.Errorf("%w: format record has %d bytes", ErrForeign, len(stored))
	}
	if err := f.migrate(db, binary.BigEndian.Uint32(stored)); err != nil {
		return identity{}, err
	}
	return identify(db, shards)
}

// found writes the identity of a new store in one synced batch.
func (f formats) found(db *pebble.DB, shards uint16) (identity, error) {
	if empty, err := isEmpty(db); err != nil || !empty {
		return identity{}, errors.Join(err, ErrForeign)
	}
	if shards == 0 {
		shards = DefaultShards
	}
	node := make([]byte, 16)
	rand.Read(node) //nolint:errcheck // never fails, see crypto/rand
	batch := db.NewBatch()
	_ = batch.Set(formatKey, binary.BigEndian.AppendUint32(nil, f.current), nil)
	_ = batch.Set(nodeKey, node, nil)
	_ = batch.Set(shardsKey, binary.BigEndian.AppendUint16(nil, shards), nil)
	if err := batch.Commit(pebble.Sync); err != nil {
		return identity{}, err
	}
	return identity{node: hex.EncodeToString(node), shards: shards}, nil
}

func (f formats) migrate(db *pebble.DB, stored uint32) error {
	if stored > f.current {
		return fmt.Errorf("%w: it has format %d, this release knows up to %d; run the release that wrote it or restore a backup",
			ErrNewerFormat, stored, f.current)
	}
	for stored != f.current {
		m, ok := f.from(stored)
		if !ok {
			return fmt.Errorf("no upgrade from format %d to %d; upgrade through an older release first", stored, f.current)
		}
		if err := m.run(db); err != nil {
			return fmt.Errorf("upgrade from format %d to %d: %w", m.from, m.to, err)
		}
		if err := db.Set(formatKey, binary.BigEndian.AppendUint32(nil, m.to), pebble.Sync); err != nil {
			return err
		}
		stored = m.to
	}
	return nil
}

func (f formats) from(version uint32) (migration, bool) {
	for _, m := range f.migrations {
		if m.from == version && m.to > version && m.to <= f.current {
			return m, true
		}
	}
	return migration{}, false
}

func identify(db *pebble.DB, want uint16) (identity, error) {
	node, err := getCopy(db, nodeKey)
	if err != nil {
		return identity{}, fmt.Errorf("node id: %w", err)
	}
	stored, err := getCopy(db, shardsKey)
	if err != nil {
		return identity{}, fmt.Errorf("number of shards: %w", err)
	}
	if len(stored) != 2 {
		return identity{}, fmt.Errorf("%w: shard record has %d bytes", ErrForeign, len(stored))
	}
	shards := binary.BigEndian.Uint16(stored)
	if want != 0 && want != shards {
		return identity{}, fmt.Errorf("%w: the store has %d, the configuration says %d", ErrShardCount, shards, want)
	}
	return identity{node: hex.EncodeToString(node), shards: shards}, nil
}

func getCopy(db *pebble.DB, key []byte) ([]byte, error) {
	value, closer, err := db.Get(key)
	if err != nil {
		return nil, err
	}
	value = append([]byte(nil), value...)
	return value, closer.Close()
}

func isEmpty(db *pebble.DB) (bool, error) {
	it, err := db.NewIter(nil)
	if err != nil {
		return false, err
	}
	empty := !it.First()
	return empty, it.Close()
}
