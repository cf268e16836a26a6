package shard

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"google.golang.org/protobuf/proto"

	"github.com/rouse-im/rouse/actors"
	"github.com/rouse-im/rouse/actors/user"
	actorv1 "github.com/rouse-im/rouse/api/rouse/actor/v1"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/storage"
	"github.com/rouse-im/rouse/vendors"
)

func bindRequest(who, token string) *rousev1.BindTokenRequest {
	return &rousev1.BindTokenRequest{UserId: who, DeviceId: "phone", Notifier: "apns", Token: token}
}

// Whichever node is asked, the user's shard answers, in the contract's words.
func TestAnyNodeAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 3)
		for u := range 12 {
			who := fmt.Sprint("u", u)
			r := w.mustAt(u%3, who, bindRequest(who, fmt.Sprintf("%04x", u)))
			if b := r.Response.(*rousev1.BindTokenResponse).GetBindings(); len(b) != 1 || b[0].GetNotifier() != "apns" {
				t.Errorf("%s: %v", who, b)
			}
			e := event("m1")
			e.Recipients = []string{"u1", "u2", "u3"}
			w.mustAt((u+1)%3, who, e)
			if r := w.mustAt((u+2)%3, who, e); r.Status != rousev1.ItemStatus_ITEM_STATUS_DUPLICATE {
				t.Errorf("%s: repeat at another node: %v", who, r.Status)
			}
			if r := w.askAt(u%3, who, &rousev1.CreateAppRequest{}); r.Err.GetCode() != rousev1.ErrorCode_ERROR_CODE_INVALID_ARGUMENT {
				t.Errorf("no command of a user: %+v", r)
			}
		}
		synctest.Wait()
		if n := len(w.pushes()); n != 12 {
			t.Errorf("%d pushes", n)
		}
		w.stop()
	})
}

// A caller that knows the leader of before is sent to the new one, without a pause.
func TestLateTable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 3)
		k := w.nodes[0].store.ShardOf("app", "ann")
		w.move(k, 1)
		caller := w.nodes[0]
		<-time.After(time.Second)
		was := w.elect(k, 2)
		w.nodes[1].set.Lose(k, was.term)
		w.nodes[1].learn(k)
		start := time.Now()
		w.mustAt(caller.i, "ann", event("m1"))
		if d := time.Since(start); d > 5*time.Millisecond {
			t.Errorf("a redirect took %v", d)
		}
		start = time.Now()
		w.mustAt(caller.i, "ann", event("m2"))
		if d := time.Since(start); d > 3*time.Millisecond {
			t.Errorf("what was learned is forgotten: %v", d)
		}
		w.stop()
	})
}

// A leader that was deposed and does not know it cannot commit: it sends callers
// on, and answers nothing that is not true.
func TestZombieLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 3)
		k := w.nodes[0].store.ShardOf("app", "ann")
		w.move(k, 0)
		w.mustAt(1, "ann", bindRequest("ann", "aa"))
		w.elect(k, 2) // neither the old leader nor callers know
		w.nodes[2].learn(k)
		done := make(chan actors.Reply, 2)
		for i := range 2 { // at the old leader itself, and through it
			w.nodes[i].router.Route(&actors.Envelope{App: "app", User: "ann", Command: event(fmt.Sprint("m", i)), Done: func(r actors.Reply) { done <- r }})
		}
		<-time.After(300 * time.Millisecond)
		if w.nodes[0].set.Leads(k) {
			t.Error("the old leader still works")
		}
		w.learnAll(k)
		for range 2 {
			if r := <-done; r.Err != nil || r.Status != rousev1.ItemStatus_ITEM_STATUS_ACCEPTED {
				t.Errorf("reply %+v", r)
			}
		}
		synctest.Wait()
		for i, want := range []int{0, 0, 2} {
			if n := len(w.nodes[i].vendor.pushes()); n != want {
				t.Errorf("node %d sent %d pushes, want %d", i, n, want)
			}
		}
		w.stop()
	})
}

// Leaderships that move under load, in order or not, cost no caller an error and
// lose nothing that was acknowledged; moved in order, they repeat no push.
func TestMovesUnderLoad(t *testing.T) {
	for name, orderly := range map[string]bool{"in order": true, "by election": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { movesUnderLoad(t, orderly) })
		})
	}
}

