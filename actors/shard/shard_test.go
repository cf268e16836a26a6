package shard

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/go-cmp/cmp"

	"github.com/rouse-im/rouse/actors"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/storage"
	"github.com/rouse-im/rouse/vendors"
)

func check(t *testing.T, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestMessageBecomesPush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := vfs.NewMem()
		e := startEngine(t, fs, nil)
		e.session("ann", "phone", connected, 1)
		e.bind("ann", "phone", "aabbccddeeff00112233")
		e.session("ann", "phone", disconnected, 2)
		e.must("ann", event("m1"))
		synctest.Wait()
		p := e.vendor.pushes()
		if len(p) != 1 || p[0].Token != "aabbccddeeff00112233" || p[0].Badge != 1 || p[0].Body != "hello" || p[0].Data["m"] != "m1" || p[0].Data["t"] != "ann" || p[0].Data["f"] != "bob" {
			t.Fatalf("pushes %+v", p)
		}
		check(t, e.outcomes("ann"), map[string]string{"m1/phone": "ACCEPTED DELIVERED_TO_VENDOR"})
		if r := e.ask("ann", event("m1")); r.Status != rousev1.ItemStatus_ITEM_STATUS_DUPLICATE {
			t.Errorf("repeat: %v", r.Status)
		}
		e.stop()

		e = startEngine(t, fs, nil) // the same store in a new process
		check(t, e.outcomes("ann"), map[string]string{"m1/phone": "ACCEPTED DELIVERED_TO_VENDOR"})
		if r := e.ask("ann", event("m1")); r.Status != rousev1.ItemStatus_ITEM_STATUS_DUPLICATE {
			t.Errorf("repeat after restart: %v", r.Status)
		}
		if n := len(e.vendor.pushes()); n != 0 {
			t.Errorf("%d pushes after the restart", n)
		}
		d := e.must("ann", &rousev1.ListDevicesRequest{}).Response.(*rousev1.ListDevicesResponse).GetDevices()[0]
		if d.GetOfflineCount() != 1 || d.GetBindings()[0].GetTokenTail() != "112233" || d.GetBindings()[0].GetLastResult() != rousev1.Reason_REASON_DELIVERED_TO_VENDOR {
			t.Errorf("device %v", d)
		}
		e.stop()
	})
}

// Repeats that arrive before the first is durable count once and wake once,
// whether the message is pushed or suppressed.
func TestRepeatsInFlight(t *testing.T) {
	for name, bound := range map[string]bool{"pushed": true, "suppressed": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := startEngine(t, vfs.NewMem(), nil)
				e.session("ann", "phone", disconnected, 1)
				if bound {
					e.bind("ann", "phone", "aa")
				}
				synctest.Wait()
				var hold []func()
				e.hold(func(id uint16, ms []storage.Mutation, done func(error)) {
					hold = append(hold, func() { e.store.Propose(id, ms, done) })
				})
				var byStatus [5]atomic.Int32
				for range 50 {
					e.set.Route(&actors.Envelope{App: "app", User: "ann", Command: event("m1"), Done: func(r actors.Reply) { byStatus[r.Status].Add(1) }})
				}
				synctest.Wait()
				e.held.Store(nil)
				hold[0]()
				synctest.Wait()
				if a, d := byStatus[rousev1.ItemStatus_ITEM_STATUS_ACCEPTED].Load(), byStatus[rousev1.ItemStatus_ITEM_STATUS_DUPLICATE].Load(); a != 1 || d != 49 {
					t.Errorf("%d accepted, %d duplicates", a, d)
				}
				if c := e.must("ann", &rousev1.GetOfflineCountRequest{}).Response.(*rousev1.GetOfflineCountResponse).GetCount(); c != 1 {
					t.Errorf("counted %d times", c)
				}
				if n := len(e.vendor.pushes()); n != map[bool]int{true: 1}[bound] {
					t.Errorf("%d pushes", n)
				}
				e.stop()
			})
		})
	}
}

