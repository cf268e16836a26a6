package lane

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/vendors"
)

func said(o vendors.Outcome) answer {
	return answer{res: vendors.Result{Outcome: o, Code: "code"}}
}

func throttled(scope vendors.Scope, after time.Duration) answer {
	return answer{res: vendors.Result{Outcome: vendors.Throttled, Scope: scope, RetryAfter: after, Code: "code"}}
}

var accepted = said(vendors.Accepted)

// im dispatches an IM push that lives for an hour.
func (r *rig) im(id string, order uint64) *push {
	return r.dispatch(id, order, r.notification(vendors.ClassIM, time.Hour))
}

// flyingIDs are the pushes in flight, in the order of their sends.
func (r *rig) flyingIDs() string {
	ids := ""
	for _, p := range r.flying {
		ids += p.d.PushID + " "
	}
	return ids
}

func (r *rig) wantFlying(want string) {
	r.t.Helper()
	if want != "" {
		want += " "
	}
	if got := r.flyingIDs(); got != want {
		r.t.Fatalf("in flight: %q, want %q", got, want)
	}
}

func (r *rig) wantEnded(id, want string) {
	r.t.Helper()
	got := "not ended"
	if e := r.ended[id]; e != nil {
		got = e.Status.String()[len("OUTCOME_STATUS_"):] + "/" + e.Reason.String()[len("REASON_"):]
	}
	if got != want {
		r.t.Fatalf("push %s: %s, want %s", id, got, want)
	}
}

// drainOrder accepts one push after the other and returns the order of the sends.
func (r *rig) drainOrder() string {
	order := ""
	for len(r.flying) > 0 {
		order += r.flying[0].d.PushID + " "
		r.answer(0, accepted)
	}
	return order
}

func TestUrgentFirstThenFirstCome(t *testing.T) {
	r := newRig(t, Options{}, 1)
	r.im("first", 1)
	for i, n := range []struct {
		id      string
		class   vendors.Class
		channel vendors.Channel
	}{
		{"marketing", vendors.ClassMarketing, vendors.ChannelAlert},
		{"odd", vendors.Class(99), vendors.ChannelAlert},
		{"system", vendors.ClassSystem, vendors.ChannelAlert},
		{"badge1", vendors.ClassIM, vendors.ChannelBadge},
		{"badge2", vendors.ClassCall, vendors.ChannelBadge},
		{"im1", vendors.ClassIM, vendors.ChannelAlert},
		{"im2", vendors.ClassIM, vendors.ChannelAlert},
		{"voip", vendors.ClassIM, vendors.ChannelVoIP},
		{"call", vendors.ClassCall, vendors.ChannelAlert},
	} {
		note := r.notification(n.class, time.Hour)
		note.Channel = n.channel
		r.dispatch(n.id, uint64(10+i), note)
	}
	if got, want := r.drainOrder(), "first voip call im1 im2 badge1 badge2 odd system marketing "; got != want {
		t.Errorf("sent %q, want %q", got, want)
	}
}

// A binding ranks by the most urgent push it holds, but keeps its order; only a
// call passes.
func TestOrderWithinBinding(t *testing.T) {
	r := newRig(t, Options{}, 1)
	r.im("first", 1)
	r.dispatch("other", 2, r.notification(vendors.ClassSystem, time.Hour))
	r.dispatch("news", 1, r.notification(vendors.ClassMarketing, time.Hour))
	r.im("im", 1)
	r.dispatch("call", 1, r.notification(vendors.ClassCall, time.Hour))
	if got, want := r.drainOrder(), "first call news im other "; got != want {
		t.Errorf("sent %q, want %q", got, want)
	}
}

func TestLaterPushWaitsWhileOtherBindingsPass(t *testing.T) {
	r := newRig(t, Options{}, 10)
	r.im("a1", 1)
	r.im("a2", 1)
	r.im("b1", 2)
	r.wantFlying("a1 b1")
	r.answer(0, said(vendors.Transient))
	r.im("a3", 1)
	r.wantFlying("b1")
	r.advance(r.due.Sub(r.now))
	r.wantFlying("b1 a1")
	r.answer(1, accepted)
	r.wantFlying("b1 a2")
}

