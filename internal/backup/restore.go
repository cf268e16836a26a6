package backup

import (
	"errors"
	"fmt"
	"io"

	"github.com/rouse-im/rouse/cluster/roster"
	"github.com/rouse-im/rouse/storage"
)

// batchBytes is about what one commit of a restoration writes.
const batchBytes = 1 << 20

// Home says, as the actors of shards do, which shard an intent with that kind and value belongs to.
type Home func(kind byte, value []byte, shards uint16) (uint16, error)

// Restore fills an empty store from an archive that Read has found whole. Users
// are spread over the store's shards, whatever their number was. What the
// archive knows of its cluster and of its nodes is left out: the node that opens
// the store founds a new one. After an error the store is of no use.
func Restore(r io.Reader, s *storage.Store, home Home, progress func(bytes uint64)) (Manifest, error) {
	w := &rewriter{s: s, home: home, batch: s.NewBatch()}
	if held, err := s.Replicas(); err != nil || len(held) > 0 {
		return Manifest{}, errors.Join(err, errors.New("backup: the store is in use: it has replicas"))
	}
	var written uint64
	m, err := Read(r, func(group uint16, key, value []byte) error {
		if err := w.put(group, key, value); err != nil {
			return err
		}
		written += uint64(len(key) + len(value))
		if w.batch.Bytes() < batchBytes {
			return nil
		}
		if progress != nil {
			progress(written)
		}
		return w.batch.Commit(false)
	})
	if err != nil {
		return m, err
	}
	forget := storage.AppendEntry(nil, roster.Forget())
	if err := w.batch.Apply(storage.MetaShard, forget); err != nil {
		return m, err
	}
	return m, w.batch.Commit(true)
}

// rewriter gives keys the shard that they have in another store.
type rewriter struct {
	s     *storage.Store
	home  Home
	batch *storage.Batch
	key   []byte
}

func (w *rewriter) put(group uint16, key, value []byte) error {
	if group == storage.MetaShard {
		return w.batch.Put(group, key, value)
	}
	if storage.OfErasures(key) {
		return nil // no repeat outlives a restoration
	}
	shard, ok, err := storage.Home(key, w.s.Shards())
	if err == nil && !ok {
		_, kind, _, fault := storage.ParseIntentKey(key)
		if shard, err = w.home(kind, value, w.s.Shards()); fault != nil {
			err = fault
		}
	}
	if err != nil {
		return fmt.Errorf("backup: a key of group %d: %w", group, err)
	}
	w.key = storage.AppendMoved(w.key[:0], key, shard)
	return w.batch.Put(shard, w.key, value)
}
