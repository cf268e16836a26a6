package lane

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rouse-im/rouse/vendors"
)

// group dispatches n equal pushes to different bindings, with ids prefix0 ...
func (r *rig) group(prefix string, n int) {
	for i := range n {
		note := r.notification(vendors.ClassIM, time.Hour)
		note.Title = prefix
		r.shared(fmt.Sprint(prefix, i), uint64(100*int(prefix[0])+i), note)
	}
}

// requests are the pushes in flight by request.
func (r *rig) requests() [][]string {
	var all [][]string
	for _, p := range r.flying {
		var ids []string
		for q := range p.all() {
			ids = append(ids, q.d.PushID)
		}
		all = append(all, ids)
	}
	return all
}

func (r *rig) wantRequests(want ...[]string) {
	r.t.Helper()
	if diff := cmp.Diff(want, r.requests()); diff != "" {
		r.t.Fatalf("requests (-want +got):\n%s", diff)
	}
}

func TestSharedPushesGoTogether(t *testing.T) {
	r := newRig(t, Options{}, 10).coalesce(3)
	r.group("a", 2)
	r.im("alone", 1)
	r.advance(linger - 1)
	r.wantRequests([]string{"alone"})
	r.group("b", 2)
	n := r.notification(vendors.ClassIM, time.Hour)
	n.Title = "a"
	r.shared("a late", 9, n)
	n = r.notification(vendors.ClassIM, time.Hour)
	n.Title = "a"
	r.shared("a too many", 10, n)
	r.wantRequests([]string{"alone"})
	// All wait for the first one's time, and different ones are passed over.
	r.advance(1)
	r.wantRequests([]string{"alone"}, []string{"a0", "a1", "a late"}, []string{"b0", "b1"}, []string{"a too many"})
}

func TestWhoDoesNotLinger(t *testing.T) {
	r := newRig(t, Options{}, 10).coalesce(3)
	r.shared("call", 1, r.notification(vendors.ClassCall, time.Hour))
	r.shared("voip", 2, &vendors.Notification{Channel: vendors.ChannelVoIP, Expires: r.now.Add(time.Hour)})
	r.shared("short", 3, r.notification(vendors.ClassIM, linger))
	r.wantFlying("call voip short")
	r.coalesce(1)
	r.shared("one at a time", 4, r.notification(vendors.ClassIM, time.Hour))
	r.wantFlying("call voip short one at a time")
}

// Waiting for company is no obstacle that a push behind it could expire of.
func TestExpiryBehindALingeringPush(t *testing.T) {
	r := newRig(t, Options{}, 10).coalesce(3)
	r.shared("lingers", 1, r.notification(vendors.ClassIM, time.Hour))
	r.dispatch("behind", 1, r.notification(vendors.ClassIM, linger/2))
	r.advance(linger / 2)
	r.wantEnded("behind", "EXPIRED/TTL")
}

// A push that takes the place of one that has waited does not wait again.
func TestSupersedingDoesNotLingerTwice(t *testing.T) {
	r := newRig(t, Options{}, 1).coalesce(3)
	r.im("first", 1)
	collapsing := func(id string) {
		n := r.notification(vendors.ClassIM, time.Hour)
		n.CollapseID = "x"
		r.shared(id, 2, n)
	}
	collapsing("old")
	r.advance(linger - 1)
	collapsing("newer") // within the time of the old one
	r.advance(1)
	collapsing("newest")
	r.answer(0, accepted)
	r.wantFlying("newest")
}

func TestEachOfABatchHasItsOwnAnswer(t *testing.T) {
	r := newRig(t, Options{BreakerFailures: 1}, 10).coalesce(100)
	r.group("a", 8)
	r.advance(linger)
	r.cancel("a1")
	r.cancel("a2")
	answers := []answer{
		accepted, accepted, said(vendors.Transient), said(vendors.TokenInvalid), said(vendors.Rejected),
		throttled(vendors.ScopeDevice, 10*time.Second), said(vendors.Transient), said(99),
	}
	r.answerEach(0, func() answer { a := answers[0]; answers = answers[1:]; return a })
	for i, want := range []string{
		"ACCEPTED/DELIVERED_TO_VENDOR", "ACCEPTED/DELIVERED_TO_VENDOR", "CANCELLED/READ", "FAILED/TOKEN_INVALID", "FAILED/PAYLOAD_REJECTED",
		"not ended", "not ended", "not ended",
	} {
		r.wantEnded(fmt.Sprint("a", i), want)
	}
	if r.s.breaker.open {
		t.Error("the breaker opened, but the vendor answered well to some")
	}
	for !slices.ContainsFunc(r.requests(), func(ids []string) bool { return ids[0] == "a6" }) {
		r.advance(r.due.Sub(r.now))
	}
	r.wantRequests([]string{"a6", "a7"}) // together again
	r.answer(0, accepted)
	r.advance(10 * time.Second)
	r.wantRequests([]string{"a5"})
}