func TestCollapse(t *testing.T) {
	r := newRig(t, Options{}, 1)
	collapsing := func(id string, order uint64, collapse string) {
		n := r.notification(vendors.ClassIM, time.Hour)
		n.CollapseID = collapse
		r.dispatch(id, order, n)
	}
	collapsing("flying", 1, "x")
	collapsing("old", 1, "x")
	collapsing("other id", 1, "y")
	collapsing("other binding", 2, "x")
	r.wantEnded("old", "not ended")
	collapsing("new", 1, "x")
	r.wantEnded("old", "SUPERSEDED/COLLAPSED")
	r.wantEnded("flying", "not ended")
	r.wantEnded("other id", "not ended")
	r.cancel("other id")
	// A push that comes back finds a newer one in its place.
	r.answer(0, said(vendors.Transient))
	r.wantEnded("flying", "SUPERSEDED/COLLAPSED")
	if got, want := r.drainOrder(), "new other binding "; got != want {
		t.Errorf("sent %q, want %q", got, want)
	}
}

// A push takes over the rank among bindings of the one it supersedes, but not
// its place within the binding.
func TestCollapseKeepsTheRank(t *testing.T) {
	r := newRig(t, Options{}, 1)
	r.im("first", 9)
	for _, d := range []struct {
		id       string
		order    uint64
		collapse string
	}{{"old", 1, "x"}, {"between", 1, ""}, {"b", 2, ""}, {"c", 3, ""}, {"new", 1, "x"}} {
		n := r.notification(vendors.ClassIM, time.Hour)
		n.CollapseID = d.collapse
		r.dispatch(d.id, d.order, n)
	}
	if got, want := r.drainOrder(), "first between new b c "; got != want {
		t.Errorf("sent %q, want %q", got, want)
	}
}

func TestVerdicts(t *testing.T) {
	since := time.Unix(5, 0)
	for _, c := range []struct {
		res  vendors.Result
		want Ended
	}{
		{vendors.Result{Outcome: vendors.Accepted, VendorID: "v"}, Ended{
			Status: rousev1.OutcomeStatus_OUTCOME_STATUS_ACCEPTED, Reason: rousev1.Reason_REASON_DELIVERED_TO_VENDOR, VendorID: "v",
		}},
		{vendors.Result{Outcome: vendors.TokenReplaced, NewToken: "t"}, Ended{
			Status: rousev1.OutcomeStatus_OUTCOME_STATUS_ACCEPTED, Reason: rousev1.Reason_REASON_DELIVERED_TO_VENDOR, NewToken: "t",
		}},
		{vendors.Result{Outcome: vendors.TokenInvalid, Code: "Gone", InvalidSince: since}, Ended{
			Status: rousev1.OutcomeStatus_OUTCOME_STATUS_FAILED, Reason: rousev1.Reason_REASON_TOKEN_INVALID,
			VendorCode: "Gone", TokenInvalid: true, InvalidSince: since,
		}},
		{vendors.Result{Outcome: vendors.Rejected, Code: "TooLarge", VendorID: "v"}, Ended{
			Status: rousev1.OutcomeStatus_OUTCOME_STATUS_FAILED, Reason: rousev1.Reason_REASON_PAYLOAD_REJECTED,
			VendorCode: "TooLarge", VendorID: "v",
		}},
	} {
		r := newRig(t, Options{}, 1)
		r.im("a", 1)
		r.answer(0, answer{res: c.res})
		c.want.PushID, c.want.At, c.want.Attempts = "a", r.now, 1
		if diff := cmp.Diff(&c.want, r.ended["a"]); diff != "" {
			t.Errorf("%v (-want +got):\n%s", c.res.Outcome, diff)
		}
	}
}

