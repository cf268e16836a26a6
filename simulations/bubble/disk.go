package bubble

import (
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// disk in memory that can crash. What is written to a log goes to the file
// beneath with the next sync: vfs copies all of a file when it is synced, which is
// too much for logs, that grow by a record and are synced after each.
type disk struct {
	*vfs.MemFS
	mu   sync.RWMutex // written while the disk crashes
	logs map[*logFile]bool
}

func newDisk() *disk { return &disk{MemFS: vfs.NewCrashableMem(), logs: map[*logFile]bool{}} }

// crash makes the disk that the next run finds: with what was synced, and so many
// percent of the rest. What still runs goes on writing to the old one.
func (d *disk) crash(percent int, seed uint64) *disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	for f := range d.logs {
		_ = f.settle() // memory does not fail
	}
	cfg := vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rand.New(rand.NewPCG(seed, 1))}
	return &disk{MemFS: d.CrashClone(cfg), logs: map[*logFile]bool{}}
}

// Create a file.
func (d *disk) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := d.MemFS.Create(name, c)
	return d.wrap(name, f, err)
}

// ReuseForWrite writes over a former log.
func (d *disk) ReuseForWrite(former, name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := d.MemFS.ReuseForWrite(former, name, c)
	return d.wrap(name, f, err)
}

func (d *disk) wrap(name string, f vfs.File, err error) (vfs.File, error) {
	if err != nil || !isLog(name) {
		return f, err
	}
	l := &logFile{File: f, d: d}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.logs[l] = true
	return l, nil
}

// fate decides, for whichever goroutine asks.
type fate struct {
	mu sync.Mutex
	r  *rand.Rand
}

func (f *fate) draw() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.r.Uint64()
}

func isLog(name string) bool { return strings.HasSuffix(name, ".log") }

// logFile keeps what was not synced.
type logFile struct {
	vfs.File
	d       *disk
	mu      sync.Mutex
	pending []byte
}

// Write keeps p until the next sync.
func (f *logFile) Write(p []byte) (int, error) {
	f.d.mu.RLock()
	defer f.d.mu.RUnlock()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.pending = append(f.pending, p...)
	return len(p), nil
}

// Sync makes all that was written survive a crash.
func (f *logFile) Sync() error {
	f.d.mu.RLock()
	defer f.d.mu.RUnlock()
	f.mu.Lock()
	defer f.mu.Unlock()
	_, err := f.File.Write(f.pending)
	f.pending = f.pending[:0]
	return err
}

// SyncData is Sync.
func (f *logFile) SyncData() error { return f.Sync() }

// Close the file; what was not synced may be lost.
func (f *logFile) Close() error {
	f.d.mu.Lock()
	delete(f.d.logs, f)
	err := f.settle()
	f.d.mu.Unlock()
	if err != nil {
		return err
	}
	return f.File.Close()
}

// settle puts the file beneath into the state that this one stands for.
func (f *logFile) settle() error {
	if err := f.File.Sync(); err != nil {
		return err
	}
	_, err := f.File.Write(f.pending)
	f.pending = nil
	return err
}

// wait for a slow disk. The time of a sync passes before the store begins it, not
// in the file: Pebble waits for some syncs with a mutex locked, of a directory when
// it opens, of a log when it begins the next one. A bubble's clock stands still
// while somebody waits for a mutex, and so would the run.
func (m *machine) wait() {
	if d := time.Duration(m.slow.Load()); d > 0 {
		<-time.After(d)
	}
}

// watched is the disk of a run. The sync of a log that fails is the death of the
// run: the store ends its process then, on purpose.
func (p *process) watched(disk vfs.FS) vfs.FS {
	return errorfs.Wrap(disk, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if !isLog(op.Path) {
			return nil
		}
		switch op.Kind { //nolint:exhaustive // the others do not wait for the disk
		case errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo:
			if p.m.failing.Load() {
				p.m.crash(p, int(p.m.e.fate.draw()%101))
			}
		}
		return nil
	}))
}
