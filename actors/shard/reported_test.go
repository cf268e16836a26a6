package shard

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"google.golang.org/protobuf/proto"

	"github.com/rouse-im/rouse/actors"
	"github.com/rouse-im/rouse/actors/user"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/storage"
	"github.com/rouse-im/rouse/vendors"
)

const (
	kept  = rousev1.ItemStatus_ITEM_STATUS_ACCEPTED
	again = rousev1.ItemStatus_ITEM_STATUS_DUPLICATE
	stale = rousev1.ItemStatus_ITEM_STATUS_STALE
)

// report brings in a receipt about a push to a token, by its vendor's id.
func (e *engine) report(kind vendors.ReceiptKind, token string, n *vendors.Notification, edit func(*user.Reported)) actors.Reply {
	e.t.Helper()
	c := make(chan actors.Reply, 1)
	r := &user.Reported{
		App: "app", Done: func(r actors.Reply) { c <- r },
		Receipt: user.Receipt{Notifier: "apns", Sum: user.SumOf(testRing(), "app", "apns", token), Kind: kind, VendorID: "v-" + n.PushID[:8]},
	}
	if edit != nil {
		edit(r)
	}
	e.set.Report(r)
	return <-c
}

func (e *engine) outcome(who, message string) *rousev1.Outcome {
	e.t.Helper()
	all := e.must(who, &rousev1.ListOutcomesRequest{UserId: who, MessageId: message}).Response.(*rousev1.ListOutcomesResponse).GetOutcomes()
	if len(all) != 1 {
		e.t.Fatalf("%d outcomes of %s", len(all), message)
	}
	return all[0]
}

func (e *engine) bindings(who string) []*rousev1.Binding {
	e.t.Helper()
	return e.must(who, &rousev1.ListDevicesRequest{}).Response.(*rousev1.ListDevicesResponse).GetDevices()[0].GetBindings()
}

// A receipt finds its push wherever it is: not yet answered, not yet durable, in
// the store, days later; and what it says survives a restart.
func TestReceiptFindsItsPush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := vfs.NewMem()
		e := startEngine(t, fs, nil)
		e.bind("ann", "phone", "aabb")
		for i := range 20 {
			e.must("ann", event(fmt.Sprint("m", i)))
			synctest.Wait()
		}
		pushes := e.vendor.pushes()
		if r := e.report(vendors.ReceiptDelivered, "aabb", pushes[19], nil); r.Status != kept {
			t.Errorf("at once: %v", r)
		}
		if r := e.report(vendors.ReceiptDelivered, "aabb", pushes[19], nil); r.Status != again {
			t.Errorf("repeated: %v", r)
		}
		if r := e.report(vendors.ReceiptDelivered, "unknown", pushes[19], nil); r.Status != stale {
			t.Errorf("token of nobody: %v", r)
		}
		byPushID := func(r *user.Reported) { r.VendorID, r.PushID = "", pushes[7].PushID }
		if r := e.report(vendors.ReceiptClicked, "aabb", pushes[7], byPushID); r.Status != kept {
			t.Errorf("by push id: %v", r)
		}
		e.kill() // nothing is written while stopping
		<-time.After(3 * 24 * time.Hour)

		e = startEngine(t, fs, nil)
		e.must("ann", event("today"))
		if r := e.report(vendors.ReceiptNotShown, "aabb", pushes[3], func(r *user.Reported) { r.Code = "10" }); r.Status != kept {
			t.Errorf("days later: %v", r)
		}
		if o := e.outcome("ann", "m3"); o.GetReceiptReason() != rousev1.Reason_REASON_NOT_SHOWN || o.GetReceiptCode() != "10" {
			t.Errorf("%v", o)
		}
		if o := e.outcome("ann", "m7"); o.GetClickedAt() == nil || o.GetDeliveredAt() == nil || o.GetStatus() != rousev1.OutcomeStatus_OUTCOME_STATUS_ACCEPTED {
			t.Errorf("%v", o)
		}
		if o := e.outcome("ann", "m19"); o.GetDeliveredAt() == nil || o.GetClickedAt() != nil {
			t.Errorf("%v", o)
		}
		e.kill()
		<-time.After(6 * 24 * time.Hour)
		e = startEngine(t, fs, nil)
		if r := e.report(vendors.ReceiptDelivered, "aabb", pushes[5], nil); r.Err.GetCode() != rousev1.ErrorCode_ERROR_CODE_NOT_FOUND {
			t.Errorf("after the outcome is gone: %v", r)
		}
		e.stop()
	})
}

