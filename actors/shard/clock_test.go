package shard

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/internal/stepped"
	"github.com/rouse-im/rouse/storage"
)

// TestClockWasAhead: what was decided on a day to come, by a clock that has been set
// back since, is found: repeats are, and messages are listed, read and erased.
func TestClockWasAhead(t *testing.T) {
	fs := vfs.NewMem()
	synctest.Test(t, func(t *testing.T) {
		<-time.After(30 * time.Hour)
		e := startEngine(t, fs, nil)
		e.session("ann", "phone", connected, 1)
		e.bind("ann", "phone", "aabbccddeeff00112233")
		e.session("ann", "phone", disconnected, 2)
		e.must("ann", event("m1"))
		synctest.Wait()
		e.stop()
	})
	synctest.Test(t, func(t *testing.T) { // each bubble begins at the same time
		e := startEngine(t, fs, nil)
		if r := e.ask("ann", event("m1")); r.Status != rousev1.ItemStatus_ITEM_STATUS_DUPLICATE {
			t.Errorf("repeat: %v", r.Status)
		}
		check(t, e.outcomes("ann"), map[string]string{"m1/phone": "ACCEPTED DELIVERED_TO_VENDOR"})
		e.must("ann", event("m2"))
		for _, id := range []string{"m1", "m2"} {
			if r := e.ask("ann", event(id)); r.Status != rousev1.ItemStatus_ITEM_STATUS_DUPLICATE {
				t.Errorf("repeat of %s: %v", id, r.Status)
			}
		}
		e.must("ann", &rousev1.ReadEvent{UserId: "ann", MessageIds: []string{"m1"}})
		if n := e.must("ann", &rousev1.GetOfflineCountRequest{}).Response.(*rousev1.GetOfflineCountResponse).GetCount(); n != 1 {
			t.Errorf("%d messages are counted, want m2", n)
		}
		e.must("ann", &rousev1.EraseUserRequest{UserId: "ann"})
		left := 0
		for s := uint16(1); s <= e.store.Shards(); s++ {
			if err := e.store.Scan(storage.OutcomeDays(s, 0, 65535), func(_, _ []byte) bool { left++; return true }); err != nil {
				t.Error(err)
			}
		}
		if left > 0 {
			t.Errorf("%d outcomes outlive their user", left)
		}
		e.stop()
	})
}

// TestIdleByTimePassed: what a set clock says is no rest.
func TestIdleByTimePassed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &Actor{made: stepped.Wall(time.Now(), 0)}
		<-time.After(time.Minute)
		for _, by := range []time.Duration{0, time.Hour, -24 * time.Hour} {
			if got := a.seconds(stepped.Wall(time.Now(), by)); got != 60 {
				t.Errorf("set by %s: %d s have passed in a minute", by, got)
			}
		}
	})
}
