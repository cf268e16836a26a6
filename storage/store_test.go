package storage

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"
)

// quiet are options on fs for tests: small buffers, no log.
func quiet(fs vfs.FS) Options {
	return Options{FS: fs, CacheBytes: 1 << 20, MemTableBytes: 256 << 10, Logger: slog.New(slog.DiscardHandler)}
}

func openTest(t testing.TB, fs vfs.FS) *Store {
	t.Helper()
	s, err := Open("data/store", quiet(fs))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil && !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
	})
	return s
}

// put proposes and waits.
func put(s *Store, shard uint16, ms ...Mutation) error {
	answer := make(chan error, 1)
	s.Propose(shard, ms, func(err error) { answer <- err })
	return <-answer
}

func set(key []byte, value string) Mutation {
	return Mutation{Op: Set, Key: key, Value: []byte(value)}
}

func TestReopenKeepsDataAndIdentity(t *testing.T) {
	fs := vfs.NewMem()
	s := openTest(t, fs)
	key := AppendUserKey(nil, s.ShardOf("app", "ann"), "app", "ann")
	if err := put(s, s.ShardOf("app", "ann"), set(key, "record")); err != nil {
		t.Fatal(err)
	}
	node := s.NodeID()
	if len(node) != 32 || s.Shards() != DefaultShards {
		t.Fatalf("node %q, %d shards", node, s.Shards())
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openTest(t, fs)
	if got, err := s.Get(key); err != nil || string(got) != "record" {
		t.Fatalf("got %q, %v", got, err)
	}
	if s.NodeID() != node {
		t.Fatalf("node id changed from %s to %s", node, s.NodeID())
	}
	if other := openTest(t, vfs.NewMem()); other.NodeID() == node {
		t.Fatal("two stores with one node id")
	}
}

func TestShardCountIsFixed(t *testing.T) {
	fs := vfs.NewMem()
	o := quiet(fs)
	o.Shards = 16
	s, err := Open("d", o)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	o.Shards = 32
	if _, err := Open("d", o); !errors.Is(err, ErrShardCount) || !strings.Contains(err.Error(), "has 16") {
		t.Fatalf("got %v", err)
	}
	o.Shards = 0
	if s, err = Open("d", o); err != nil || s.Shards() != 16 {
		t.Fatalf("got %v, %v", s, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestOpenRefuses(t *testing.T) {
	foreign := vfs.NewMem()
	db, err := pebble.Open("d", &pebble.Options{FS: foreign, Logger: crashLogger{slog.New(slog.DiscardHandler)}})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(db.Set([]byte("x"), nil, pebble.Sync), db.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := Open("d", quiet(foreign)); !errors.Is(err, ErrForeign) {
		t.Errorf("foreign store: %v", err)
	}

	busy := vfs.NewMem()
	openTest(t, busy)
	if _, err := Open("data/store", quiet(busy)); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("second open: %v", err)
	}

	for name, o := range map[string]Options{
		"shards": {FS: vfs.NewMem(), Shards: MaxShards + 1},
		"cache":  {FS: vfs.NewMem(), CacheBytes: -1},
	} {
		if _, err := Open("d", o); err == nil {
			t.Errorf("%s: opened", name)
		}
	}
}

func TestClosedStoreAnswers(t *testing.T) {
	s := openTest(t, vfs.NewMem())
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	_, get := s.Get([]byte("u"))
	_, erase := s.EraseUser("a", "b", 0, 0)
	for name, err := range map[string]error{
		"get": get, "erase": erase, "close": s.Close(),
		"scan":     s.Scan(UserRange(1), func(_, _ []byte) bool { return true }),
		"propose":  put(s, 1),
		"compact":  s.Compact(t.Context(), nil),
		"writable": s.Writable(day0),
	} {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestReadersDelayClose(t *testing.T) {
	s := openTest(t, vfs.NewMem())
	key := AppendUserKey(nil, 1, "a", "u")
	if err := put(s, 1, set(key, "v")); err != nil {
		t.Fatal(err)
	}
	var closing sync.WaitGroup
	var closed error
	err := s.Scan(UserRange(1), func(_, value []byte) bool {
		closing.Go(func() { closed = s.Close() })
		<-s.writer.ended
		if _, err := s.Get(key); err != nil && !errors.Is(err, ErrClosed) {
			t.Errorf("nested read: %v", err)
		}
		return string(value) == "v"
	})
	closing.Wait()
	if err != nil || closed != nil {
		t.Fatalf("scan %v, close %v", err, closed)
	}
}

func TestScanBothWays(t *testing.T) {
	s := openTest(t, vfs.NewMem())
	var ms []Mutation
	for i := range 5 {
		ms = append(ms, set(AppendUserKey(nil, 3, "a", fmt.Sprint(i)), fmt.Sprint(i)))
	}
	if err := put(s, 3, ms...); err != nil {
		t.Fatal(err)
	}
	if err := put(s, 4, set(AppendUserKey(nil, 4, "a", "x"), "x")); err != nil {
		t.Fatal(err)
	}
	collect := func(scan func(Range, func(k, v []byte) bool) error, most int) string {
		var got strings.Builder
		if err := scan(UserRange(3), func(_, v []byte) bool {
			got.Write(v)
			return got.Len() < most
		}); err != nil {
			t.Fatal(err)
		}
		return got.String()
	}
	if got := collect(s.Scan, 9) + collect(s.ScanReverse, 9) + collect(s.Scan, 2); got != "012344321001" {
		t.Fatalf("got %s", got)
	}
	if _, err := s.Get([]byte("none")); !errors.Is(err, ErrNotFound) {
		t.Fatalf("got %v", err)
	}
}

func TestMetrics(t *testing.T) {
	r := prometheus.NewPedanticRegistry()
	for range 2 { // Close unregisters
		o := quiet(vfs.NewMem())
		o.Metrics = r
		s, err := Open("d", o)
		if err != nil {
			t.Fatal(err)
		}
		if err := put(s, 1, set(AppendUserKey(nil, 1, "a", "u"), "v")); err != nil {
			t.Fatal(err)
		}
		_ = put(s, 1, set(AppendUserKey(nil, 2, "a", "u"), "v"))
		families, err := r.Gather()
		if err != nil || len(families) != 11 {
			t.Fatalf("%d families, %v", len(families), err)
		}
		for _, f := range families {
			m := f.GetMetric()[0]
			switch f.GetName() {
			case "rouse_storage_commit_entries":
				if n := m.GetHistogram().GetSampleCount(); n != 1 {
					t.Errorf("%d commits", n)
				}
			case "rouse_storage_refused_total":
				if n := m.GetCounter().GetValue(); n != 1 {
					t.Errorf("%v refused", n)
				}
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
