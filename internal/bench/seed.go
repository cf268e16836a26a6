package bench

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/rouse-im/rouse/actors/user"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/internal/demo"
	"github.com/rouse-im/rouse/storage"
)

const (
	appID    = "bench"
	notifier = "apns"
)

// Names are as long as those of a large system.
func userID(n int) string { return fmt.Sprintf("user-%08d", n) }

func deviceID(n, device int) string { return fmt.Sprintf("device-%08d-%d", n, device) }

func deviceToken(n int) string { return fmt.Sprintf("%064x", n) }

// tokenOf is as long as the credential's vendor wants it: OPPO half as long.
func tokenOf(credential string, n int) string {
	if credential == demo.OPPO {
		return fmt.Sprintf("%032x", n)
	}
	return deviceToken(n + 1) // one of zeros alone belongs to no device
}

// record is a user with three devices as the engine stores one: a phone with a
// binding, a tablet with one, and a desktop.
func record(n int) []byte {
	s := user.State{}
	for i, platform := range []rousev1.Platform{rousev1.Platform_PLATFORM_IOS, rousev1.Platform_PLATFORM_ANDROID, rousev1.Platform_PLATFORM_DESKTOP} {
		d := user.Device{
			ID: deviceID(n, i), State: rousev1.SessionState_SESSION_STATE_DISCONNECTED, Session: 1, LastSeen: time.Now().Unix(),
			Info: user.Info{Platform: platform, Brand: "maker", Package: bundle, Version: "8.1.0", Lang: "en", Zone: "Asia/Shanghai"},
		}
		if i < 2 {
			d.Bindings = []user.Binding{{Notifier: notifier, Sealed: string(bytes.Repeat([]byte{'s'}, 65)), Sum: user.Sum{byte(i + 1)}, BoundAt: time.Now().UnixMilli()}}
		}
		s.Devices = append(s.Devices, d)
	}
	return s.Encode(nil)
}

const (
	seedEntry    = 64 // records of one entry
	seedInFlight = 64 // entries
)

// seed founds a store with users 0 to users-1 of the app.
func seed(dir string, users int) (err error) {
	store, err := storage.Open(dir, storage.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	return seedInto(store, users)
}

func seedInto(store *storage.Store, users int) error {
	byShard := make([][]storage.Mutation, store.Shards()+1)
	slots := make(chan struct{}, seedInFlight)
	var mu sync.Mutex
	var failed error
	write := func(shard uint16) {
		slots <- struct{}{}
		store.Propose(shard, byShard[shard], func(err error) {
			mu.Lock()
			failed = errors.Join(failed, err)
			mu.Unlock()
			<-slots
		})
		byShard[shard] = nil
	}
	for n := range users {
		shard := store.ShardOf(appID, userID(n))
		byShard[shard] = append(byShard[shard], storage.Mutation{Op: storage.Set, Key: storage.AppendUserKey(nil, shard, appID, userID(n)), Value: record(n)})
		if len(byShard[shard]) == seedEntry {
			write(shard)
		}
	}
	for shard := range byShard {
		if len(byShard[shard]) > 0 {
			write(uint16(shard))
		}
	}
	for range seedInFlight {
		slots <- struct{}{}
	}
	mu.Lock()
	defer mu.Unlock()
	return failed
}
