package storage

import (
	"errors"

	"github.com/cockroachdb/pebble/v2/objstorage/objstorageprovider"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// tableBytesPerSync is after how much of a table the system begins to write it to
// the disk: all of it at the end would hold up those who wait for theirs.
const tableBytesPerSync = 512 << 10

// tableWriter writes one table file, to be taken in by the store.
type tableWriter struct {
	w *sstable.Writer
}

func newTableWriter(fs vfs.FS, path string, o sstable.WriterOptions) (*tableWriter, error) {
	f, err := fs.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return nil, err
	}
	f = vfs.NewSyncingFile(f, vfs.SyncingFileOptions{BytesPerSync: tableBytesPerSync})
	return &tableWriter{w: sstable.NewWriter(objstorageprovider.NewFileWritable(f), o)}, nil
}

// size is about what the file would have if it ended now.
func (t *tableWriter) size() uint64 { return t.w.Raw().EstimatedSize() }

// finish adds the deletion of what the store holds of lo..hi, which spares the
// table's own keys, and syncs the file.
func (t *tableWriter) finish(lo, hi []byte) error {
	return errors.Join(t.w.DeleteRange(lo, hi), t.w.Close())
}

// abort closes a file that will not be used; that it is not a table is no error.
func (t *tableWriter) abort() { _ = t.w.Close() }
