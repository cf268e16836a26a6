package fleet

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/rouse-im/rouse/actors/shard"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/api/rouse/v1/rousev1connect"
	"github.com/rouse-im/rouse/internal/backup"
	"github.com/rouse-im/rouse/storage"
)

// archive takes a backup through a node.
func (d *door) archive(ctx context.Context) ([]byte, error) {
	caller := &http.Client{Transport: asOperator{d}}
	in, err := rousev1connect.NewBackupServiceClient(caller, "http://"+d.HTTP()).Backup(ctx, &rousev1.BackupRequest{})
	if err != nil {
		return nil, err
	}
	var whole []byte
	for in.Receive() {
		whole = append(whole, in.Msg().GetData()...)
	}
	if err := errors.Join(in.Err(), in.Close()); err != nil {
		return nil, err
	}
	_, err = backup.Read(bytes.NewReader(whole), nil)
	return whole, err
}

type asOperator struct{ *door }

func (o asOperator) RoundTrip(r *http.Request) (*http.Response, error) {
	r.Header.Set("Authorization", "Bearer "+o.town.key)
	t := &http.Transport{DialContext: o.Dial, DisableKeepAlives: true}
	return t.RoundTrip(r)
}

// TestBackupOfManyNodes: no node holds all groups, and yet one archive has all that
// was acknowledged before it was asked for, through any node and under load.
func TestBackupOfManyNodes(t *testing.T) {
	t.Parallel()
	w := ownTown(t, 4, 8, nil)
	for _, d := range w.doors[1:] {
		if err := d.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	w.whole(t)
	users := w.flood(t, "kept-", w.doors[0], 100)
	l := w.busy(t, "load")
	var whole []byte
	for _, d := range w.doors {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		got, err := d.archive(ctx)
		cancel()
		if err != nil {
			t.Fatalf("%s: %v", d.Name, err)
		}
		whole = got
	}
	l.end(t)

	store, err := storage.Open(t.TempDir(), storage.Options{Shards: 5, MinFreeBytes: 64 << 20, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	}()
	m, err := backup.Restore(bytes.NewReader(whole), store, shard.IntentHome, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, user := range users {
		if _, err := store.Get(storage.AppendUserKey(nil, store.ShardOf(chat, user), chat, user)); err != nil {
			t.Errorf("%s: %v", user, err)
		}
	}
	if len(m.Groups) != 9 {
		t.Errorf("%d groups", len(m.Groups))
	}
	// While a node is away its groups come from others; without a majority of a
	// group there is no archive that looks whole.
	if err := w.doors[3].Kill(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, err := w.doors[1].archive(ctx); err != nil {
		t.Errorf("with one node away: %v", err)
	}
	if err := errors.Join(w.doors[2].Kill(), w.doors[0].Kill()); err != nil {
		t.Fatal(err)
	}
	if _, err := w.doors[1].archive(ctx); err == nil {
		t.Error("an archive without a majority")
	}
}