// What is about the lane is learned once for each request.
func TestBatchTeachesOnce(t *testing.T) {
	for name, a := range map[string]answer{
		"silence": {kind: unanswered}, "timeout": {kind: timedOut}, "transient": said(vendors.Transient),
	} {
		r := newRig(t, Options{BreakerFailures: 2}, 10).coalesce(100)
		r.group("a", 50)
		r.advance(linger)
		r.answer(0, a)
		if r.s.breaker.failures != 1 || r.s.breaker.open {
			t.Errorf("%s: %d failures in a row, want 1", name, r.s.breaker.failures)
		}
		// All wait for the same time and go together again.
		r.advance(r.due.Sub(r.now))
		if len(r.flying) != 1 || len(r.flying[0].rest) != 49 {
			t.Errorf("%s: requests %v, want the same 50 in one", name, r.requests())
		}
	}
	r := newRig(t, Options{PerSecond: 100}, 10).coalesce(100)
	r.group("a", 50)
	r.advance(linger)
	r.answer(0, throttled(vendors.ScopeCredential, 0))
	if got := r.s.pace.bucket.Limit(); got != 48.9 || r.s.pace.throttles != 1 {
		t.Errorf("throttled %d times to %v/s, want once to half of 97.8/s", r.s.pace.throttles, got)
	}
}

// A refused credential holds the lane, whatever else the vendor said.
func TestBatchWithRefusal(t *testing.T) {
	r := newRig(t, Options{}, 10).coalesce(100)
	r.group("a", 3)
	r.advance(linger)
	answers := []answer{accepted, said(vendors.CredentialBad), accepted}
	r.answerEach(0, func() answer { a := answers[0]; answers = answers[1:]; return a })
	r.wantFlying("")
	if !r.s.breaker.open || !r.s.breaker.credential {
		t.Error("the lane goes on with a refused credential")
	}
	r.group("b", 3)
	r.advance(30 * time.Second)
	r.wantRequests([]string{"a1"}) // one push probes
	r.answer(0, accepted)
	r.wantRequests([]string{"b0", "b1", "b2"})
}

// After a panic each push of the batch goes alone: poison fails, the others go.
func TestPanicPartsTheBatch(t *testing.T) {
	r := newRig(t, Options{}, 10).coalesce(100)
	r.group("a", 5)
	r.advance(linger)
	r.answer(0, answer{kind: panicked})
	for len(r.live) > 0 {
		r.advance(max(0, r.due.Sub(r.now)))
		for len(r.flying) > 0 {
			if r.flying[0].d.PushID == "a3" {
				r.answer(0, answer{kind: panicked})
			} else {
				r.answer(0, accepted)
			}
		}
	}
	for i := range 5 {
		want := "ACCEPTED/DELIVERED_TO_VENDOR"
		if i == 3 {
			want = "FAILED/PAYLOAD_REJECTED"
		}
		r.wantEnded(fmt.Sprint("a", i), want)
	}
}

// A probe that panics is a probe that failed: the lane probes again.
func TestPanickingProbe(t *testing.T) {
	r := newRig(t, Options{BreakerFailures: 1}, 10)
	r.im("a", 1)
	r.im("b", 2)
	r.answer(0, said(vendors.Transient))
	r.answer(0, said(vendors.Transient))
	for len(r.flying) == 0 {
		r.advance(r.due.Sub(r.now))
	}
	r.answer(0, answer{kind: panicked})
	for len(r.flying) == 0 && r.now.Before(time.Unix(1e9+60, 0)) {
		r.advance(r.due.Sub(r.now))
	}
	if len(r.flying) != 1 {
		t.Error("no probe within a minute after one that panicked")
	}
}

// Where devices count a request takes what the rate has, and waits for enough.
func TestBatchCostsATokenForEachPush(t *testing.T) {
	r := newRig(t, Options{PerSecond: 1000, PerPush: true}, 10).coalesce(100)
	r.group("a", 100)
	r.advance(linger)
	sizes := func() (all []int) {
		for _, ids := range r.requests() {
			all = append(all, len(ids))
		}
		return all
	}
	if diff := cmp.Diff([]int{20}, sizes()); diff != "" {
		t.Errorf("at once (-want +got):\n%s", diff)
	}
	r.im("alone", 1)
	for range 4 {
		r.advance(r.due.Sub(r.now))
	}
	if diff := cmp.Diff([]int{20, 20, 20, 20, 20}, sizes()[:5]); diff != "" {
		t.Errorf("then (-want +got):\n%s", diff)
	}
	if took := r.now.Sub(time.Unix(1e9, 0)); took < 80*time.Millisecond || took > 95*time.Millisecond {
		t.Errorf("100 devices took %v at 1000/s", took)
	}
	r.checkRate()
}

// Else the rate is of requests.
func TestBatchCostsOneToken(t *testing.T) {
	r := newRig(t, Options{PerSecond: 2, Burst: 2}, 10).coalesce(100) // 1/s and bursts of 2
	r.group("a", 150)
	r.advance(linger)
	if got := len(r.requests()); got != 2 {
		t.Errorf("%d requests for 150 pushes, want 2 within the burst", got)
	}
	r.im("next", 1)
	r.advance(900 * time.Millisecond)
	if len(r.requests()) != 2 {
		t.Error("a third request within the second")
	}
	r.advance(100 * time.Millisecond)
	if len(r.requests()) != 3 {
		t.Error("no third request after a second")
	}
}
