package shard

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/rouse-im/rouse/actors"
	"github.com/rouse-im/rouse/actors/user"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/storage"
	"github.com/rouse-im/rouse/vendors"
)

func shardOf(e *engine, who string) uint16 { return e.store.ShardOf("app", who) }

// lead waits until the shard works.
func (e *engine) lead(shard uint16, term uint64) {
	e.t.Helper()
	if err := <-e.set.Lead(shard, term); err != nil {
		e.t.Fatalf("shard %d, term %d: %v", shard, term, err)
	}
}

// route sends an event whose Back, if it is called, is noted.
func (e *engine) route(who, id string) (replies <-chan actors.Reply, back <-chan *actors.Envelope) {
	c, b := make(chan actors.Reply, 1), make(chan *actors.Envelope, 1)
	e.set.Route(&actors.Envelope{
		App: "app", User: who, Command: event(id),
		Done: func(r actors.Reply) { c <- r }, Back: func(x *actors.Envelope) { b <- x },
	})
	return c, b
}

func wantBack(t *testing.T, what string, replies <-chan actors.Reply, back <-chan *actors.Envelope) {
	t.Helper()
	synctest.Wait()
	if len(replies) != 0 || len(back) != 1 {
		t.Errorf("%s: %d replies, given back %d times", what, len(replies), len(back))
	}
}

// Without leadership a shard does nothing but send away.
func TestNoWorkWithoutLeadership(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := startEngine(t, vfs.NewMem(), nil)
		e.bind("ann", "phone", "aa")
		k := shardOf(e, "ann")
		e.set.Lose(k, 1)
		synctest.Wait()
		if e.set.Leads(k) {
			t.Error("it says that it leads")
		}
		if n := active(t, e); n != 0 {
			t.Errorf("%v users are active", n)
		}
		if r := e.ask("ann", event("m1")); r.Err.GetCode() != rousev1.ErrorCode_ERROR_CODE_UNAVAILABLE || !r.Err.GetTemporary() {
			t.Errorf("reply %+v", r)
		}
		replies, back := e.route("ann", "m2")
		wantBack(t, "an event", replies, back)
		e.hold(func(uint16, []storage.Mutation, func(error)) { t.Error("it proposed") })
		<-time.After(time.Minute)
		e.held.Store(nil)
		e.lead(k, 7)
		e.must("ann", event("m2"))
		if got := e.term.Load(); got != 7 {
			t.Errorf("proposed under term %d", got)
		}
		synctest.Wait()
		check(t, e.outcomes("ann"), map[string]string{"m2/phone": "ACCEPTED DELIVERED_TO_VENDOR"})
		e.stop()
	})
}

// Calls of an older leadership, late or repeated, change nothing.
func TestOldLeaderships(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := startEngine(t, vfs.NewMem(), nil)
		e.lead(1, 5)
		if err := <-e.set.Lead(1, 4); err == nil {
			t.Error("an older leadership was taken up")
		}
		e.lead(1, 5)
		e.set.Lose(1, 4)
		synctest.Wait()
		if !e.set.Leads(1) {
			t.Error("it gave up the newer leadership")
		}
		e.set.Lose(1, 5)
		e.set.Lose(1, 5)
		synctest.Wait()
		if e.set.Leads(1) {
			t.Error("it still leads")
		}
		e.stop()
	})
}

// When leadership is lost, what is under way and what is queued goes back, and
// neither comes true here: the commit's answer is of the past.
func TestLossWhileCommitting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := startEngine(t, vfs.NewMem(), nil)
		e.bind("ann", "phone", "aa")
		synctest.Wait()
		k := shardOf(e, "ann")
		var hold []func(error)
		e.hold(func(id uint16, ms []storage.Mutation, done func(error)) {
			hold = append(hold, func(err error) {
				if err != nil {
					done(err)
					return
				}
				e.store.Propose(id, ms, done)
			})
		})
		r1, b1 := e.route("ann", "m1")
		synctest.Wait()
		r2, b2 := e.route("ann", "m2")
		synctest.Wait()
		e.set.Lose(k, 1)
		wantBack(t, "under way", r1, b1)
		wantBack(t, "queued", r2, b2)
		hold[0](nil) // it was committed all the same
		synctest.Wait()
		if n := len(e.vendor.pushes()); n != 0 {
			t.Errorf("%d pushes without leadership", n)
		}
		e.held.Store(nil)
		e.lead(k, 3)
		synctest.Wait()
		check(t, e.outcomes("ann"), map[string]string{"m1/phone": "ACCEPTED DELIVERED_TO_VENDOR"})
		if r := e.must("ann", event("m1")); r.Status != rousev1.ItemStatus_ITEM_STATUS_DUPLICATE {
			t.Errorf("repeat: %v", r.Status)
		}
		if n := len(e.vendor.pushes()); n != 1 {
			t.Errorf("%d pushes", n)
		}
		e.stop()
	})
}