// A push that never gets a verdict expires with the last obstacle as its reason.
func TestExpiryNamesTheObstacle(t *testing.T) {
	for _, c := range []struct {
		a    answer
		want string
	}{
		{said(vendors.Transient), "VENDOR_UNAVAILABLE"},
		{said(0), "VENDOR_UNAVAILABLE"},
		{said(99), "VENDOR_UNAVAILABLE"},
		{answer{kind: unanswered}, "VENDOR_UNAVAILABLE"},
		{answer{kind: timedOut}, "VENDOR_TIMEOUT"},
		{throttled(vendors.ScopeCredential, 0), "VENDOR_THROTTLED"},
		{throttled(vendors.ScopeDevice, 0), "VENDOR_THROTTLED"},
		{said(vendors.QuotaExhausted), "VENDOR_QUOTA"},
		{said(vendors.CredentialBad), "CREDENTIAL_REJECTED"},
	} {
		r := newRig(t, Options{BackoffMax: 10 * time.Second}, 2)
		r.dispatch("sent", 1, r.notification(vendors.ClassIM, time.Minute))
		r.dispatch("behind", 1, r.notification(vendors.ClassIM, 50*time.Millisecond))
		r.answer(0, c.a)
		for r.ended["sent"] == nil {
			if len(r.flying) > 0 {
				r.answer(0, c.a)
			} else {
				r.advance(r.due.Sub(r.now))
			}
		}
		r.wantEnded("sent", "EXPIRED/"+c.want)
		if r.ended["behind"] != nil && r.ended["behind"].Attempts == 0 {
			r.wantEnded("behind", "EXPIRED/"+c.want)
		}
		if at := r.ended["sent"].At; at.Before(time.Unix(1e9+60, 0)) {
			t.Errorf("%v: ended at %v, before its time", c.want, at)
		}
	}
	r := newRig(t, Options{PerSecond: 0.001}, 1)
	r.im("first", 1)
	r.dispatch("late", 2, r.notification(vendors.ClassIM, time.Minute))
	r.advance(time.Minute)
	r.wantEnded("late", "EXPIRED/TTL")
	r.dispatch("stillborn", 3, r.notification(vendors.ClassIM, 0))
	r.wantEnded("stillborn", "EXPIRED/TTL")
}

func TestCancel(t *testing.T) {
	r := newRig(t, Options{}, 1)
	r.im("flying", 1)
	r.im("queued", 1)
	r.im("retried", 2)
	r.cancel("unknown")
	r.cancel("queued")
	r.wantEnded("queued", "CANCELLED/READ")
	r.cancel("flying")
	r.wantEnded("flying", "not ended")
	r.answer(0, accepted)
	r.wantEnded("flying", "ACCEPTED/DELIVERED_TO_VENDOR")
	r.wantFlying("retried")
	r.cancel("retried")
	r.answer(0, said(vendors.Transient))
	r.wantEnded("retried", "CANCELLED/READ")
}

// A push that ended otherwise than accepted is in doubt once an attempt of it, in
// this life of the node or a former one, had no answer.
func TestDoubt(t *testing.T) {
	for name, c := range map[string]struct {
		first answer
		again bool
		want  bool
	}{
		"answered":       {said(vendors.Transient), false, false},
		"no answer":      {answer{kind: unanswered}, false, true},
		"timeout":        {answer{kind: timedOut}, false, true},
		"before restart": {said(vendors.Transient), true, true},
	} {
		r := newRig(t, Options{}, 1)
		r.enter(&push{d: &Dispatch{PushID: "a", N: r.notification(vendors.ClassIM, time.Hour), Again: c.again}})
		r.answer(0, c.first)
		r.advance(time.Minute)
		r.answer(0, said(vendors.Rejected))
		if got := r.ended["a"].InDoubt; got != c.want {
			t.Errorf("%s: in doubt: %v", name, got)
		}
	}
}

func TestRepeatedDispatchOnlyRedirects(t *testing.T) {
	r := newRig(t, Options{}, 1)
	r.im("a", 1)
	r.im("b", 2)
	for _, id := range []string{"a", "b"} {
		r.im(id, 3) // the rig compares the reservations
	}
	if got := r.drainOrder(); got != "a b " {
		t.Errorf("sent %q, want each once", got)
	}
}