// A receipt is answered after the commit that it is in, and none is lost that
// comes before the outcome is durable or before the vendor has answered.
func TestReceiptIsDurable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := vfs.NewMem()
		e := startEngine(t, fs, nil)
		e.bind("ann", "phone", "aabb")
		answered := make(chan struct{})
		e.vendor.script(func(n *vendors.Notification) (vendors.Result, error) {
			<-answered
			return vendors.Result{Outcome: vendors.Accepted, VendorID: "v1"}, nil
		})
		e.must("ann", event("m1"))
		synctest.Wait()
		n := e.vendor.pushes()[0]
		byPushID := func(r *user.Reported) { r.VendorID, r.PushID = "", n.PushID }
		if r := e.report(vendors.ReceiptDelivered, "aabb", n, byPushID); r.Status != kept {
			t.Fatalf("before the answer: %v", r)
		}
		var held []func()
		e.hold(func(id uint16, ms []storage.Mutation, done func(error)) {
			held = append(held, func() { e.store.Propose(id, ms, done) })
		})
		close(answered)
		synctest.Wait()
		replied := make(chan actors.Reply, 1)
		go func() { replied <- e.report(vendors.ReceiptClicked, "aabb", n, byPushID) }()
		synctest.Wait()
		select {
		case r := <-replied:
			t.Fatalf("answered before it is durable: %v", r)
		default:
		}
		for len(held) > 0 {
			now := held
			held = nil
			for _, f := range now {
				f()
			}
			synctest.Wait()
		}
		if r := <-replied; r.Status != kept {
			t.Errorf("before the outcome was durable: %v", r)
		}
		e.kill()
		e = startEngine(t, fs, nil)
		if o := e.outcome("ann", "m1"); o.GetDeliveredAt() == nil || o.GetClickedAt() == nil || o.GetVendorId() != "v1" {
			t.Errorf("%v", o)
		}
		e.stop()
	})
}

// What is said of a push to a former owner touches neither him nor the new one.
func TestReceiptAfterRebind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := startEngine(t, vfs.NewMem(), nil)
		e.bind("ann", "phone", "aabb")
		e.must("ann", event("m1"))
		synctest.Wait()
		n := e.vendor.pushes()[0]
		<-time.After(time.Second)
		e.bind("carl", "phone", "aabb")
		<-time.After(10 * time.Second)
		for _, kind := range []vendors.ReceiptKind{vendors.ReceiptDelivered, vendors.ReceiptInvalid, vendors.ReceiptReplaced, vendors.ReceiptMuted} {
			r := e.report(kind, "aabb", n, func(r *user.Reported) { r.NewToken = "ccdd" })
			if r.Err.GetCode() != rousev1.ErrorCode_ERROR_CODE_NOT_FOUND {
				t.Errorf("%v: %v", kind, r)
			}
		}
		if b := e.bindings("carl"); len(b) != 1 || b[0].GetLastResult() != 0 {
			t.Errorf("carl's bindings %v", b)
		}
		e.must("carl", event("m2"))
		synctest.Wait()
		if p := e.vendor.pushes(); len(p) != 2 || p[1].Token != "aabb" {
			t.Errorf("pushes %v", p)
		}
		e.stop()
	})
}