// What a user decides after the leadership was lost is not proposed.
func TestDecidedTooLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		var shut atomic.Bool
		e := startEngine(t, vfs.NewMem(), func(_ *engine, o *Options) {
			app := o.User.App
			o.User.App = func(id string) *user.App {
				if shut.Load() {
					<-gate
				}
				return app(id)
			}
		})
		e.bind("ann", "phone", "aa")
		synctest.Wait()
		shut.Store(true)
		replies, back := e.route("ann", "m1")
		synctest.Wait()
		e.hold(func(_ uint16, _ []storage.Mutation, done func(error)) {
			t.Error("it was proposed")
			done(storage.ErrNotLeader)
		})
		e.set.Lose(shardOf(e, "ann"), 1)
		synctest.Wait()
		shut.Store(false)
		close(gate)
		wantBack(t, "an event", replies, back)
		e.stop()
	})
}

// Only an entry that was certainly not written lets the shard read the store and
// go on; else it waits for the next leadership.
func TestFateOfACommit(t *testing.T) {
	for name, c := range map[string]struct {
		err         error
		leads, back bool
	}{
		"dropped":    {fmt.Errorf("group 1: %w", storage.ErrDropped), true, true},
		"busy":       {storage.ErrBusy, true, false},
		"too large":  {storage.ErrTooLarge, true, false},
		"not leader": {fmt.Errorf("group 1: %w", storage.ErrNotLeader), false, true},
		"unknown":    {storage.ErrUnknown, false, true},
		"else":       {errors.New("disk"), false, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := startEngine(t, vfs.NewMem(), nil)
				e.bind("ann", "phone", "aa")
				synctest.Wait()
				k := shardOf(e, "ann")
				e.hold(func(_ uint16, _ []storage.Mutation, done func(error)) { done(c.err) })
				replies, back := e.route("ann", "m1")
				synctest.Wait()
				e.held.Store(nil)
				<-time.After(pauseAfterDrop)
				synctest.Wait()
				if got := e.set.Leads(k); got != c.leads {
					t.Errorf("works on: %v", got)
				}
				if got := len(back) == 1; got != c.back || len(back)+len(replies) != 1 {
					t.Errorf("given back: %v; %d replies", got, len(replies))
				}
				if s := e.lanes.Get("app", "apns").Stats(); s.Reserved != 0 {
					t.Errorf("%d places of the lane leaked", s.Reserved)
				}
				<-time.After(10 * time.Second)
				if e.set.Leads(k) != c.leads {
					t.Error("it changed its mind")
				}
				e.lead(k, 2)
				e.must("ann", event("m1"))
				e.stop()
			})
		})
	}
}

// A leadership that is given away while the log takes nothing is handed over as
// any other: the pause does not end it, and the lanes forget.
func TestYieldInAPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := startEngine(t, vfs.NewMem(), nil)
		e.vendor.script(func(*vendors.Notification) (vendors.Result, error) {
			return vendors.Result{Outcome: vendors.Throttled, RetryAfter: time.Hour}, nil
		})
		e.bind("ann", "phone", "aa")
		e.must("ann", event("m1"))
		synctest.Wait()
		k := shardOf(e, "ann")
		reads := 0
		e.hold(func(_ uint16, _ []storage.Mutation, done func(error)) { reads++; done(storage.ErrDropped) })
		replies, back := e.route("ann", "m2")
		wantBack(t, "an event", replies, back)
		if err := e.set.Yield(t.Context(), k); err != nil {
			t.Error(err)
		}
		<-time.After(time.Second)
		if s := e.lanes.Get("app", "apns").Stats(); e.set.Leads(k) || s.Reserved != 0 || reads != 1 {
			t.Errorf("works on: %v; %d places are taken; %d proposals", e.set.Leads(k), s.Reserved, reads)
		}
		e.held.Store(nil)
		e.lead(k, 1)
		synctest.Wait()
		check(t, e.outcomes("ann"), map[string]string{"m1/phone": "PENDING QUEUED"})
		e.kill()
	})
}

