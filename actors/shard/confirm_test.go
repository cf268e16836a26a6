package shard

import (
	"errors"
	"fmt"
	"sync"
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

// later sends a command in at node i; the channel gets all its answers.
func (w *world) later(i int, who string, cmd proto.Message) <-chan actors.Reply {
	c := make(chan actors.Reply, 2)
	w.nodes[i].router.Route(&actors.Envelope{App: "app", User: who, Command: cmd, Done: func(r actors.Reply) { c <- r }})
	return c
}

// depose has another node lead a shard, of which the leader before hears later:
// when it has found out that the others do not answer.
func (w *world) depose(k uint16, to int) {
	was := w.elect(k, to)
	w.nodes[to].learn(k)
	time.AfterFunc(2*stepDown, func() {
		w.nodes[was.node].set.Lose(k, was.term)
		w.learnAll(k)
	})
}

func count(r actors.Reply) int {
	return int(r.Response.(*rousev1.GetOfflineCountResponse).GetCount())
}

// A leader that was deposed and does not know it tells nothing of what it
// remembers: no read, and not that a repeat changes nothing. Both are answered by
// who leads, and a repeat is carried out if it is none any more.
func TestDeposedLeaderTellsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 3)
		k := w.nodes[0].store.ShardOf("app", "ann")
		w.move(k, 0)
		bound := bindRequest("ann", "aabbcc")
		w.mustAt(0, "ann", bound)
		w.mustAt(0, "ann", event("m1"))
		if n := count(w.mustAt(0, "ann", &rousev1.GetOfflineCountRequest{})); n != 1 {
			t.Fatalf("counts %d", n)
		}
		w.depose(k, 2)
		w.mustAt(2, "ann", event("m2"))
		w.mustAt(2, "ann", &rousev1.UnbindTokenRequest{UserId: "ann", DeviceId: "phone"})
		var counts []<-chan actors.Reply
		for i := range 5 {
			counts = append(counts, w.later(i%2, "ann", &rousev1.GetOfflineCountRequest{}))
		}
		again := w.later(0, "ann", &rousev1.SetUserPolicyRequest{UserId: "ann"})
		repeat := w.later(0, "ann", &rousev1.MessageEvent{MessageId: "m1", Sender: "bob"})
		devices := w.later(0, "ann", &rousev1.ListDevicesRequest{UserId: "ann"})
		<-time.After(stepDown)
		synctest.Wait()
		for _, c := range append(counts, again, repeat, devices) {
			if len(c) > 0 {
				t.Errorf("the former leader answers %v", <-c)
			}
		}
		for _, c := range counts {
			if r := <-c; r.Err != nil || count(r) != 2 {
				t.Errorf("%v", r)
			}
		}
		if r := <-again; r.Err != nil {
			t.Error(r)
		}
		if r := <-repeat; r.Status != rousev1.ItemStatus_ITEM_STATUS_DUPLICATE {
			t.Error(r)
		}
		r := <-devices
		for _, d := range r.Response.(*rousev1.ListDevicesResponse).GetDevices() {
			if len(d.GetBindings()) > 0 {
				t.Errorf("a token that was given up: %v", d)
			}
		}
		w.stop()
	})
}

// The shard of a token that is led elsewhere by now does not say that nobody has
// it, nor who has.
func TestDeposedShardKnowsNoOwner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 3)
		token := user.SumOf(testRing(), "app", "apns", "aabbcc")
		k := w.nodes[0].store.ShardOfToken(storage.Sum(token))
		who := "ann"
		for i := 0; w.nodes[0].store.ShardOf("app", who) == k; i++ {
			who = fmt.Sprint("ann", i)
		}
		w.move(k, 0)
		w.move(w.nodes[0].store.ShardOf("app", who), 1)
		w.depose(k, 2)
		w.nodes[1].learn(k)
		w.mustAt(1, who, bindRequest(who, "aabbcc"))
		w.mustAt(1, who, event("m1"))
		<-time.After(100 * time.Millisecond)
		push := w.nodes[1].vendor.pushes()[0]
		replies := make(chan actors.Reply, 1)
		w.nodes[0].set.Report(&user.Reported{App: "app", Receipt: user.Receipt{
			Notifier: "apns", Sum: token, Kind: vendors.ReceiptDelivered, PushID: push.PushID, At: time.Now(),
		}, Done: func(r actors.Reply) { replies <- r }})
		if r := <-replies; r.Err.GetCode() != rousev1.ErrorCode_ERROR_CODE_UNAVAILABLE || !r.Err.GetTemporary() {
			t.Errorf("the former leader says %v", r)
		}
		<-time.After(2 * stepDown)
		w.nodes[0].set.Report(&user.Reported{App: "app", Receipt: user.Receipt{
			Notifier: "apns", Sum: token, Kind: vendors.ReceiptDelivered, PushID: push.PushID, At: time.Now(),
		}, Done: func(r actors.Reply) { replies <- r }})
		if r := <-replies; r.Status != kept {
			t.Errorf("repeated: %v", r)
		}
		w.stop()
	})
}

