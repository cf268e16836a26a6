package replica

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/rouse-im/rouse/storage/stream"
)

// fetched reads a group to its end, as content shows it.
func fetched(f *Fetched) (string, error) {
	var all bytes.Buffer
	total := stream.NewTotal()
	for {
		kind, payload, err := f.Next()
		if err != nil {
			return "", err
		}
		if kind == stream.End {
			return all.String(), total.Check(payload)
		}
		err = stream.ReadPairs(payload, func(k, v []byte) error {
			total.Add(k, v)
			fmt.Fprintf(&all, "%q=%q\n", k, v)
			return nil
		})
		if err != nil {
			return "", err
		}
	}
}

// A node without a replica gets all that was acknowledged from whoever leads the
// group, as it is at one moment, and from nobody else.
func TestFetch(t *testing.T) {
	bubble(t, 0, func(t *testing.T, w *world) {
		for id := uint64(1); id <= 4; id++ {
			w.start(id, vfs.NewCrashableMem())
		}
		found(t, w.nodes[1], 1, 2)
		w.grow(3, 1)
		lead, outside := w.leader(1), w.nodes[4].engine
		lead.fill(60)
		before := string(lead.content(1))
		at := lead.status(1).Applied
		f, err := outside.Fetch(t.Context(), lead.id, 1)
		if err != nil {
			t.Fatal(err)
		}
		lead.mustPut(1, "after the question")
		got, err := fetched(f)
		if err = errors.Join(err, f.Close()); err != nil || got != before || f.Applied != at {
			t.Errorf("%d bytes at %d, want %d at %d; %v", len(got), f.Applied, len(before), at, err)
		}
		for id := uint64(1); id <= 3; id++ {
			if id == lead.id {
				continue
			}
			if _, err := outside.Fetch(t.Context(), id, 1); !errors.Is(err, errGiven) {
				t.Errorf("from a follower: %v", err)
			}
		}
		if _, err := outside.Fetch(t.Context(), lead.id, 9999); !errors.Is(err, errGiven) {
			t.Errorf("a group that there is not: %v", err)
		}

		// What others fetch at once is bounded, and a place is free when one is done.
		var open []*Fetched
		for range maxGiven {
			w.wait("the places of those before are free", func() bool {
				f, err = outside.Fetch(t.Context(), lead.id, 1)
				return !errors.Is(err, errBusy)
			})
			if err != nil {
				t.Fatal(err)
			}
			open = append(open, f)
		}
		if _, err := outside.Fetch(t.Context(), lead.id, 1); !errors.Is(err, errBusy) {
			t.Errorf("beyond the bound: %v", err)
		}
		// A stream that breaks is seen.
		w.sever(4, lead.id)
		if _, err := fetched(open[0]); err == nil {
			t.Error("a broken stream looks whole")
		}
		for _, f := range open {
			if err := f.Close(); err != nil {
				t.Error(err)
			}
		}
		w.wait("a place is free", func() bool {
			f, err := outside.Fetch(t.Context(), lead.id, 1)
			return err == nil && f.Close() == nil
		})
	})
}

// A node of an older release does not know the question: whether it ends the
// connection, or says nothing, whoever asks is told in bounded time.
func TestFetchFromAnOlderNode(t *testing.T) {
	const closes, mute = 8, 9
	bubble(t, 0, func(t *testing.T, w *world) {
		w.options = func(o *Options) {
			o.Open = func(_ context.Context, to uint64) (net.Conn, error) {
				here, there := net.Pipe()
				go func() {
					_, _ = io.CopyN(io.Discard, there, 1) // it has come
					if to == closes {
						_ = there.Close()
						return
					}
					_, _ = io.Copy(io.Discard, there)
				}()
				return here, nil
			}
		}
		w.start(1, vfs.NewCrashableMem())
		for to, most := range map[uint64]time.Duration{closes: 0, mute: idleFor} {
			began := time.Now()
			f, err := w.nodes[1].engine.Fetch(t.Context(), to, 1)
			if err == nil {
				t.Errorf("it was answered: %v", f.Close())
			}
			if took := time.Since(began); took > most {
				t.Errorf("told after %s, want %s", took, most)
			}
		}
	})
}