// Whoever looks after what a shard has stored hears of each time that it begins to
// work, after pauses in one leadership too: meanwhile it seemed to be led elsewhere.
func TestEachBeginningIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var k uint16
		var began atomic.Int32
		e := startEngine(t, vfs.NewMem(), func(e *engine, o *Options) {
			k = shardOf(e, "ann")
			o.Began = func(shard uint16) {
				if shard == k {
					began.Add(1)
				}
			}
		})
		synctest.Wait()
		told := func(when string, want int32) {
			t.Helper()
			synctest.Wait()
			if got := began.Load(); got != want || !e.set.Leads(k) {
				t.Errorf("%s: told %d times, want %d", when, got, want)
			}
		}
		told("led", 1)
		e.hold(func(_ uint16, _ []storage.Mutation, done func(error)) { done(storage.ErrDropped) })
		e.route("ann", "m1")
		synctest.Wait()
		e.held.Store(nil)
		<-time.After(pauseAfterDrop)
		told("after a dropped entry", 2)
		if err := e.set.Yield(t.Context(), k); err != nil {
			t.Error(err)
		}
		<-time.After(leaveFor + 2*tickEvery)
		told("after a hand-over that did not come", 3)
		e.stop()
	})
}

// The next leader sends what the lanes forgot, once, and places are given back.
func TestQueuedPushesMove(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := startEngine(t, vfs.NewMem(), nil)
		e.vendor.script(func(*vendors.Notification) (vendors.Result, error) {
			return vendors.Result{Outcome: vendors.Throttled, RetryAfter: 30 * time.Second}, nil
		})
		e.bind("ann", "phone", "aa")
		for i := range 5 {
			e.must("ann", event(fmt.Sprint("m", i)))
		}
		synctest.Wait()
		k := shardOf(e, "ann")
		e.set.Lose(k, 1)
		synctest.Wait()
		if s := e.lanes.Get("app", "apns").Stats(); s.Reserved != 0 || s.Queued != [5]int{} {
			t.Fatalf("the lane has %d places taken and queues %v", s.Reserved, s.Queued)
		}
		before := len(e.vendor.pushes())
		e.vendor.script(nil)
		<-time.After(5 * time.Minute)
		if n := len(e.vendor.pushes()) - before; n != 0 {
			t.Errorf("%d pushes without leadership", n)
		}
		e.lead(k, 2)
		<-time.After(time.Minute)
		for m, o := range e.outcomes("ann") {
			if o != "ACCEPTED DELIVERED_TO_VENDOR" {
				t.Errorf("%s: %s", m, o)
			}
		}
		if n := len(e.vendor.pushes()) - before; n != 5 {
			t.Errorf("%d pushes, want 5", n)
		}
		e.stop()
	})
}

// Yield returns when the sends under way have ended, and their outcomes are
// durable: whoever leads next repeats none of them, and sends all others.
func TestYieldDoublesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := startEngine(t, vfs.NewMem(), nil)
		e.vendor.script(func(*vendors.Notification) (vendors.Result, error) {
			<-time.After(50 * time.Millisecond)
			return vendors.Result{Outcome: vendors.Accepted}, nil
		})
		k := shardOf(e, "ann")
		e.bind("ann", "phone", "aa")
		for i := range 6 { // one binding: one is in flight, the rest waits
			e.must("ann", event(fmt.Sprint("m", i)))
		}
		<-time.After(10 * time.Millisecond)
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		start := time.Now()
		if err := e.set.Yield(ctx, k); err != nil {
			t.Error(err)
		}
		if d := time.Since(start); d < 40*time.Millisecond || d > 60*time.Millisecond {
			t.Errorf("it took %v", d)
		}
		if e.set.Leads(k) {
			t.Error("it takes new work")
		}
		replies, back := e.route("ann", "late")
		wantBack(t, "an event", replies, back)
		<-time.After(time.Second)
		if n := len(e.vendor.pushes()); n != 1 {
			t.Errorf("%d pushes before the hand-over", n)
		}
		e.set.Lose(k, 1)
		e.lead(k, 2)
		<-time.After(time.Minute)
		seen := map[string]int{}
		for _, p := range e.vendor.pushes() {
			seen[p.Data["m"]]++
		}
		for i := range 6 {
			if m := fmt.Sprint("m", i); seen[m] != 1 {
				t.Errorf("%s was sent %d times", m, seen[m])
			}
		}
		e.stop()
	})
}