// voters stand for those whom a leader asks: they answer when they are told to.
type voters struct {
	mu    sync.Mutex
	alone bool
	wait  []func(error)
}

func (v *voters) options(_ *engine, o *Options) {
	o.Alone = func(uint16, uint64) bool {
		v.mu.Lock()
		defer v.mu.Unlock()
		return v.alone
	}
	o.Confirm = func(_ uint16, _ uint64, done func(error)) {
		v.mu.Lock()
		defer v.mu.Unlock()
		v.wait = append(v.wait, done)
	}
}

// answer gives the same to all who wait, and returns how many asked.
func (v *voters) answer(err error) int {
	synctest.Wait()
	v.mu.Lock()
	asked := v.wait
	v.wait = nil
	v.mu.Unlock()
	for _, done := range asked {
		done(err)
	}
	synctest.Wait()
	return len(asked)
}

func (e *engine) send(who string, cmd proto.Message) <-chan actors.Reply {
	c := make(chan actors.Reply, 2)
	e.set.Route(&actors.Envelope{App: "app", User: who, Command: cmd, Done: func(r actors.Reply) { c <- r }})
	return c
}

// Answers that are ready at once share a confirmation, and those that are ready
// after it was asked for have the next one. Commits go on beside them.
func TestAnswersShareAConfirmation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := &voters{}
		e := startEngine(t, vfs.NewMem(), v.options)
		read := &rousev1.GetOfflineCountRequest{}
		e.bind("ann", "phone", "aabb")
		for v.answer(nil) > 0 { // of the token's claim
			<-time.After(time.Second)
		}
		first := e.send("ann", read)
		synctest.Wait()
		var rest []<-chan actors.Reply
		for range 100 {
			rest = append(rest, e.send("ann", read))
		}
		synctest.Wait()
		if r := e.ask("ann", event("m1")); r.Err != nil || len(first) > 0 {
			t.Errorf("a message waits for a read: %v, or the other way: %d", r, len(first))
		}
		synctest.Wait()
		after := e.send("ann", read)
		if n := v.answer(nil); n != 1 || len(first) != 1 || count(<-first) != 0 {
			t.Errorf("%d asked for the first", n)
		}
		for _, c := range rest {
			if len(c) > 0 {
				t.Fatal("what came after the question has its answer")
			}
		}
		if n := v.answer(nil); n != 1 || len(after) != 1 || count(<-after) != 1 {
			t.Errorf("%d asked for the rest", n)
		}
		for _, c := range rest {
			if r := <-c; count(r) != 0 {
				t.Errorf("answered with what was decided later: %v", r)
			}
		}
		if n := v.answer(nil); n != 0 {
			t.Errorf("%d asked for nothing", n)
		}
		e.stop()
	})
}

// A read that waited for the commit of what it tells is as much in need of a
// confirmation as any: the commit was proposed before it was read. One that is
// committed along with a later change has its own.
func TestReadBehindACommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := &voters{}
		e := startEngine(t, vfs.NewMem(), v.options)
		e.bind("ann", "phone", "aabb")
		for v.answer(nil) > 0 { // of the token's claim
			<-time.After(time.Second)
		}
		held := make(chan func(), 64)
		e.hold(func(id uint16, ms []storage.Mutation, done func(error)) {
			held <- func() { e.store.Propose(id, ms, done) }
		})
		release := func() {
			synctest.Wait()
			(<-held)()
			synctest.Wait()
		}
		written := e.send("ann", event("m1"))
		synctest.Wait()
		read := e.send("ann", &rousev1.GetOfflineCountRequest{})
		release()
		if len(written) != 1 || len(read) != 0 {
			t.Errorf("%d written, %d read", len(written), len(read))
		}
		if n := v.answer(nil); n != 1 || count(<-read) != 1 {
			t.Errorf("%d asked", n)
		}
		for len(held) > 0 { // the push and its end
			release()
		}
		first := e.send("ann", event("m2"))
		synctest.Wait()
		read = e.send("ann", &rousev1.GetOfflineCountRequest{})
		synctest.Wait()
		second := e.send("ann", event("m3"))
		release()
		if len(first) != 1 || len(read)+len(second) != 0 {
			t.Error("answered before the commit")
		}
		release()
		if len(second) != 1 || len(read) != 1 || count(<-read) != 2 {
			t.Error("not answered with the commit")
		}
		for len(held) > 0 {
			release()
		}
		if n := v.answer(nil); n != 0 {
			t.Errorf("%d asked although a commit says it", n)
		}
		e.stop()
	})
}

