package shard

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/rouse-im/rouse/actors"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

// Whatever of the unsynced bytes a power loss leaves, nothing acknowledged is
// missing afterwards, and no device is woken under a second push id.
func TestPowerLoss(t *testing.T) {
	for seed := range uint64(24) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { powerLoss(t, seed) })
		})
	}
}

func powerLoss(t *testing.T, seed uint64) {
	const users, messages = 8, 240
	rng := rand.New(rand.NewPCG(seed, 1))
	fs := vfs.NewCrashableMem()
	e := startEngine(t, fs, nil)
	for u := range users {
		e.bind(fmt.Sprint("u", u), "phone", fmt.Sprintf("%04x", u))
	}
	var mu sync.Mutex
	acked := map[string]string{} // message -> user
	cut := rng.IntN(messages)
	enough := make(chan struct{})
	for i := range messages {
		who, id := fmt.Sprint("u", i%users), fmt.Sprint("m", i)
		e.set.Route(&actors.Envelope{App: "app", User: who, Command: event(id), Done: func(r actors.Reply) {
			mu.Lock()
			defer mu.Unlock()
			if r.Err == nil {
				acked[id] = who
			}
			if len(acked) == cut+1 {
				close(enough)
			}
		}})
	}
	<-enough
	mu.Lock()
	before := make(map[string]string, len(acked))
	maps.Copy(before, acked)
	left := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: []int{0, 50, 100}[seed%3], RNG: rng})
	mu.Unlock()
	ids := map[string]string{}
	e.kill()
	for _, p := range e.vendor.pushes() {
		ids[p.Data["m"]] = p.PushID
	}

	e = startEngine(t, left, nil)
	<-time.After(time.Minute)
	synctest.Wait()
	for _, p := range e.vendor.pushes() {
		if was := ids[p.Data["m"]]; was != "" && was != p.PushID {
			t.Errorf("message %s has the push ids %s and %s", p.Data["m"], was, p.PushID)
		}
	}
	for u := range users {
		who := fmt.Sprint("u", u)
		got := e.outcomes(who)
		count := 0
		for m, owner := range before {
			if owner != who {
				continue
			}
			count++
			if got[m+"/phone"] != "ACCEPTED DELIVERED_TO_VENDOR" {
				t.Errorf("acknowledged message %s of %s: %q", m, who, got[m+"/phone"])
			}
		}
		r := e.must(who, &rousev1.GetOfflineCountRequest{}).Response.(*rousev1.GetOfflineCountResponse)
		if int(r.GetCount()) != len(got) || len(got) < count {
			t.Errorf("%s: count %d, %d outcomes, %d acknowledged", who, r.GetCount(), len(got), count)
		}
	}
	e.stop()
}