// A repeat is known after passivation, after a restart, across midnight and on
// the next day, and a new message is never taken for one.
func TestRepeatsLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := vfs.NewMem()
		e := startEngine(t, fs, nil)
		e.bind("ann", "phone", "aa")
		e.stop()
		<-time.After(23*time.Hour + 58*time.Minute)
		e = startEngine(t, fs, nil)
		expect := func(id string, want rousev1.ItemStatus) {
			t.Helper()
			if r := e.must("ann", event(id)); r.Status != want {
				t.Errorf("%s at %s: %v, want %v", id, time.Now().UTC().Format(time.DateTime), r.Status, want)
			}
			synctest.Wait()
		}
		fresh, repeat := rousev1.ItemStatus_ITEM_STATUS_ACCEPTED, rousev1.ItemStatus_ITEM_STATUS_DUPLICATE
		expect("m1", fresh)
		expect("m1", repeat)
		<-time.After(4 * time.Minute) // past midnight, and passivated
		if n := active(t, e); n != 0 {
			t.Fatalf("%v users active", n)
		}
		expect("m1", repeat)
		for i := range 100 { // more than the bits that are remembered
			expect(fmt.Sprint("n", i), fresh)
		}
		expect("m1", repeat)
		expect("n7", repeat)
		e.stop()
		<-time.After(23 * time.Hour)
		e = startEngine(t, fs, nil)
		expect("n7", repeat)
		expect("o1", fresh)
		<-time.After(time.Hour)
		expect("n8", repeat)
		expect("o1", repeat)
		e.stop()
	})
}

func TestNoEffectBeforeTheCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := startEngine(t, vfs.NewMem(), nil)
		e.bind("ann", "phone", "aa")
		synctest.Wait()
		var hold []func()
		e.hold(func(id uint16, ms []storage.Mutation, done func(error)) {
			hold = append(hold, func() { e.store.Propose(id, ms, done) })
		})
		var replied atomic.Int32
		e.set.Route(&actors.Envelope{App: "app", User: "ann", Command: event("m1"), Done: func(actors.Reply) { replied.Add(1) }})
		e.set.Route(&actors.Envelope{App: "app", User: "ann", Command: event("m1"), Done: func(actors.Reply) { replied.Add(1) }})
		e.set.Route(&actors.Envelope{App: "app", User: "ann", Command: &rousev1.GetOfflineCountRequest{}, Done: func(actors.Reply) { replied.Add(1) }})
		synctest.Wait()
		if replied.Load() != 0 || len(e.vendor.pushes()) != 0 {
			t.Fatalf("%d replies, %d pushes before the commit", replied.Load(), len(e.vendor.pushes()))
		}
		e.held.Store(nil)
		hold[0]()
		synctest.Wait()
		if replied.Load() != 3 || len(e.vendor.pushes()) != 1 {
			t.Fatalf("%d replies, %d pushes after the commit", replied.Load(), len(e.vendor.pushes()))
		}
		e.stop()
	})
}

// An outcome is listed whatever stage it is in: queued, ended and not yet
// durable, durable.
func TestOutcomesAreNeverMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := startEngine(t, vfs.NewMem(), nil)
		e.bind("ann", "phone", "aa")
		synctest.Wait()
		var hold []func()
		e.hold(func(id uint16, ms []storage.Mutation, done func(error)) {
			hold = append(hold, func() { e.store.Propose(id, ms, done) })
		})
		list := func() <-chan actors.Reply {
			c := make(chan actors.Reply, 1)
			e.set.Route(&actors.Envelope{App: "app", User: "ann", Command: &rousev1.ListOutcomesRequest{UserId: "ann"}, Done: func(r actors.Reply) { c <- r }})
			synctest.Wait()
			return c
		}
		e.set.Route(&actors.Envelope{App: "app", User: "ann", Command: event("m1"), Done: func(actors.Reply) {}})
		synctest.Wait()
		queued := list()
		hold[0]() // the decision; the push is accepted, its outcome waits for the next commit
		synctest.Wait()
		ended := list()
		e.held.Store(nil)
		for _, commit := range hold[1:] {
			commit()
		}
		synctest.Wait()
		for name, c := range map[string]<-chan actors.Reply{"queued": queued, "ended": ended, "durable": list()} {
			out := (<-c).Response.(*rousev1.ListOutcomesResponse).GetOutcomes()
			if len(out) != 1 || out[0].GetMessageId() != "m1" {
				t.Errorf("%s: %v", name, out)
			}
		}
		e.stop()
	})
}

func TestCommitFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := startEngine(t, vfs.NewMem(), nil)
		e.bind("ann", "phone", "aa")
		e.must("ann", event("m0"))
		synctest.Wait()
		var fails atomic.Int32
		e.hold(func(_ uint16, _ []storage.Mutation, done func(error)) { fails.Add(1); done(storage.ErrBusy) })
		r := e.ask("ann", event("m1"))
		if r.Err.GetCode() != rousev1.ErrorCode_ERROR_CODE_UNAVAILABLE || !r.Err.GetTemporary() {
			t.Fatalf("reply %+v", r)
		}
		synctest.Wait()
		e.held.Store(nil)
		check(t, e.outcomes("ann"), map[string]string{"m0/phone": "ACCEPTED DELIVERED_TO_VENDOR"})
		if c := e.must("ann", &rousev1.GetOfflineCountRequest{}).Response.(*rousev1.GetOfflineCountResponse).GetCount(); c != 1 {
			t.Errorf("count %d: a failed decision was kept", c)
		}
		if s := e.lanes.Get("app", "apns").Stats(); s.Reserved != 0 {
			t.Errorf("%d places of the lane leaked", s.Reserved)
		}
		e.must("ann", event("m1"))
		synctest.Wait()
		if n := len(e.vendor.pushes()); n != 2 || fails.Load() == 0 {
			t.Errorf("%d pushes", n)
		}
		e.stop()
	})
}

func TestPendingPushesSurvive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := vfs.NewMem()
		e := startEngine(t, fs, nil)
		e.vendor.script(func(*vendors.Notification) (vendors.Result, error) { return vendors.Result{}, errHang })
		e.bind("ann", "phone", "aa")
		e.must("ann", event("m1"))
		synctest.Wait()
		first := e.vendor.pushes()[0].PushID
		check(t, e.outcomes("ann"), map[string]string{"m1/phone": "PENDING QUEUED"})
		e.kill()
		<-time.After(time.Minute)

		e = startEngine(t, fs, nil)
		synctest.Wait()
		p := e.vendor.pushes()
		if len(p) != 1 || p[0].PushID != first || p[0].Body != "hello" {
			t.Fatalf("after the restart: %+v", p)
		}
		check(t, e.outcomes("ann"), map[string]string{"m1/phone": "ACCEPTED DELIVERED_TO_VENDOR"})
		e.stop()
	})
}

// Who leads next does not send what was withdrawn while the vendor had it.
func TestWithdrawnInFlightStaysWithdrawn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := vfs.NewMem()
		e := startEngine(t, fs, nil)
		e.vendor.script(func(*vendors.Notification) (vendors.Result, error) { return vendors.Result{}, errHang })
		e.bind("ann", "phone", "aa")
		e.session("ann", "phone", disconnected, 1)
		e.must("ann", event("m1"))
		synctest.Wait()
		e.session("ann", "phone", connected, 2)
		check(t, e.outcomes("ann"), map[string]string{"m1/phone": "PENDING QUEUED"})
		e.kill()
		<-time.After(time.Minute)

		e = startEngine(t, fs, nil)
		synctest.Wait()
		if p := e.vendor.pushes(); len(p) != 0 {
			t.Errorf("after the restart: %+v", p)
		}
		check(t, e.outcomes("ann"), map[string]string{"m1/phone": "CANCELLED DEVICE_RETURNED"})
		e.stop()
	})
}

func TestDeviceReturnsWhileQueued(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := startEngine(t, vfs.NewMem(), nil)
		e.vendor.script(func(*vendors.Notification) (vendors.Result, error) {
			return vendors.Result{Outcome: vendors.Transient, Code: "busy"}, nil
		})
		e.bind("ann", "phone", "aa")
		e.session("ann", "phone", disconnected, 1)
		e.must("ann", event("m1"))
		synctest.Wait()
		e.session("ann", "phone", connected, 2)
		synctest.Wait()
		check(t, e.outcomes("ann"), map[string]string{"m1/phone": "CANCELLED DEVICE_RETURNED"})
		e.stop()
	})
}

// One token wakes one user, in whatever shards he and the former owner live.
func TestTokenMovesToItsNewUser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := startEngine(t, vfs.NewMem(), nil)
		for i := range 20 {
			who := fmt.Sprint("user", i)
			e.bind(who, "phone", "aabbcc")
			<-time.After(time.Millisecond)
			synctest.Wait()
			for j := range 20 {
				e.must(fmt.Sprint("user", j), event(fmt.Sprint("m", i)))
			}
			synctest.Wait()
		}
		for _, p := range e.vendor.pushes() {
			if want := "user" + p.Data["m"][1:]; p.Data["t"] != want {
				t.Errorf("message %s woke %s through the token of %s", p.Data["m"], p.Data["t"], want)
			}
		}
		if n := len(e.vendor.pushes()); n != 20 {
			t.Errorf("%d pushes, want 20", n)
		}
		for s := uint16(1); s <= e.store.Shards(); s++ {
			_ = e.store.Scan(storage.IntentRange(s), func(k, _ []byte) bool { t.Errorf("an intent is left: %x", k); return true })
		}
		e.stop()
	})
}