// What is not confirmed is told as temporary, never as an answer; without others
// nobody is asked.
func TestUnconfirmedIsTemporary(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := &voters{}
		e := startEngine(t, vfs.NewMem(), v.options)
		for _, x := range []struct {
			err  error
			code rousev1.ErrorCode
		}{
			{storage.ErrBusy, rousev1.ErrorCode_ERROR_CODE_OVERLOADED},
			{errors.New("silence"), rousev1.ErrorCode_ERROR_CODE_UNAVAILABLE},
			{fmt.Errorf("x: %w", storage.ErrNotLeader), rousev1.ErrorCode_ERROR_CODE_UNAVAILABLE},
		} {
			c := e.send("ann", &rousev1.GetOfflineCountRequest{})
			v.answer(x.err)
			if r := <-c; r.Err.GetCode() != x.code || !r.Err.GetTemporary() || r.Response != nil {
				t.Errorf("%v: %v", x.err, r)
			}
		}
		v.alone = true
		if r := e.ask("ann", &rousev1.GetOfflineCountRequest{}); r.Err != nil || v.answer(nil) != 0 {
			t.Errorf("alone: %v", r)
		}
		e.stop()
	})
}

// No answer that waits is forgotten: an orderly end waits for it, a hand-over
// too, and when the actors stop it goes back.
func TestWaitingAnswersAreNotForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := &voters{}
		e := startEngine(t, vfs.NewMem(), v.options)
		k := e.store.ShardOf("app", "ann")
		c := e.send("ann", &rousev1.GetOfflineCountRequest{})
		ended := make(chan error, 2)
		go func() { ended <- e.set.Yield(t.Context(), k) }()
		<-time.After(100 * time.Millisecond)
		if len(ended) > 0 {
			t.Error("the hand-over did not wait")
		}
		v.answer(nil)
		if r := <-c; r.Err != nil {
			t.Error(r)
		}
		if err := errors.Join(<-ended, <-e.set.Lead(k, 1)); err != nil {
			t.Fatal(err)
		}
		c = e.send("ann", &rousev1.GetOfflineCountRequest{})
		synctest.Wait()
		go func() { ended <- e.set.Drain(t.Context()) }()
		synctest.Wait()
		if len(ended) > 0 {
			t.Error("the end did not wait")
		}
		e.set.Stop()
		if r := <-c; r.Err.GetCode() != rousev1.ErrorCode_ERROR_CODE_UNAVAILABLE {
			t.Errorf("stopped: %v", r)
		}
		e.kill()
	})
}

// An answer made under a former leadership is not confirmed by a later one.
func TestAnswerOfAFormerTerm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := &voters{}
		e := startEngine(t, vfs.NewMem(), v.options)
		k := e.store.ShardOf("app", "ann")
		old := e.send("ann", &rousev1.GetOfflineCountRequest{})
		synctest.Wait()
		e.set.Lose(k, 1)
		if err := <-e.set.Lead(k, 2); err != nil {
			t.Fatal(err)
		}
		c := e.send("ann", &rousev1.GetOfflineCountRequest{})
		synctest.Wait()
		if r := <-old; r.Err.GetCode() != rousev1.ErrorCode_ERROR_CODE_UNAVAILABLE {
			t.Errorf("of the former term: %v", r)
		}
		v.mu.Lock()
		late := v.wait[0]
		v.mu.Unlock()
		late(nil) // it comes as late as that
		synctest.Wait()
		if len(c) > 0 {
			t.Error("the former term's confirmation was taken")
		}
		if n := v.answer(nil); n != 2 || (<-c).Err != nil {
			t.Errorf("%d asked", n)
		}
		e.stop()
	})
}
