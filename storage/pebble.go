package storage

import (
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"
)

const (
	// pebbleFormat is pinned, never "newest": raising it leaves no way back to
	// a release with an older Pebble.
	pebbleFormat = pebble.FormatTableFormatV6

	// diskSlowAfter is when an operation of the disk is reported.
	diskSlowAfter = time.Second

	bottomLevel = 6
)

// pebbleOptions are Pebble's own benchmark values in an embedded size.
func pebbleOptions(fs vfs.FS, o Options, m *metrics) *pebble.Options {
	p := &pebble.Options{
		FS:                          fs,
		CacheSize:                   o.CacheBytes,
		MemTableSize:                o.MemTableBytes,
		MemTableStopWritesThreshold: 4,
		// At 2, small sets of busy users were rewritten together with all others
		// too often: 1.3 times the CPU of an event with 200,000 users on disk
		// against 10,000, and 1.1 times at 8, in rouse bench scale.
		L0CompactionThreshold:      8,
		L0StopWritesThreshold:      1000,
		WALBytesPerSync:            512 << 10,
		CompactionConcurrencyRange: func() (int, int) { return 1, max(1, runtime.GOMAXPROCS(0)) },
		FormatMajorVersion:         pebbleFormat,
		Logger:                     crashLogger{o.Logger},
	}
	p.ApplyCompressionSettings(func() pebble.DBCompressionSettings { return pebble.DBCompressionBalanced })
	for i := range p.Levels {
		p.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
	}
	// Get never asks the filters of the bottom level, where most keys are.
	p.Levels[bottomLevel].FilterPolicy = pebble.NoFilterPolicy
	if o.FS != nil {
		// The default scheduler ticks ten times a second: a simulated day of a
		// node would cost most of a second.
		p.Experimental.CompactionScheduler = pebble.NewConcurrencyLimitSchedulerWithNoPeriodicGrantingForTest()
	}
	p.EventListener = &pebble.EventListener{
		WriteStallBegin: func(info pebble.WriteStallBeginInfo) {
			m.stalls.Inc()
			o.Logger.Warn("storage: writes wait for the disk", "reason", info.Reason)
		},
	}
	return p
}

// healthy reports operations of fs that take longer than diskSlowAfter. The
// second result stops the reports and must be called.
func healthy(fs vfs.FS, log *slog.Logger, m *metrics) (vfs.FS, func() error) {
	fs, closer := vfs.WithDiskHealthChecks(fs, diskSlowAfter, nil, func(info vfs.DiskSlowInfo) {
		m.diskSlow.Inc()
		log.Warn("storage: disk is slow", "operation", info.OpType.String(), "took", info.Duration)
	})
	return fs, closer.Close
}

// crashLogger ends the process when Pebble cannot go on: it has lost the
// order of its log, and a commit that goes on waiting must not be answered.
type crashLogger struct{ log *slog.Logger }

func (l crashLogger) Infof(format string, args ...any) {
	l.log.Debug("storage: pebble", "event", fmt.Sprintf(format, args...))
}

func (l crashLogger) Errorf(format string, args ...any) {
	l.log.Error("storage: pebble", "event", fmt.Sprintf(format, args...))
}

func (l crashLogger) Fatalf(format string, args ...any) {
	l.log.Error("storage: the disk failed or is full; the process ends and recovers when it is started again",
		"event", fmt.Sprintf(format, args...))
	os.Exit(1)
}