func TestPassivation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := startEngine(t, vfs.NewMem(), nil)
		e.bind("ann", "phone", "aa")
		e.must("ann", event("m1"))
		<-time.After(5 * time.Minute)
		synctest.Wait()
		if n := active(t, e); n != 0 {
			t.Fatalf("%v users active after idling", n)
		}
		e.must("ann", event("m2"))
		synctest.Wait()
		if p := e.vendor.pushes(); len(p) != 2 || p[1].Badge != 2 {
			t.Errorf("pushes %v", p)
		}
		e.vendor.script(func(*vendors.Notification) (vendors.Result, error) {
			return vendors.Result{Outcome: vendors.Transient}, nil
		})
		e.must("ann", event("m3"))
		<-time.After(5 * time.Minute)
		if n := active(t, e); n != 1 {
			t.Errorf("%v users active while a push is under way", n)
		}
		e.stop()
	})
}

func TestOutcomesExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := vfs.NewMem()
		e := startEngine(t, fs, nil)
		e.bind("ann", "phone", "aa")
		e.must("ann", event("m1"))
		synctest.Wait()
		for _, after := range []struct {
			days int
			want int
		}{{7, 1}, {1, 0}} {
			e.stop()
			<-time.After(time.Duration(after.days) * 24 * time.Hour)
			e = startEngine(t, fs, nil)
			<-time.After(time.Minute)
			synctest.Wait()
			if n := stored(t, e); n != after.want {
				t.Errorf("%d outcomes, want %d", n, after.want)
			}
		}
		e.stop()
	})
}

func stored(t *testing.T, e *engine) (n int) {
	t.Helper()
	for s := uint16(1); s <= e.store.Shards(); s++ {
		if err := e.store.Scan(storage.OutcomeDays(s, 0, 65535), func(_, _ []byte) bool { n++; return true }); err != nil {
			t.Fatal(err)
		}
	}
	return n
}

// What cannot be read, because its sealing key is gone, is erased all the same.
func TestEraseUnreadable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := vfs.NewMem()
		e := startEngine(t, fs, nil)
		e.bind("ann", "phone", "aabb")
		shard := e.store.ShardOf("app", "ann")
		key := storage.AppendOutboxKey(nil, storage.OutboxKey{Shard: shard, DueMilli: 1, App: "app", User: "ann", Message: "m1"})
		planted := make(chan error, 1)
		e.store.Propose(shard, []storage.Mutation{{Op: storage.Set, Key: key, Value: []byte("damaged")}}, func(err error) { planted <- err })
		if err := <-planted; err != nil {
			t.Fatal(err)
		}
		e.stop()
		e = startEngine(t, fs, nil)
		e.must("ann", &rousev1.EraseUserRequest{UserId: "ann"})
		if _, err := e.store.Get(key); !errors.Is(err, storage.ErrNotFound) {
			t.Errorf("the unreadable entry of an erased user: %v", err)
		}
		e.stop()
	})
}

func TestErase(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := startEngine(t, vfs.NewMem(), nil)
		e.bind("ann", "phone", "aabb")
		e.must("ann", event("m1"))
		synctest.Wait()
		e.vendor.script(func(*vendors.Notification) (vendors.Result, error) {
			return vendors.Result{Outcome: vendors.Transient}, nil
		})
		e.must("ann", event("m2"))
		synctest.Wait()
		e.must("ann", &rousev1.EraseUserRequest{UserId: "ann"})
		<-time.After(10 * time.Second)
		synctest.Wait()
		left := 0
		for s := uint16(1); s <= e.store.Shards(); s++ {
			for _, r := range storage.ShardRanges(s) {
				_ = e.store.Scan(r, func(k, _ []byte) bool { left++; t.Errorf("left behind: %q", k); return true })
			}
		}
		if s := e.lanes.Get("app", "apns").Stats(); s.Reserved != 0 {
			t.Errorf("%d pushes of an erased user in the lane", s.Reserved)
		}
		e.must("ann", event("m3"))
		check(t, e.outcomes("ann"), map[string]string{"m3/": "SUPPRESSED NO_USER"})
		e.stop()
	})
}