func movesUnderLoad(t *testing.T, orderly bool) {
	const users, messages = 8, 600
	w := newWorld(t, 3)
	for u := range users {
		who := fmt.Sprint("u", u)
		w.mustAt(0, who, bindRequest(who, fmt.Sprintf("%04x", u)))
	}
	var acked atomic.Int32
	var slowest atomic.Int64
	for i := range messages {
		time.AfterFunc(time.Duration(i)*time.Millisecond, func() {
			start := time.Now()
			w.nodes[i%3].router.Route(&actors.Envelope{App: "app", User: fmt.Sprint("u", i%users), Command: event(fmt.Sprint("m", i)), Done: func(r actors.Reply) {
				if r.Err != nil {
					t.Errorf("m%d: %v", i, r.Err)
				}
				acked.Add(1)
				slowest.Store(max(slowest.Load(), int64(time.Since(start))))
			}})
		})
	}
	for round := range 6 {
		<-time.After(100 * time.Millisecond)
		for k := uint16(1); k <= w.shards(); k++ {
			to := (int(k) + round + 1) % 3
			if orderly {
				w.move(k, to)
				continue
			}
			was := w.elect(k, to)
			time.AfterFunc(20*time.Millisecond, func() { w.nodes[was.node].set.Lose(k, was.term) })
			time.AfterFunc(30*time.Millisecond, func() { w.learnAll(k) })
		}
	}
	<-time.After(time.Minute)
	if acked.Load() != messages {
		t.Fatalf("%d of %d were answered", acked.Load(), messages)
	}
	if d := time.Duration(slowest.Load()); d > 300*time.Millisecond {
		t.Errorf("the slowest answer took %v", d)
	}
	n := 0
	for u := range users {
		r := w.mustAt(u%3, fmt.Sprint("u", u), &rousev1.ListOutcomesRequest{Limit: messages}).Response.(*rousev1.ListOutcomesResponse)
		for _, o := range r.GetOutcomes() {
			if n++; o.GetStatus() != rousev1.OutcomeStatus_OUTCOME_STATUS_ACCEPTED {
				t.Errorf("%s: %v %v", o.GetMessageId(), o.GetStatus(), o.GetReason())
			}
		}
	}
	sent, twice := w.pushes(), 0
	for _, times := range sent {
		twice += times - 1
	}
	if n != messages || len(sent) != messages {
		t.Errorf("%d outcomes, %d pushes, want %d", n, len(sent), messages)
	}
	if orderly && twice > 0 {
		t.Errorf("%d pushes were repeated", twice)
	}
	for _, x := range w.nodes {
		if s := x.lanes.Get("app", "apns").Stats(); s.Reserved != 0 {
			t.Errorf("node %d: %d places of the lane are taken", x.i, s.Reserved)
		}
	}
	w.stop()
}

// One token wakes one user, wherever he, the former owner and the token's own
// shard are led; what is owed survives changes of leadership.
func TestTokenMovesBetweenNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 3)
		for i := range 12 {
			who := fmt.Sprint("user", i)
			w.mustAt(i%3, who, bindRequest(who, "aabbcc"))
			if i%4 == 3 { // claims that are under way are lost
				for k := uint16(1); k <= w.shards(); k++ {
					was := w.elect(k, (int(k)+i)%3)
					w.nodes[was.node].set.Lose(k, was.term)
					w.learnAll(k)
				}
			}
			<-time.After(10 * time.Second)
			for j := range 12 {
				w.mustAt(j%3, fmt.Sprint("user", j), event(fmt.Sprint("m", i)))
			}
			synctest.Wait()
		}
		total := 0
		for _, x := range w.nodes {
			for _, p := range x.vendor.pushes() {
				if total++; p.Data["t"] != "user"+p.Data["m"][1:] {
					t.Errorf("message %s woke %s", p.Data["m"], p.Data["t"])
				}
			}
			for s := uint16(1); s <= w.shards(); s++ {
				_ = x.store.Scan(storage.IntentRange(s), func(k, _ []byte) bool { t.Errorf("an intent is left: %x", k); return true })
			}
		}
		if total != 12 {
			t.Errorf("%d pushes, want 12", total)
		}
		w.stop()
	})
}