// A replaced token is bound as if the app had bound it when it bound the old one:
// whoever bound it later keeps it.
func TestReceiptReplaces(t *testing.T) {
	for name, taken := range map[string]bool{"free": false, "bound by another": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := startEngine(t, vfs.NewMem(), nil)
				e.bind("ann", "phone", "aabb")
				e.must("ann", event("m1"))
				synctest.Wait()
				n := e.vendor.pushes()[0]
				<-time.After(time.Second)
				if taken {
					e.bind("bob", "phone", "ccdd")
					<-time.After(time.Second)
				}
				replaced := func(r *user.Reported) { r.NewToken = "ccdd" }
				if r := e.report(vendors.ReceiptReplaced, "aabb", n, replaced); r.Status != kept {
					t.Fatal(r)
				}
				<-time.After(10 * time.Second)
				if r := e.report(vendors.ReceiptReplaced, "aabb", n, replaced); r.Status != stale {
					t.Errorf("again: %v", r)
				}
				e.must("ann", event("m2"))
				synctest.Wait()
				got := len(e.vendor.pushes())
				if b := e.bindings("ann"); taken && (len(b) != 0 || got != 1) || !taken && (len(b) != 1 || got != 2 || e.vendor.pushes()[1].Token != "ccdd") {
					t.Errorf("bindings %v, %d pushes", b, got)
				}
				if taken && len(e.bindings("bob")) != 1 {
					t.Error("bob lost the token that he has bound")
				}
				e.stop()
			})
		})
	}
}

// Receipts are refused while a shard has much to write; messages are not.
func TestReceiptsYield(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := startEngine(t, vfs.NewMem(), nil)
		e.bind("ann", "phone", "aabb")
		e.must("ann", event("m1"))
		synctest.Wait()
		n := e.vendor.pushes()[0]
		held := make(chan func(), 64)
		e.hold(func(id uint16, ms []storage.Mutation, done func(error)) {
			held <- func() { e.store.Propose(id, ms, done) }
		})
		refused := 0
		many := 6 * reportedBound // over the bound in each of the 4 shards
		replies := make(chan actors.Reply, many)
		for i := range many {
			e.set.Route(&actors.Envelope{App: "app", User: fmt.Sprint("u", i), Command: event("m"), Done: func(r actors.Reply) { replies <- r }})
		}
		synctest.Wait()
		if r := e.report(vendors.ReceiptDelivered, "aabb", n, nil); !r.Err.GetTemporary() {
			t.Errorf("%v", r)
		}
		e.held.Store(nil)
		for len(held) > 0 {
			(<-held)()
		}
		synctest.Wait()
		for len(replies) > 0 {
			if r := <-replies; r.Err != nil {
				refused++
			}
		}
		if r := e.report(vendors.ReceiptDelivered, "aabb", n, nil); refused > 0 || r.Status != kept {
			t.Errorf("%d messages refused; afterwards %v", refused, r)
		}
		e.stop()
	})
}

// Whatever of the unsynced bytes a power loss leaves, what was answered is kept.
func TestReceiptsThroughPowerLoss(t *testing.T) {
	for seed := range uint64(6) {
		synctest.Test(t, func(t *testing.T) {
			const messages = 60
			rng := rand.New(rand.NewPCG(seed, 2))
			fs := vfs.NewCrashableMem()
			e := startEngine(t, fs, nil)
			e.bind("ann", "phone", "aabb")
			for i := range messages {
				e.must("ann", event(fmt.Sprint("m", i)))
			}
			synctest.Wait()
			var mu sync.Mutex
			answered := map[string]bool{}
			cut, enough := rng.IntN(messages), make(chan struct{})
			for _, n := range e.vendor.pushes() {
				message := n.Data["m"]
				e.set.Report(&user.Reported{App: "app", Receipt: user.Receipt{
					Notifier: "apns", Sum: user.SumOf(testRing(), "app", "apns", "aabb"), Kind: vendors.ReceiptDelivered, PushID: n.PushID,
				}, Done: func(r actors.Reply) {
					mu.Lock()
					defer mu.Unlock()
					answered[message] = r.Err == nil && r.Status == kept
					if len(answered) == cut+1 {
						close(enough)
					}
				}})
			}
			<-enough
			mu.Lock()
			before := maps.Clone(answered)
			left := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: []int{0, 50, 100}[seed%3], RNG: rng})
			mu.Unlock()
			e.kill()
			e = startEngine(t, left, nil)
			for message, kept := range before {
				if o := e.outcome("ann", message); !kept || o.GetDeliveredAt() == nil {
					t.Errorf("%s: answered %v, then %v", message, kept, o)
				}
			}
			e.stop()
		})
	}
}

