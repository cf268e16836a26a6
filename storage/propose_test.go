package storage

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// stuckDisk holds every sync of a log while it is held.
type stuckDisk struct {
	hold    sync.Mutex
	waiting chan struct{} // one for each sync that arrived, if there is room
}

func newStuckDisk(fs vfs.FS) (*stuckDisk, vfs.FS) {
	d := &stuckDisk{waiting: make(chan struct{}, 1)}
	return d, errorfs.Wrap(fs, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind == errorfs.OpFileSyncData {
			select {
			case d.waiting <- struct{}{}:
			default:
			}
			d.hold.Lock()
			defer d.hold.Unlock()
		}
		return nil
	}))
}

// stick holds the disk and returns when an entry is stuck in its sync.
func (d *stuckDisk) stick(s *Store, done func(error)) {
	d.hold.Lock()
	select {
	case <-d.waiting: // of an earlier sync
	default:
	}
	s.Propose(1, []Mutation{set(AppendUserKey(nil, 1, "a", "stuck"), "v")}, done)
	<-d.waiting
}

func TestRefusals(t *testing.T) {
	s := openTest(t, vfs.NewMem())
	user := func(shard uint16) []byte { return AppendUserKey(nil, shard, "a", "u") }
	meta := AppendCatalogueKey(nil, 'a', "x")
	big := make([]byte, MaxEntryBytes)
	for name, c := range map[string]struct {
		shard uint16
		want  error
		ms    []Mutation
	}{
		"good":               {7, nil, []Mutation{set(user(7), "v"), {Op: Delete, Key: user(7)}, UserRange(7).Delete()}},
		"meta":               {0, nil, []Mutation{set(meta, "v"), CatalogueRange('a').Delete()}},
		"barrier":            {7, nil, nil},
		"other shard":        {7, ErrWrongShard, []Mutation{set(user(7), "v"), set(user(8), "v")}},
		"user key in meta":   {0, ErrWrongShard, []Mutation{set(user(0), "v")}},
		"catalogue in shard": {7, ErrWrongShard, []Mutation{set(append([]byte{'c', 0, 7}, "x"...), "v")}},
		"no such shard":      {65, ErrWrongShard, []Mutation{set(user(65), "v")}},
		"node-local":         {0, ErrWrongShard, []Mutation{set(formatKey, "v")}},
		"no key":             {7, ErrWrongShard, []Mutation{{Op: Set}}},
		"range too far":      {7, ErrWrongShard, []Mutation{{DeleteRange, user(7), UserRange(8).Hi}}},
		"range over family":  {7, ErrWrongShard, []Mutation{{DeleteRange, AppendTokenKey(nil, 7, Sum{}), user(7)}}},
		"range to the end":   {7, ErrWrongShard, []Mutation{{DeleteRange, user(7), []byte{0xff}}}},
		"empty range":        {7, ErrBadMutation, []Mutation{{DeleteRange, user(7), user(7)}}},
		"endless range":      {7, ErrBadMutation, []Mutation{{DeleteRange, user(7), nil}}},
		"no operation":       {7, ErrBadMutation, []Mutation{{Key: user(7)}}},
		"too large":          {7, ErrTooLarge, []Mutation{{Set, user(7), big}}},
		"largest": {7, nil, []Mutation{
			{Set, user(7), big[:MaxEntryBytes-len(user(7))-mutationOverhead]},
		}},
	} {
		if err := put(s, c.shard, c.ms...); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
	if _, err := s.Get(user(8)); !errors.Is(err, ErrNotFound) {
		t.Errorf("a refused entry was written: %v", err)
	}
}

func TestDoneRunsInProposalOrder(t *testing.T) {
	disk, fs := newStuckDisk(vfs.NewMem())
	s := openTest(t, fs)
	var got []int
	ended := make(chan struct{})
	disk.stick(s, func(error) { got = append(got, 0) })
	for i := 1; i <= 1000; i++ {
		shard := uint16(1 + i%64)
		s.Propose(shard, []Mutation{set(AppendUserKey(nil, shard, "a", fmt.Sprint(i)), "v")}, func(err error) {
			if err != nil {
				t.Error(err)
			}
			if got = append(got, i); i == 1000 {
				close(ended)
			}
		})
	}
	disk.hold.Unlock()
	<-ended
	if !slices.IsSorted(got) || len(got) != 1001 {
		t.Fatalf("%d done, sorted: %v", len(got), slices.IsSorted(got))
	}
}

func TestCallerMayReuseBuffers(t *testing.T) {
	disk, fs := newStuckDisk(vfs.NewMem())
	s := openTest(t, fs)
	disk.stick(s, func(error) {})
	key, value := AppendUserKey(nil, 1, "a", "u"), []byte("value")
	ms := []Mutation{{Set, key, value}}
	answer := make(chan error, 1)
	s.Propose(1, ms, func(err error) { answer <- err })
	clear(key)
	clear(value)
	clear(ms)
	disk.hold.Unlock()
	if err := <-answer; err != nil {
		t.Fatal(err)
	}
	if got, err := s.Get(AppendUserKey(nil, 1, "a", "u")); err != nil || string(got) != "value" {
		t.Fatalf("got %q, %v", got, err)
	}
}

func TestQueueBounds(t *testing.T) {
	large := []Mutation{{Set, AppendUserKey(nil, 1, "a", "u"), make([]byte, MaxEntryBytes-100)}}
	for name, c := range map[string]struct {
		ms    []Mutation
		least int
	}{
		"entries": {nil, maxQueuedEntries},
		"bytes":   {large, maxQueuedBytes / MaxEntryBytes},
	} {
		t.Run(name, func(t *testing.T) {
			disk, fs := newStuckDisk(vfs.NewMem())
			s := openTest(t, fs)
			disk.stick(s, func(error) {})
			var ended atomic.Int64
			var busy error
			accepted := 0
			for ; busy == nil && accepted <= 2*maxQueuedEntries; accepted++ {
				s.Propose(1, c.ms, func(err error) {
					if ended.Add(1); err != nil {
						busy = err // before Propose returns: no race
					}
				})
			}
			accepted--
			if !errors.Is(busy, ErrBusy) || accepted != c.least {
				t.Errorf("%d accepted, want %d; then %v", accepted, c.least, busy)
			}
			disk.hold.Unlock()
			if err := put(s, 1); err != nil && !errors.Is(err, ErrBusy) {
				t.Error(err)
			}
			if err := s.Close(); err != nil { // drains
				t.Error(err)
			}
			if n := int(ended.Load()); n != accepted+1 {
				t.Errorf("%d done of %d proposed", n, accepted+1)
			}
		})
	}
}

func TestCloseCommitsWhatIsQueued(t *testing.T) {
	disk, fs := newStuckDisk(vfs.NewMem())
	s := openTest(t, fs)
	disk.stick(s, func(error) {})
	key := AppendUserKey(nil, 2, "a", "late")
	late := errors.New("not called")
	s.Propose(2, []Mutation{set(key, "v")}, func(err error) { late = err })
	disk.hold.Unlock()
	if err := s.Close(); err != nil || late != nil {
		t.Fatalf("close %v, entry %v", err, late)
	}
	if _, err := openTest(t, fs).Get(key); err != nil {
		t.Fatal(err)
	}
}

// openReadOnly opens a store of which every commit fails.
func openReadOnly(t *testing.T, fs vfs.FS) *Store {
	t.Helper()
	o := quiet(fs)
	if err := o.setDefaults(); err != nil {
		t.Fatal(err)
	}
	m := newMetrics()
	p := pebbleOptions(fs, o, m)
	p.ReadOnly = true
	db, err := pebble.Open("data/store", p)
	if err != nil {
		t.Fatal(err)
	}
	s := &Store{identity: identity{shards: 4}, db: db, metrics: m}
	s.writer = newWriter(db, m, &s.watch)
	s.release = append(s.release, db.Close)
	return s
}

func TestFailedCommitEndsTheStore(t *testing.T) {
	fs := vfs.NewMem()
	if err := openTest(t, fs).Close(); err != nil {
		t.Fatal(err)
	}
	s := openReadOnly(t, fs)
	for i := range 3 {
		if err := put(s, 1, set(AppendUserKey(nil, 1, "a", "u"), "v")); !errors.Is(err, pebble.ErrReadOnly) {
			t.Errorf("entry %d: got %v", i, err)
		}
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// TestConcurrentUse closes the store under load: every done runs exactly once,
// and what it acknowledged is there after opening again.
func TestConcurrentUse(t *testing.T) {
	fs := vfs.NewMem()
	s := openTest(t, fs)
	var proposed, ended, acked atomic.Int64
	var load sync.WaitGroup
	closing := make(chan struct{})
	const enough = 2000
	for shard := uint16(1); shard <= 8; shard++ {
		load.Go(func() {
			for n := 0; ; n++ {
				key := AppendUserKey(nil, shard, "a", fmt.Sprint(n))
				proposed.Add(1)
				err := put(s, shard, set(key, "v"))
				ended.Add(1)
				if errors.Is(err, ErrClosed) {
					return
				}
				if err != nil {
					t.Error(err)
					return
				}
				if acked.Add(1) == enough {
					close(closing)
				}
				if got, err := s.Get(key); string(got) != "v" && !errors.Is(err, ErrClosed) {
					t.Errorf("acknowledged and not readable: %v", err)
				}
				if err := s.Scan(TokenRange(shard), func(_, _ []byte) bool { return true }); err != nil && !errors.Is(err, ErrClosed) {
					t.Error(err)
				}
			}
		})
	}
	<-closing
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	load.Wait()
	if proposed.Load() != ended.Load() {
		t.Errorf("%d proposed, %d done", proposed.Load(), ended.Load())
	}
	s = openTest(t, fs)
	found := int64(0)
	for shard := uint16(1); shard <= 8; shard++ {
		if err := s.Scan(UserRange(shard), func(_, _ []byte) bool { found++; return true }); err != nil {
			t.Fatal(err)
		}
	}
	if found != acked.Load() {
		t.Errorf("%d acknowledged, %d found", acked.Load(), found)
	}
}

func TestCrashLoggerLevels(t *testing.T) {
	var lines []string
	l := crashLogger{slog.New(slog.NewTextHandler(writerFunc(func(b []byte) { lines = append(lines, string(b)) }), nil))}
	l.Infof("quiet %d", 1)
	l.Errorf("loud %d", 2)
	if len(lines) != 1 {
		t.Fatalf("got %q", lines)
	}
}

type writerFunc func([]byte)

func (f writerFunc) Write(b []byte) (int, error) { f(b); return len(b), nil }