// A push that its vendor takes after the leadership was lost ends at the new
// leader, whose lane does not send it again if it has not yet.
func TestEndComesToTheNewLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 3)
		k := w.nodes[0].store.ShardOf("app", "ann")
		w.move(k, 0)
		w.mustAt(0, "ann", bindRequest("ann", "aa"))
		answer := make(chan struct{})
		w.nodes[0].vendor.script(func(*vendors.Notification) (vendors.Result, error) {
			<-answer
			return vendors.Result{Outcome: vendors.Accepted, VendorID: "late"}, nil
		})
		// The new leader's lane has to wait.
		w.nodes[1].vendor.script(func(*vendors.Notification) (vendors.Result, error) {
			return vendors.Result{Outcome: vendors.Throttled, RetryAfter: time.Hour}, nil
		})
		other := "carl"
		for i := 0; w.nodes[0].store.ShardOf("app", other) == k; i++ {
			other = fmt.Sprint("carl", i)
		}
		w.move(w.nodes[0].store.ShardOf("app", other), 1)
		w.mustAt(1, other, bindRequest(other, "bb"))
		w.mustAt(1, other, event("x"))
		w.mustAt(0, "ann", event("m1"))
		synctest.Wait()
		was := w.elect(k, 1)
		w.nodes[0].set.Lose(k, was.term)
		w.learnAll(k)
		<-time.After(time.Second)
		if q := w.nodes[1].lanes.Get("app", "apns").Stats().Queued; q[1] != 2 {
			t.Fatalf("the new leader queues %v", q)
		}
		close(answer)
		<-time.After(time.Second)
		out := w.mustAt(2, "ann", &rousev1.ListOutcomesRequest{}).Response.(*rousev1.ListOutcomesResponse).GetOutcomes()
		if len(out) != 1 || out[0].GetStatus() != rousev1.OutcomeStatus_OUTCOME_STATUS_ACCEPTED || out[0].GetVendorId() != "late" {
			t.Errorf("outcomes %v", out)
		}
		if q := w.nodes[1].lanes.Get("app", "apns").Stats().Queued; q[1] != 1 {
			t.Errorf("the new leader still queues %v", q)
		}
		w.stop()
	})
}

// What waits for a user when leadership is lost goes on at once: no caller waits
// for a limit of time.
func TestWaitingCommandsGoOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2)
		k := w.nodes[0].store.ShardOf("app", "ann")
		w.move(k, 0)
		var mu sync.Mutex
		var slowest time.Duration
		answered := 0
		start := time.Now()
		for i := range 900 {
			w.nodes[i%2].router.Route(&actors.Envelope{App: "app", User: "ann", Command: event(fmt.Sprint("m", i)), Done: func(r actors.Reply) {
				mu.Lock()
				defer mu.Unlock()
				answered++
				slowest = max(slowest, time.Since(start))
				if r.Err != nil {
					t.Error(r.Err)
				}
			}})
		}
		was := w.elect(k, 1)
		w.nodes[0].set.Lose(k, was.term)
		w.learnAll(k)
		<-time.After(20 * time.Second)
		mu.Lock()
		defer mu.Unlock()
		if answered != 900 || slowest > 50*time.Millisecond {
			t.Errorf("%d answered, the slowest after %v", answered, slowest)
		}
		w.stop()
	})
}

// A receipt finds its user over the shard of the token, wherever both are led.
func TestReceiptBetweenNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 3)
		for u := range 9 {
			who, token := fmt.Sprint("u", u), fmt.Sprintf("%04x", u)
			w.mustAt(0, who, bindRequest(who, token))
			w.mustAt(0, who, event("m1"))
			<-time.After(time.Second)
			p := w.mustAt(1, who, &rousev1.ListOutcomesRequest{}).Response.(*rousev1.ListOutcomesResponse).GetOutcomes()[0]
			done := make(chan actors.Reply, 1)
			w.nodes[u%3].set.Report(&user.Reported{App: "app", Receipt: user.Receipt{
				Notifier: "apns", Sum: user.SumOf(testRing(), "app", "apns", token), Kind: vendors.ReceiptDelivered, PushID: p.GetPushId(), At: time.Now(),
			}, Done: func(r actors.Reply) { done <- r }})
			if r := <-done; r.Err != nil || r.Status != rousev1.ItemStatus_ITEM_STATUS_ACCEPTED {
				t.Errorf("%s: %+v", who, r)
			}
			p = w.mustAt(2, who, &rousev1.ListOutcomesRequest{}).Response.(*rousev1.ListOutcomesResponse).GetOutcomes()[0]
			if p.GetDeliveredAt() == nil {
				t.Errorf("%s: the receipt did not arrive: %v", who, p)
			}
		}
		w.stop()
	})
}