func TestQuotaPausesItsClassOnly(t *testing.T) {
	r := newRig(t, Options{}, 10)
	r.dispatch("news", 1, r.notification(vendors.ClassMarketing, 48*time.Hour))
	r.dispatch("more news", 2, r.notification(vendors.ClassMarketing, 48*time.Hour))
	r.im("im", 1)
	quota := func(after time.Duration) answer {
		return answer{res: vendors.Result{Outcome: vendors.QuotaExhausted, RetryAfter: after}}
	}
	r.answer(0, quota(2*time.Hour))
	r.wantFlying("more news im")  // im passes the paused push of its binding
	r.answer(0, quota(time.Hour)) // which is less
	r.answer(0, accepted)
	r.advance(2*time.Hour - 1)
	r.wantFlying("")
	r.advance(1)
	r.wantFlying("news more news")
	r.answer(0, quota(0)) // until midnight
	r.answer(0, accepted)
	r.replace(10) // the account is the same
	r.wantFlying("")
	r.advance(r.s.quota.end.Sub(r.now) - 1)
	r.wantFlying("")
	r.advance(1)
	r.wantFlying("news")
}

func TestDeviceThrottleHoldsItsBindingOnly(t *testing.T) {
	r := newRig(t, Options{}, 10)
	r.im("a1", 1)
	r.im("a2", 1)
	r.im("b", 2)
	r.answer(0, throttled(vendors.ScopeDevice, 10*time.Second))
	r.dispatch("call", 1, r.notification(vendors.ClassCall, time.Hour))
	r.wantFlying("b")
	r.advance(10 * time.Second)
	r.wantFlying("b call")
	// The hold outlives the pushes that met it.
	r.answer(1, throttled(vendors.ScopeDevice, 10*time.Second))
	for _, id := range []string{"a1", "a2", "call"} {
		r.cancel(id)
	}
	r.im("a3", 1)
	r.wantFlying("b")
	r.advance(10 * time.Second)
	r.wantFlying("b a3")
}

func TestRefusedCredentialWaitsForItsReplacement(t *testing.T) {
	r := newRig(t, Options{}, 10)
	start := r.now
	for i := range 3 {
		r.dispatch(fmt.Sprint(i), uint64(i), r.notification(vendors.ClassIM, 24*time.Hour))
	}
	r.dispatch("good", 9, r.notification(vendors.ClassIM, 24*time.Hour))
	for range 3 {
		r.answer(0, said(vendors.CredentialBad))
	}
	r.answer(0, accepted) // sent before the credential was refused: proves nothing
	var probes []time.Duration
	for range 6 {
		r.advance(r.due.Sub(r.now))
		if len(r.flying) != 1 {
			t.Fatalf("in flight %q, want one probe", r.flyingIDs())
		}
		probes = append(probes, r.now.Sub(start))
		r.answer(0, said(vendors.CredentialBad))
	}
	want := []time.Duration{30, 90, 210, 450, 750, 1050}
	for i := range want {
		want[i] *= time.Second
	}
	if diff := cmp.Diff(want, probes); diff != "" {
		t.Errorf("probes (-want +got):\n%s", diff)
	}
	r.replace(10)
	r.wantFlying("0 1 2")
}

// Answers that an old sender still owes tell nothing about the new one.
func TestStaleAnswersAfterReplace(t *testing.T) {
	r := newRig(t, Options{BreakerFailures: 1}, 10)
	r.im("a", 1)
	r.im("b", 2)
	r.im("c", 3)
	r.replace(10)
	r.answer(0, said(vendors.CredentialBad))
	r.wantFlying("b c a")
	r.answer(0, answer{kind: unanswered})
	r.answer(0, throttled(vendors.ScopeCredential, time.Hour))
	if r.s.breaker.open || r.s.pace.until.After(r.now) {
		t.Error("the new sender pays for the old one")
	}
	r.wantFlying("a c")
}

