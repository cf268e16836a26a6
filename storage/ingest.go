package storage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"
)

const (
	// ingestDir is a folder of the store's directory for tables that are not
	// part of it yet; what is in it when the store is opened is of a process
	// that has ended.
	ingestDir = "incoming"

	// ingestTableBytes is about where a table ends and the next one begins.
	ingestTableBytes = 32 << 20
)

// incoming is where tables are collected.
type incoming struct {
	ingests    *atomic.Uint64 // begun since the store was opened
	tables     sstable.WriterOptions
	tableBytes uint64
}

// newIncoming removes what a process that has ended left.
func newIncoming(fs vfs.FS, dir string, p *pebble.Options) (incoming, error) {
	if err := fs.RemoveAll(fs.PathJoin(dir, ingestDir)); err != nil {
		return incoming{}, err
	}
	p = p.Clone()
	p.EnsureDefaults()
	return incoming{
		ingests:    new(atomic.Uint64),
		tables:     p.MakeWriterOptions(bottomLevel, p.FormatMajorVersion.MaxTableFormat()),
		tableBytes: ingestTableBytes,
	}, nil
}

// ErrOutOfOrder refuses a key that is not above the one before it.
var ErrOutOfOrder = errors.New("storage: key is not above the one before it")

// State is one record of a replica's state.
type State struct {
	Kind  StateKind
	Value []byte
}

// Ingest collects the keys of one group in tables beside the store and then
// puts them in the place of all that the store holds of the group. It keeps
// some blocks of one table in memory, however many keys are added. One
// goroutine at a time may use it, and must end it with Install or Abort before
// the store is closed: Store.Close waits for it.
type Ingest struct {
	store *Store
	group uint16
	dir   string

	left   []Range // ranges that may still get keys; keys go to the first
	empty  []Range // ranges that were passed without a key
	table  *tableWriter
	from   []byte // where the table's slice of left[0] begins; nil when left[0] has no keys
	tables []string

	last  []byte
	keys  uint64
	bytes uint64
	err   error // why nothing more is accepted
	ended bool
}

// NewIngest begins to collect the keys of a group.
func (s *Store) NewIngest(group uint16) (*Ingest, error) {
	if group > s.shards {
		return nil, fmt.Errorf("%w: group %d of %d", ErrWrongShard, group, s.shards)
	}
	if err := s.users.enter(); err != nil {
		return nil, err
	}
	g := &Ingest{store: s, group: group, left: ShardRanges(group)}
	g.dir = s.fs.PathJoin(s.dir, ingestDir, strconv.Itoa(int(group))+"-"+strconv.FormatUint(s.ingests.Add(1), 10))
	if err := s.fs.MkdirAll(g.dir, 0o700); err != nil {
		s.users.leave()
		return nil, fmt.Errorf("storage: ingest: %w", err)
	}
	return g, nil
}

// Add appends one key of the group; keys ascend over all its ShardRanges. It
// copies. After an error only Abort is of use.
func (g *Ingest) Add(key, value []byte) error {
	if g.err == nil {
		g.err = g.add(key, value)
	}
	return g.err
}

func (g *Ingest) add(key, value []byte) error {
	if !owns(g.group, key) {
		return ErrWrongShard
	}
	if g.last != nil && bytes.Compare(key, g.last) <= 0 {
		return ErrOutOfOrder
	}
	for !g.left[0].Contains(key) {
		if err := g.nextRange(); err != nil {
			return err
		}
	}
	if err := g.set(key, value); err != nil {
		return fmt.Errorf("storage: ingest: %w", err)
	}
	g.last = append(g.last[:0], key...)
	g.keys++
	g.bytes += uint64(len(key) + len(value))
	if g.table.size() >= g.store.tableBytes {
		return g.endTable(exactly(key).Hi)
	}
	return nil
}

func (g *Ingest) set(key, value []byte) (err error) {
	if g.from == nil {
		g.from = g.left[0].Lo
	}
	if g.table == nil {
		if g.table, err = g.create(); err != nil {
			return err
		}
	}
	return g.table.w.Set(key, value)
}

// Last returns the highest key that was added; nil before the first. It is
// valid until the next Add.
func (g *Ingest) Last() []byte { return g.last }

// Keys returns how many keys were added.
func (g *Ingest) Keys() uint64 { return g.keys }

