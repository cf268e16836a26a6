package storage

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"
)

const (
	defaultCacheBytes    = 64 << 20
	defaultMemTableBytes = 16 << 20
	defaultMinFreeBytes  = 256 << 20
)

// Options of a Store; every zero value is a safe default.
type Options struct {
	// FS holds the directory; nil is the operating system's, watched for slow
	// operations. A given one is taken for simulated: the store sets no
	// periodic timers, so that fake time passes cheaply.
	FS vfs.FS
	// BeforeSync is called before each synced commit of a Batch, by who commits and
	// with no lock held: there a simulated disk is slow. nil = nothing.
	BeforeSync func()
	// CacheBytes is the block cache; default 64 MiB.
	CacheBytes int64
	// MemTableBytes is one of up to four write buffers; default 16 MiB.
	MemTableBytes uint64
	// Shards is the number of user shards, 1..MaxShards, fixed by the first
	// open. Zero takes what is stored, or DefaultShards for a new store.
	Shards uint16
	// MinFreeBytes is the watermark of Writable; default 256 MiB.
	MinFreeBytes uint64
	// Logger defaults to slog.Default.
	Logger *slog.Logger
	// Metrics may be nil.
	Metrics prometheus.Registerer
}

func (o *Options) setDefaults() error {
	if o.Shards > MaxShards {
		return fmt.Errorf("storage: %d shards; choose 1..%d", o.Shards, MaxShards)
	}
	if o.CacheBytes < 0 {
		return fmt.Errorf("storage: block cache of %d bytes; choose 0 for the default or more", o.CacheBytes)
	}
	if o.CacheBytes == 0 {
		o.CacheBytes = defaultCacheBytes
	}
	if o.MemTableBytes == 0 {
		o.MemTableBytes = defaultMemTableBytes
	}
	if o.MinFreeBytes == 0 {
		o.MinFreeBytes = defaultMinFreeBytes
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return nil
}

// Store is a node's durable state; all its methods may be called concurrently.
type Store struct {
	identity
	db      *pebble.DB
	writer  *writer
	users   gate
	disk    watermark
	sizes   sizes
	metrics *metrics
	fs      vfs.FS
	waits   func() // before a synced commit; may be nil
	dir     string
	watch   watch
	// propose takes entries instead of writer when the store is replicated.
	propose func(shard uint16, ms []Mutation, done func(error))
	incoming
	// release undoes, in reverse order, what opening did around the database.
	release []func() error
}

// Open opens the store in dir, founding it when there is none and upgrading it
// when an older release wrote it. One process at a time may have it open.
func Open(dir string, o Options) (*Store, error) { return open(dir, o, released) }

func open(dir string, o Options, f formats) (_ *Store, err error) {
	if err := o.setDefaults(); err != nil {
		return nil, err
	}
	s := &Store{metrics: newMetrics()}
	defer func() {
		if err != nil {
			err = fmt.Errorf("storage: open %s: %w", dir, errors.Join(err, s.undo()))
		}
	}()
	fs := o.FS
	if fs == nil {
		var stop func() error
		fs, stop = healthy(vfs.Default, o.Logger, s.metrics)
		s.release = append(s.release, stop)
	}
	if err := makeDir(fs, dir); err != nil {
		return nil, err
	}
	p := pebbleOptions(fs, o, s.metrics)
	if s.db, err = pebble.Open(dir, p); err != nil {
		return nil, fmt.Errorf("is another process using it? %w", err)
	}
	s.release = append(s.release, s.db.Close)
	if s.identity, err = f.ready(s.db, o.Shards); err != nil {
		return nil, err
	}
	s.fs, s.dir, s.waits = fs, dir, o.BeforeSync
	if s.incoming, err = newIncoming(fs, dir, p); err != nil {
		return nil, err
	}
	s.disk = watermark{fs: fs, dir: dir, needed: o.MinFreeBytes, log: o.Logger}
	if err := s.register(o.Metrics); err != nil {
		return nil, err
	}
	s.writer = newWriter(s.db, s.metrics, &s.watch)
	return s, nil
}

func (s *Store) register(r prometheus.Registerer) error {
	if r == nil {
		return nil
	}
	c := newCollector(s)
	if err := r.Register(c); err != nil {
		return fmt.Errorf("register metrics: %w", err)
	}
	s.release = append(s.release, func() error { r.Unregister(c); return nil })
	return nil
}

func (s *Store) undo() error {
	var errs []error
	for _, v := range slices.Backward(s.release) {
		errs = append(errs, v())
	}
	return errors.Join(errs...)
}

// makeDir creates dir and syncs the parent of each directory it created: a
// power loss must not take the whole store. Pebble syncs dir alone.
func makeDir(fs vfs.FS, dir string) error {
	var created []string
	for d := dir; ; {
		if _, err := fs.Stat(d); err == nil {
			break
		}
		created = append(created, d)
		parent := fs.PathDir(d)
		if parent == d {
			break
		}
		d = parent
	}
	if err := fs.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for _, c := range slices.Backward(created) {
		if err := syncDir(fs, fs.PathDir(c)); err != nil {
			return err
		}
	}
	return nil
}

func syncDir(fs vfs.FS, dir string) error {
	f, err := fs.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// NodeID returns the random id that the node got at first open, 32 hex digits.
// A node that lost its disk comes back under another one.
func (s *Store) NodeID() string { return s.node }

// Close commits what was proposed before it, waits for readers, and closes the
// store. Later calls return ErrClosed.
func (s *Store) Close() error {
	s.writer.stop(ErrClosed)
	<-s.writer.ended
	if !s.users.close() {
		return ErrClosed
	}
	if err := s.undo(); err != nil {
		return fmt.Errorf("storage: close: %w", err)
	}
	return nil
}