// An app that wants to know is told of a receipt, in the step that keeps it.
func TestReceiptIsTold(t *testing.T) {
	for name, wanted := range map[string]bool{"wanted": true, "not wanted": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := startEngine(t, vfs.NewMem(), func(_ *engine, o *Options) {
					app := *o.User.App("app")
					app.Telling.Receipts = wanted
					o.User.App = func(string) *user.App { return &app }
				})
				e.bind("ann", "phone", "aabb")
				e.must("ann", event("m1"))
				synctest.Wait()
				for range 2 {
					e.report(vendors.ReceiptMuted, "aabb", e.vendor.pushes()[0], nil)
				}
				var told []*rousev1.WebhookEvent
				if err := e.store.Scan(storage.TellingRange(e.store.ShardOf("app", "ann"), "app"), func(_, value []byte) bool {
					m := &rousev1.WebhookEvent{}
					if err := proto.Unmarshal(value, m); err != nil {
						t.Error(err)
					}
					told = append(told, m)
					return true
				}); err != nil {
					t.Fatal(err)
				}
				if len(told) != map[bool]int{true: 1}[wanted] {
					t.Fatalf("%v", told)
				}
				if wanted && (told[0].GetStage() != rousev1.WebhookStage_WEBHOOK_STAGE_RECEIPT || told[0].GetOutcome().GetReceiptReason() != rousev1.Reason_REASON_MUTED_ON_DEVICE) {
					t.Errorf("%v", told[0])
				}
				e.stop()
			})
		})
	}
}

// The longest look for a push: one that nobody knows, of a user with as many
// outcomes as are looked at.
func BenchmarkReceiptOfUnknownPush(b *testing.B) {
	e := startEngine(b, vfs.NewMem(), nil)
	e.must("ann", &rousev1.BindTokenRequest{UserId: "ann", DeviceId: "phone", Notifier: "apns", Token: "aabb"})
	e.session("ann", "phone", connected, 1) // suppressed: no pushes
	replies := make(chan actors.Reply, 500)
	for i := range 10_000 {
		e.set.Route(&actors.Envelope{App: "app", User: "ann", Command: event(fmt.Sprint("m", i)), Done: func(r actors.Reply) { replies <- r }})
		if i%cap(replies) == cap(replies)-1 {
			for range cap(replies) {
				<-replies
			}
		}
	}
	unknown := &vendors.Notification{PushID: user.PushID("app", "ann", "phone", "unknown")}
	for b.Loop() {
		byBoth := func(r *user.Reported) { r.PushID = unknown.PushID }
		if r := e.report(vendors.ReceiptDelivered, "aabb", unknown, byBoth); r.Err.GetCode() != rousev1.ErrorCode_ERROR_CODE_NOT_FOUND {
			b.Fatal(r)
		}
	}
	e.set.Stop()
}

// The webhook is woken when its event is on disk: woken before it would find
// nothing, and nobody would wake it again.
func TestWebhookIsWokenAfterTheCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var woken, found atomic.Int32
		e := startEngine(t, vfs.NewMem(), func(e *engine, o *Options) {
			app := *o.User.App("app")
			app.Telling.Receipts = true
			o.User.App = func(string) *user.App { return &app }
			o.User.Told = func(string) {
				woken.Add(1)
				if err := e.store.Scan(storage.TellingRange(e.store.ShardOf("app", "ann"), "app"), func(_, _ []byte) bool { found.Add(1); return false }); err != nil {
					t.Error(err)
				}
			}
		})
		e.bind("ann", "phone", "aabb")
		e.must("ann", event("m1"))
		synctest.Wait()
		e.report(vendors.ReceiptMuted, "aabb", e.vendor.pushes()[0], nil)
		if woken.Load() == 0 || found.Load() != woken.Load() {
			t.Errorf("woken %d times, found something %d times", woken.Load(), found.Load())
		}
		e.stop()
	})
}