// Bytes returns the size of the keys and values that were added.
func (g *Ingest) Bytes() uint64 { return g.bytes }

// nextRange ends the range that got keys until now.
func (g *Ingest) nextRange() error {
	r := g.left[0]
	g.left = g.left[1:]
	if g.from == nil {
		g.empty = append(g.empty, r)
		return nil
	}
	err := g.endTable(r.Hi)
	g.from = nil
	return err
}

// endTable ends the table, if one is open, and with it what its tables delete
// of the range at hi; the next one begins there.
func (g *Ingest) endTable(hi []byte) error {
	if g.table == nil {
		var err error
		if g.table, err = g.create(); err != nil {
			return err
		}
	}
	t := g.table
	g.table = nil
	err := t.finish(g.from, hi)
	g.from = hi
	return err
}

func (g *Ingest) create() (*tableWriter, error) {
	path := g.store.fs.PathJoin(g.dir, strconv.Itoa(len(g.tables))+".sst")
	t, err := newTableWriter(g.store.fs, path, g.store.tables)
	if err != nil {
		return nil, fmt.Errorf("storage: ingest: %w", err)
	}
	g.tables = append(g.tables, path)
	return t, nil
}

// Install puts the collected keys and the given state in the place of all keys
// of the group, of its log and of its state, as one atomic and durable step: a
// crash leaves either what was or what was collected. Nothing else may write
// the group meanwhile. It waits for the disk. Watchers of the meta shard are told
// to read it again before Install returns.
//
// The Ingest has ended when Install returns; after an error the store holds
// what it held before.
func (g *Ingest) Install(states ...State) error {
	if g.ended {
		return ErrClosed
	}
	err := g.err
	if err == nil {
		err = g.finish(states)
	}
	if err == nil {
		err = g.swap()
	}
	err = errors.Join(err, g.end())
	if err == nil && g.group == MetaShard {
		var seen sightings
		seen.addReplaced()
		g.store.watch.tell(&seen)
	}
	return err
}

// swap replaces the group. All of a table gets one sequence number, and a range
// deletion does not reach keys of its own number.
func (g *Ingest) swap() error {
	if err := g.store.db.Ingest(context.Background(), g.tables); err != nil {
		return fmt.Errorf("storage: ingest group %d: %w", g.group, err)
	}
	return nil
}

// Abort drops what was collected; after Install or Abort it does nothing.
func (g *Ingest) Abort() error {
	if g.ended {
		return nil
	}
	return g.end()
}

func (g *Ingest) end() error {
	g.ended = true
	defer g.store.users.leave()
	if g.table != nil {
		g.table.abort()
	}
	if err := g.store.fs.RemoveAll(g.dir); err != nil {
		return fmt.Errorf("storage: ingest: %w", err)
	}
	return nil
}

// finish writes the tables that are still missing: the end of the last range,
// and what is deleted without being replaced.
func (g *Ingest) finish(states []State) error {
	for len(g.left) > 0 {
		if err := g.nextRange(); err != nil {
			return err
		}
	}
	// A crash must not bring back what was not there when it was looked for.
	if err := g.store.db.LogData(nil, pebble.Sync); err != nil {
		return err
	}
	for _, r := range append(g.empty, LogRange(g.group)) {
		if used, err := g.store.used(r); err != nil || !used {
			if err != nil {
				return err
			}
			continue
		}
		g.from = r.Lo
		if err := g.endTable(r.Hi); err != nil {
			return err
		}
	}
	return g.writeStates(states)
}

func (g *Ingest) writeStates(states []State) (err error) {
	if g.table, err = g.create(); err != nil {
		return err
	}
	slices.SortFunc(states, func(a, b State) int { return int(a.Kind) - int(b.Kind) })
	for _, x := range states {
		if err := g.table.w.Set(appendStateKey(nil, g.group, x.Kind), x.Value); err != nil {
			return err
		}
	}
	r := StateRange(g.group)
	g.from = r.Lo
	return g.endTable(r.Hi)
}

// used reports whether the range has a key.
func (s *Store) used(r Range) (bool, error) {
	found := false
	err := iterate(s.db, r, func(_, _ []byte) bool { found = true; return false }, (*pebble.Iterator).First, (*pebble.Iterator).Next)
	return found, err
}