func TestSilentVendorOpensTheBreaker(t *testing.T) {
	r := newRig(t, Options{BreakerFailures: 3, BackoffMax: time.Millisecond}, 10)
	for i := range 3 {
		r.im(fmt.Sprint(i), uint64(i))
	}
	r.answer(0, answer{kind: unanswered})
	r.answer(0, accepted)
	r.im("3", 3)
	r.advance(time.Millisecond)
	for len(r.flying) > 1 { // sent together, they fail as one
		r.answer(0, answer{kind: unanswered})
	}
	if r.s.breaker.failures != 1 {
		t.Errorf("%d failures in a row, want 1", r.s.breaker.failures)
	}
	for !r.s.breaker.open {
		r.advance(time.Millisecond)
		r.answer(len(r.flying)-1, said(vendors.Transient))
	}
	for len(r.flying) > 0 {
		r.answer(0, said(vendors.Transient))
	}
	start := r.now
	var probes []time.Duration
	for range 5 {
		r.advance(5 * time.Second)
		for len(r.flying) == 0 {
			r.advance(r.due.Sub(r.now))
		}
		probes = append(probes, r.now.Sub(start))
		r.answer(0, answer{kind: timedOut})
	}
	want := []time.Duration{5, 15, 35, 75, 135}
	for i := range want {
		want[i] *= time.Second
	}
	if diff := cmp.Diff(want, probes); diff != "" {
		t.Errorf("probes (-want +got):\n%s", diff)
	}
	for len(r.flying) == 0 {
		r.advance(r.due.Sub(r.now))
	}
	r.answer(0, accepted)
	if len(r.flying) != 2 {
		t.Errorf("in flight %q after the vendor is back, want the other two", r.flyingIDs())
	}
}

func TestPoisonFails(t *testing.T) {
	r := newRig(t, Options{}, 1)
	r.im("a", 1)
	for range 2 {
		r.answer(0, answer{kind: panicked})
		r.wantEnded("a", "not ended")
		r.advance(r.due.Sub(r.now))
	}
	r.answer(0, answer{kind: panicked})
	r.wantEnded("a", "FAILED/PAYLOAD_REJECTED")
}

func TestRemoveEndsAll(t *testing.T) {
	r := newRig(t, Options{}, 2)
	r.im("good", 1)
	r.im("bad", 2)
	r.im("queued", 3)
	r.s.remove(r.now)
	r.settle()
	r.wantEnded("queued", "FAILED/NO_NOTIFIER")
	r.answer(0, accepted)
	r.answer(0, said(vendors.Transient))
	r.wantEnded("good", "ACCEPTED/DELIVERED_TO_VENDOR")
	r.wantEnded("bad", "FAILED/NO_NOTIFIER")
	r.im("late", 4)
	r.wantEnded("late", "FAILED/NO_NOTIFIER")
}

func TestDrainEndsNothing(t *testing.T) {
	r := newRig(t, Options{}, 2)
	r.im("good", 1)
	r.im("bad", 2)
	r.im("queued", 3)
	r.s.drain()
	r.answer(0, accepted)
	r.answer(0, said(vendors.Transient))
	r.advance(2 * time.Hour)
	r.wantFlying("")
	r.wantEnded("good", "ACCEPTED/DELIVERED_TO_VENDOR")
	r.wantEnded("bad", "not ended")
	r.wantEnded("queued", "not ended")
	if !r.due.IsZero() {
		t.Errorf("due %v while draining, want never", r.due)
	}
}

func TestLongQueueGivesItsMemoryBack(t *testing.T) {
	r := newRig(t, Options{}, 1)
	for i := range 3 * keptCap {
		r.s.dispatch(&push{d: &Dispatch{PushID: fmt.Sprint(i), Order: uint64(i), N: r.notification(vendors.ClassIM, time.Second)}}, r.now)
	}
	r.s.settle(r.now.Add(time.Second))
	r.s.effects.reset()
	q := &r.s.queue
	if r.s.peak != 0 || cap(q.ready.items)+cap(q.expiry.items) > 0 || cap(r.s.ends) > 0 || len(q.spare) > spareBindings {
		t.Errorf("an empty lane keeps: ready %d, expiry %d, ends %d, spare %d", cap(q.ready.items), cap(q.expiry.items), cap(r.s.ends), len(q.spare))
	}
}