// A vendor that does not answer holds the hand-over up no longer than its limit.
func TestYieldIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := startEngine(t, vfs.NewMem(), nil)
		e.vendor.script(func(*vendors.Notification) (vendors.Result, error) { return vendors.Result{}, errHang })
		e.bind("ann", "phone", "aa")
		e.must("ann", event("m1"))
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		if err := e.set.Yield(ctx, shardOf(e, "ann")); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("it ended with %v", err)
		}
		e.set.Lose(shardOf(e, "ann"), 1)
		if err := e.set.Yield(t.Context(), shardOf(e, "ann")); err != nil {
			t.Errorf("without leadership nothing is left: %v", err)
		}
		e.kill()
	})
}

// A hand-over that does not come about ends by a word or by itself, and what
// the lanes forgot is sent.
func TestYieldInVain(t *testing.T) {
	for name, word := range map[string]bool{"told": true, "forgotten": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := startEngine(t, vfs.NewMem(), nil)
				e.vendor.script(func(*vendors.Notification) (vendors.Result, error) {
					return vendors.Result{Outcome: vendors.Throttled, RetryAfter: time.Second}, nil
				})
				k := shardOf(e, "ann")
				e.bind("ann", "phone", "aa")
				e.must("ann", event("m1"))
				synctest.Wait()
				var hold []func()
				e.hold(func(id uint16, ms []storage.Mutation, done func(error)) {
					hold = append(hold, func() { e.store.Propose(id, ms, done) })
				})
				r2, _ := e.route("ann", "m2")
				synctest.Wait()
				ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
				defer cancel()
				if err := e.set.Yield(ctx, k); err == nil {
					t.Error("it ended before the commit under way")
				}
				e.vendor.script(nil)
				e.held.Store(nil)
				if word {
					ready := e.set.Lead(k, 1)
					synctest.Wait()
					if e.set.Leads(k) {
						t.Error("it read the store while an entry's fate was open")
					}
					hold[0]()
					if err := <-ready; err != nil {
						t.Error(err)
					}
				} else {
					hold[0]()
					<-time.After(2 * leaveFor)
				}
				synctest.Wait()
				if (<-r2).Err != nil || !e.set.Leads(k) {
					t.Error("what was under way is lost, or it does not work on")
				}
				<-time.After(time.Minute)
				check(t, e.outcomes("ann"), map[string]string{
					"m1/phone": "ACCEPTED DELIVERED_TO_VENDOR", "m2/phone": "ACCEPTED DELIVERED_TO_VENDOR",
				})
				e.stop()
			})
		})
	}
}

// Leadership that comes and goes under load loses nothing that was acknowledged
// and wakes nobody twice for one message, if it is handed over in order.
func TestLeadershipUnderLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const users, messages = 6, 300
		e := startEngine(t, vfs.NewMem(), nil)
		for u := range users {
			e.bind(fmt.Sprint("u", u), "phone", fmt.Sprintf("%04x", u))
		}
		var acked atomic.Int32
		var send func(x *actors.Envelope)
		send = func(x *actors.Envelope) {
			x.Back = func(x *actors.Envelope) { time.AfterFunc(5*time.Millisecond, func() { send(x) }) }
			e.set.Route(x)
		}
		for i := range messages {
			time.AfterFunc(time.Duration(i)*time.Millisecond, func() {
				send(&actors.Envelope{App: "app", User: fmt.Sprint("u", i%users), Command: event(fmt.Sprint("m", i)), Done: func(r actors.Reply) {
					if r.Err != nil {
						t.Errorf("m%d: %v", i, r.Err)
					}
					acked.Add(1)
				}})
			})
		}
		for term := uint64(1); term < 10; term++ {
			<-time.After(30 * time.Millisecond)
			for k := uint16(1); k <= e.store.Shards(); k++ {
				if err := e.set.Yield(t.Context(), k); err != nil {
					t.Error(err)
				}
				e.set.Lose(k, term)
				e.lead(k, term+1)
			}
		}
		<-time.After(time.Minute)
		if acked.Load() != messages {
			t.Fatalf("%d of %d are acknowledged", acked.Load(), messages)
		}
		n := 0
		for u := range users {
			for m, o := range e.outcomes(fmt.Sprint("u", u)) {
				if n++; o != "ACCEPTED DELIVERED_TO_VENDOR" {
					t.Errorf("%s: %s", m, o)
				}
			}
		}
		if p := len(e.vendor.pushes()); n != messages || p != messages {
			t.Errorf("%d outcomes, %d pushes, want %d", n, p, messages)
		}
		e.stop()
	})
}
