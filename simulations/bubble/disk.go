package bubble

import (
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// slowed is a disk whose syncs take as long as the machine's disk is slow.
func (m *machine) slowed(disk vfs.FS) vfs.FS {
	return errorfs.Wrap(disk, errorfs.InjectorFunc(func(op errorfs.Op) error {
		switch op.Kind { //nolint:exhaustive // the others do not wait for the disk
		case errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo:
			if d := time.Duration(m.slow.Load()); d > 0 {
				<-time.After(d)
			}
		}
		return nil
	}))
}