// What no release of ours asks is refused in words, and does no harm.
func TestStrangeQuestions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2)
		k := w.nodes[0].store.ShardOf("app", "ann")
		w.move(k, 0)
		command := func(kind string, body []byte) *actorv1.Ask {
			return &actorv1.Ask{Shard: uint32(k), App: "app", User: "ann", Body: &actorv1.Ask_Command{Command: &actorv1.Command{Type: kind, Body: body}}}
		}
		stranger := command("rouse.v1.MessageEvent", nil)
		for i := 0; w.nodes[0].store.ShardOf("app", stranger.User) == k; i++ {
			stranger.User = fmt.Sprint("bob", i)
		}
		for name, q := range map[string]*actorv1.Ask{
			"nothing":            {Shard: uint32(k), App: "app", User: "ann"},
			"unknown type":       command("rouse.v2.Event", nil),
			"type of a response": command("rouse.v1.ListDevicesResponse", nil),
			"type of another":    command("rouse.actor.v1.Ask", nil),
			"damaged":            command("rouse.v1.MessageEvent", []byte{0xff}),
			"another's user":     stranger,
			"short sum":          {Shard: uint32(k), App: "app", User: "ann", Body: &actorv1.Ask_Released{Released: &actorv1.Released{Sum: []byte{1}}}},
			"damaged receipt":    {Shard: uint32(k), App: "app", User: "ann", Body: &actorv1.Ask_Reported{Reported: &actorv1.Reported{Body: []byte{0xff}}}},
			"receipt elsewhere":  {Shard: uint32(k), App: "app", Body: &actorv1.Ask_Reported{Reported: &actorv1.Reported{Body: (&user.Reported{Receipt: user.Receipt{Sum: foreign(w, k)}}).Encode(nil)}}},
			"end of another's":   {Shard: uint32(k), App: "app", User: stranger.User, Body: &actorv1.Ask_Ended{Ended: &actorv1.Ended{}}},
		} {
			done := make(chan *actorv1.Answer, 1)
			w.nodes[1].router.Ask(q, func() { t.Error("it is led here") }, func(a *actorv1.Answer) { done <- a })
			if a := <-done; a.GetError().GetCode() != rousev1.ErrorCode_ERROR_CODE_INVALID_ARGUMENT || a.GetError().GetTemporary() {
				t.Errorf("%s: %v", name, a)
			}
		}
		done := make(chan *actorv1.Answer, 1)
		w.nodes[1].router.Ask(&actorv1.Ask{Shard: uint32(k), App: "app", Body: &actorv1.Ask_ShardCount{ShardCount: &actorv1.ShardCount{}}},
			func() { t.Error("it is led here") }, func(a *actorv1.Answer) { done <- a })
		if a := <-done; a.GetShards() != uint32(w.nodes[0].store.Shards()) || a.GetError() != nil {
			t.Errorf("how many shards are there: %v", a)
		}
		for _, m := range []*actorv1.Claim{{}, {Kind: 1, Intent: make([]byte, 16), FromShard: 99}, {Claim: []byte{1}}} {
			w.nodes[1].router.Tell(k, m)
		}
		w.nodes[1].router.Tell(k, &actorv1.ClaimAck{Intent: []byte{1}})
		<-time.After(time.Second)
		w.mustAt(1, "ann", event("m1"))
		w.stop()
	})
}

// foreign is the sum of a token of another shard.
func foreign(w *world, k uint16) (s user.Sum) {
	for i := byte(1); w.nodes[0].store.ShardOfToken(storage.Sum(s)) == k; i++ {
		for j := range s {
			s[j] = i
		}
	}
	return s
}

// The gateway sees its own disk alone: the leader refuses what would fill its
// own, and carries out what only reads or takes away.
func TestLeaderWithoutRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2)
		k := w.nodes[0].store.ShardOf("app", "ann")
		w.move(k, 1)
		w.mustAt(0, "ann", bindRequest("ann", "aa"))
		w.nodes[1].disk.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: 0, TotalBytes: 1 << 40})
		<-time.After(2 * time.Second)
		for _, m := range []proto.Message{event("m1"), bindRequest("ann", "bb"), &rousev1.SetBadgeRequest{UserId: "ann"}} {
			if r := w.askAt(0, "ann", m); r.Err.GetCode() != rousev1.ErrorCode_ERROR_CODE_DISK_FULL || !r.Err.GetTemporary() {
				t.Errorf("%T: %+v", m, r)
			}
		}
		w.mustAt(0, "ann", &rousev1.GetOfflineCountRequest{UserId: "ann"})
		w.mustAt(0, "ann", &rousev1.UnbindTokenRequest{UserId: "ann", DeviceId: "phone"})
		w.nodes[1].disk.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: 1 << 40, TotalBytes: 1 << 40})
		<-time.After(2 * time.Second)
		w.mustAt(0, "ann", event("m1"))
		w.stop()
	})
}
