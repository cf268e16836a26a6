package bench

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"os"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// intake: presence events of a moderate number of users, on disk before they
// are answered. The measure is a loop that writes the same bytes to Pebble in
// as many synced batches.
func intake(ctx context.Context, r *runner) (err error) {
	n, err := r.startNode(ctx, r.Size.Users)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.stop()) }()
	if _, err := n.presence(ctx, r.Size.Users, r.Size.Users, 1, 0); err != nil {
		return err
	}
	if err := r.record(n.child, "intake"); err != nil {
		return err
	}
	raw, err := openRaw()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, raw.close()) }()
	var rates, costs, ratios, group []float64
	for range r.Size.Rounds {
		var before, after Commits
		if err := n.call("Commits", Nothing{}, &before); err != nil {
			return err
		}
		t, err := n.presence(ctx, r.Size.Events, r.Size.Users, 1, 0)
		if err != nil {
			return err
		}
		if err := n.call("Commits", Nothing{}, &after); err != nil {
			return err
		}
		synced := max(1, int(after.Synced-before.Synced))
		rate, err := raw.write(r.Size.Events, synced, int(after.Bytes-before.Bytes))
		if err != nil {
			return err
		}
		rates, costs = append(rates, t.rate), append(costs, micros(t.cpu))
		ratios, group = append(ratios, t.rate/rate), append(group, float64(r.Size.Events)/float64(synced))
	}
	r.median("intake", "presence events on disk", rates, "/s", nil)
	r.median("intake", "CPU of an event", costs, "µs", nil)
	r.median("intake", "events of one synced commit", group, "", nil)
	r.median("intake", "rate ÷ raw Pebble with the same bytes and syncs", ratios, "", atLeast(0.5))
	return nil
}

// raw is Pebble with nothing around it.
type raw struct {
	db  *pebble.DB
	dir string
	n   uint64
}

func openRaw() (*raw, error) {
	dir, err := os.MkdirTemp("", "rouse-bench-raw-")
	if err != nil {
		return nil, err
	}
	db, err := pebble.Open(dir, &pebble.Options{MemTableSize: 32 << 20, Logger: silent{}})
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return &raw{db: db, dir: dir}, nil
}

func (w *raw) close() error { return errors.Join(w.db.Close(), os.RemoveAll(w.dir)) }

// write returns records per second.
func (w *raw) write(records, batches, bytes int) (float64, error) {
	const key = 32
	value := make([]byte, max(1, bytes/records-key))
	_, _ = rand.Read(value) // never fails
	start := time.Now()
	for b := range batches {
		batch := w.db.NewBatch()
		for range records*(b+1)/batches - records*b/batches {
			w.n++
			var k [key]byte
			binary.BigEndian.PutUint64(k[:], w.n*0x9e3779b97f4a7c15) // scattered, as users are
			if err := batch.Set(k[:], value, nil); err != nil {
				return 0, err
			}
		}
		if err := batch.Commit(pebble.Sync); err != nil {
			return 0, err
		}
	}
	return float64(records) / time.Since(start).Seconds(), nil
}

type silent struct{}

func (silent) Infof(string, ...any)  {}
func (silent) Errorf(string, ...any) {}
func (silent) Fatalf(string, ...any) { os.Exit(1) }
