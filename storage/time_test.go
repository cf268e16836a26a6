package storage

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/prometheus/client_golang/prometheus"
)

// TestStoreRunsInFakeTime: simulations run days of a whole node in a bubble;
// the store neither leaks goroutines nor needs the time to pass.
func TestStoreRunsInFakeTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := Open("d", quiet(vfs.NewMem()))
		if err != nil {
			t.Fatal(err)
		}
		for range 100 {
			if err := put(s, 1, set(AppendUserKey(nil, 1, "a", "u"), "v")); err != nil {
				t.Error(err)
			}
			<-time.After(time.Hour)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}

// TestSlowDiskIsReported holds one sync for 10 s.
func TestSlowDiskIsReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var out bytes.Buffer
		log := slog.New(slog.NewTextHandler(writerFunc(func(b []byte) {
			mu.Lock()
			defer mu.Unlock()
			out.Write(b)
		}), nil))
		m := newMetrics()
		fs, stop := healthy(errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
			if op.Kind == errorfs.OpFileSync {
				<-time.After(10 * time.Second)
			}
			return nil
		})), log, m)
		f, err := fs.Create("tokens-of-ann", vfs.WriteCategoryUnspecified)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Sync(); err != nil {
			t.Error(err)
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if n := count(t, m.diskSlow); n < 3 || n > 5 {
			t.Errorf("%v reports in 10 s, want one every 2 s", n)
		}
		mu.Lock()
		defer mu.Unlock()
		if got := out.String(); !strings.Contains(got, "disk is slow") || !strings.Contains(got, "operation=sync") {
			t.Errorf("log says %q", got)
		}
	})
}

func count(t *testing.T, c prometheus.Counter) float64 {
	r := prometheus.NewRegistry()
	r.MustRegister(c)
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	return families[0].GetMetric()[0].GetCounter().GetValue()
}
