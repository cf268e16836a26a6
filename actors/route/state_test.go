package route

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	actorv1 "github.com/rouse-im/rouse/api/rouse/actor/v1"
)

// rig drives a state in made-up time.
type rig struct {
	s       *state
	now     time.Time
	leaders map[uint16]hint // as the table says
	here    map[uint16]bool
	cut     map[string]bool // addresses
	bridges []string
	flying  []effect // sends without an answer yet
	ended   map[*request]int
	locals  []*request
	sends   []*request
	answers map[*request]*actorv1.Answer
}

const self = "self:1"

func newRig(l limits) *rig {
	r := &rig{
		s: newState(l), now: time.Unix(1e9, 0), leaders: map[uint16]hint{}, here: map[uint16]bool{}, cut: map[string]bool{},
		ended: map[*request]int{}, answers: map[*request]*actorv1.Answer{},
	}
	r.s.local = func(k uint16) bool { return r.here[k] }
	r.s.self = func() string { return self }
	r.s.cut = func(a string) bool { return r.cut[a] }
	r.s.relays = func(uint16) []string { return r.bridges }
	r.s.leader = func(k uint16) (string, uint64, bool) {
		h, ok := r.leaders[k]
		return h.address, h.term, ok
	}
	return r
}

func testLimits() limits {
	return limits{
		maxPending: 20, maxBytes: 10_000, window: 5, windowBytes: 4_000, attempt: 250 * time.Millisecond, attemptMax: 2 * time.Second,
		pause: 10 * time.Millisecond, pauseMax: 100 * time.Millisecond, deadline: 5 * time.Second,
	}
}

func (r *rig) ask(shard uint16, size int) *request {
	q := &request{shard: shard, size: size, ask: &actorv1.Ask{Shard: uint32(shard)}}
	r.s.admit(q, false, r.now)
	r.settle()
	return q
}

// settle takes the effects.
func (r *rig) settle() {
	r.s.turn(r.now)
	for _, e := range r.s.effects {
		switch {
		case e.send != nil:
			q := r.s.pending[uint32(e.send.GetId())>>8]
			r.sends = append(r.sends, q)
			r.flying = append(r.flying, e)
		default:
			r.ended[e.local]++
			r.locals = append(r.locals, e.local)
		}
	}
	for _, e := range r.s.ends {
		r.ended[e.q]++
		r.answers[e.q] = e.with
	}
	r.s.effects, r.s.ends = nil, nil
}

func (r *rig) pass(d time.Duration) {
	r.now = r.now.Add(d)
	r.settle()
}

func (r *rig) answer(i int, a *actorv1.Answer) {
	e := r.flying[i]
	r.flying = slices.Delete(r.flying, i, i+1)
	a.Id = e.send.GetId()
	r.s.answered(a, r.now)
	r.settle()
}

func redirect(to string, term uint64) *actorv1.Answer {
	return &actorv1.Answer{Redirect: &actorv1.Redirect{Leader: to, Term: term}}
}

func (r *rig) wantFlying(t *testing.T, want ...string) {
	t.Helper()
	var got []string
	for _, e := range r.flying {
		got = append(got, e.to)
	}
	if !slices.Equal(got, want) {
		t.Errorf("in flight to %q, want %q", got, want)
	}
}

func TestRedirectIsFollowedAndRemembered(t *testing.T) {
	r := newRig(testLimits())
	r.leaders[1] = hint{"a", 3}
	r.ask(1, 1)
	r.wantFlying(t, "a")
	r.answer(0, redirect("b", 4))
	r.wantFlying(t, "b")
	r.ask(1, 1)
	r.wantFlying(t, "b", "b")
	// The table learns of a later leader.
	r.leaders[1] = hint{"c", 5}
	r.ask(1, 1)
	r.wantFlying(t, "b", "b", "c")
	// What is older than the table leads nowhere.
	r.answer(2, redirect("b", 4))
	r.wantFlying(t, "b", "b")
	r.pass(10 * time.Millisecond)
	r.wantFlying(t, "b", "b", "c")
}

// What a leader of before says when the request is with the next one is not heeded.
func TestRedirectOfAnEarlierAttempt(t *testing.T) {
	r := newRig(testLimits())
	r.leaders[1] = hint{"a", 1}
	q := r.ask(1, 1)
	r.leaders[1] = hint{"b", 2}
	r.pass(250 * time.Millisecond)
	r.wantFlying(t, "a", "b")
	r.answer(0, redirect("b", 2))
	r.wantFlying(t, "b")
	if r.s.ways[1].doubt != "" || q.peer == nil {
		t.Error("the way to the new leader is in doubt")
	}
}

// Two nodes that take each other for the leader are not asked without end.
func TestCircleOfRedirects(t *testing.T) {
	r := newRig(testLimits())
	r.leaders[1] = hint{"a", 1}
	r.ask(1, 1)
	for i := 0; r.now.Before(time.Unix(1e9, 0).Add(time.Second)); i++ {
		for len(r.flying) > 0 {
			r.answer(0, redirect(map[string]string{"a": "b", "b": "a"}[r.flying[0].to], 7))
		}
		r.pass(time.Millisecond)
	}
	if n := r.s.counts.sent; n > 60 {
		t.Errorf("%d attempts in a second", n)
	}
}

// A leader that turns all away is asked by one request after ever longer pauses,
// and by all of them once it takes that one.
func TestProbe(t *testing.T) {
	r := newRig(testLimits())
	r.leaders[1] = hint{"a", 1}
	for range 5 {
		r.ask(1, 1)
	}
	for range 5 {
		r.answer(0, redirect("", 1))
	}
	r.wantFlying(t)
	at := time.Duration(0)
	var when []time.Duration
	for range 300 {
		at += time.Millisecond
		r.pass(time.Millisecond)
		if len(r.flying) > 1 {
			t.Fatalf("%d probes at once", len(r.flying))
		}
		if len(r.flying) == 1 {
			when = append(when, at)
			r.answer(0, redirect("", 1))
		}
	}
	if len(when) < 4 || len(when) > 8 {
		t.Errorf("probes after %v", when)
	}
	for len(r.flying) == 0 {
		r.pass(time.Millisecond)
	}
	r.answer(0, &actorv1.Answer{})
	r.wantFlying(t, "a", "a", "a", "a")
}

// Attempts get more time, the deadline ends them, and a late answer ends it too.
func TestLateAnswers(t *testing.T) {
	r := newRig(testLimits())
	r.leaders[1] = hint{"a", 1}
	q := r.ask(1, 1)
	var when []time.Duration
	for at := time.Duration(0); len(r.ended) == 0; at += time.Millisecond {
		if n := len(r.flying); n > len(when) {
			when = append(when, at)
		}
		r.pass(time.Millisecond)
	}
	if want := []time.Duration{0, 250, 750, 1750, 3750}; len(when) != len(want) || when[4] != 3750*time.Millisecond {
		t.Errorf("attempts after %v", when)
	}
	if r.answers[q] != unavailable || r.now.Sub(time.Unix(1e9, 0)) != 5*time.Second {
		t.Errorf("%v after %v", r.answers[q], r.now.Sub(time.Unix(1e9, 0)))
	}
	q = r.ask(1, 1)
	r.pass(300 * time.Millisecond)
	n := len(r.flying)
	r.answer(n-2, &actorv1.Answer{Status: 1}) // to the first attempt
	r.answer(n-2, &actorv1.Answer{Status: 2})
	if r.ended[q] != 1 || r.answers[q].GetStatus() != 1 {
		t.Errorf("ended %d times, with %v", r.ended[q], r.answers[q])
	}
}

func TestWindow(t *testing.T) {
	r := newRig(testLimits())
	r.leaders[1] = hint{"a", 1}
	r.leaders[2] = hint{"b", 1}
	for range 5 {
		r.ask(1, 1)
	}
	q := r.ask(1, 1)
	if r.answers[q] != overloaded {
		t.Errorf("over the window: %v", r.answers[q])
	}
	r.ask(2, 2_001)
	if q = r.ask(2, 2_000); r.answers[q] != overloaded {
		t.Errorf("too many bytes: %v", r.answers[q])
	}
	if q = r.ask(2, 1); r.ended[q] != 0 {
		t.Error("another node's window is full too")
	}
	// What was admitted waits for room.
	r.leaders[1] = hint{"b", 2}
	for range 5 {
		r.answer(0, redirect("b", 2)) // of which three find room
	}
	if n := len(r.flying); n != 5 || len(r.ended) != 2 {
		t.Errorf("%d in flight, %d ended", n, len(r.ended))
	}
	r.answer(1, &actorv1.Answer{})
	r.pass(10 * time.Millisecond)
	if n := len(r.flying); n != 5 {
		t.Errorf("%d in flight after there was room", n)
	}
}

func TestPeerDown(t *testing.T) {
	r := newRig(testLimits())
	r.leaders[1], r.leaders[2] = hint{"a", 1}, hint{"b", 1}
	r.ask(1, 1)
	r.ask(2, 1)
	r.ask(1, 1)
	r.leaders[1] = hint{"c", 2}
	r.s.down("a", r.now)
	r.settle()
	r.wantFlying(t, "a", "b", "a", "c", "c")
	r.s.down("b", r.now) // still the only leader that is known
	r.settle()
	r.pass(9 * time.Millisecond)
	r.wantFlying(t, "a", "b", "a", "c", "c")
	r.pass(time.Millisecond)
	r.wantFlying(t, "a", "b", "a", "c", "c", "b")
}

// Those that wait go in order, to the local shard too, and none passes them.
func TestOrderOfTheWaiting(t *testing.T) {
	r := newRig(testLimits())
	var asked []*request
	for range 4 {
		asked = append(asked, r.ask(1, 1))
	}
	r.leaders[1] = hint{"a", 1}
	asked = append(asked, r.ask(1, 1))
	r.wantFlying(t)
	r.pass(10 * time.Millisecond)
	if !slices.Equal(r.sends, asked) {
		t.Error("they were not sent in order")
	}
	r.leaders[1] = hint{self, 2}
	for range 5 {
		r.answer(0, redirect(self, 2))
	}
	r.here[1] = true
	asked = append(asked, r.ask(1, 1))
	r.pass(100 * time.Millisecond)
	if !slices.Equal(r.locals, asked) {
		t.Errorf("%d of %d came to the local shard, or not in order", len(r.locals), len(asked))
	}
}

// One that the local shard gave back waits before it comes again.
func TestGivenBack(t *testing.T) {
	r := newRig(testLimits())
	r.here[1] = true
	q := &request{shard: 1, ask: &actorv1.Ask{}}
	r.s.admit(q, true, r.now)
	r.settle()
	if len(r.locals) != 0 {
		t.Fatal("it came again at once")
	}
	r.pass(10 * time.Millisecond)
	if len(r.locals) != 1 {
		t.Error("it did not come again")
	}
	r.here[1], r.leaders[1] = false, hint{"a", 1}
	r.s.admit(&request{shard: 1, ask: &actorv1.Ask{}}, true, r.now)
	r.settle()
	r.wantFlying(t, "a")
}

func (r *rig) check(t *rapid.T) {
	s := r.s
	bytes, parked, flying := 0, 0, map[string]int{}
	for _, q := range s.pending {
		bytes += q.size
		switch {
		case q.peer != nil && q.way != nil || q.peer == nil && q.way == nil:
			t.Fatal("a request is neither or both in flight and parked")
		case q.peer != nil:
			flying[q.peer.address]++
			if round := q.peer.address != q.toward; round != (q.ask.GetRelayMs() > 0) || round && q.relayed {
				t.Fatalf("a request for %q is at %q with %d ms; it was relayed before: %v", q.toward, q.peer.address, q.ask.GetRelayMs(), q.relayed)
			}
		default:
			parked++
		}
		if q.timer.place == 0 || s.timers[q.timer.place-1] != &q.timer {
			t.Fatal("a request has no timer")
		}
	}
	if bytes != s.bytes || parked != s.parked || len(s.pending) > s.maxPending || bytes > s.maxBytes {
		t.Fatalf("%d requests, %d bytes of %d, %d parked of %d", len(s.pending), s.bytes, bytes, s.parked, parked)
	}
	timers := len(s.pending)
	for _, w := range s.ways {
		last := uint64(0)
		for q := w.first; q != nil; q = q.next {
			if q.seq <= last || q.way != w {
				t.Fatal("those that wait are not in order")
			}
			last = q.seq
		}
		if (w.first != nil) != (w.timer.place != 0) {
			t.Fatal("a way has a timer for nobody, or none")
		}
		if w.first != nil {
			timers++
		}
	}
	if timers != len(s.timers) || !maps.EqualFunc(s.peers, flying, func(p *peer, n int) bool { return len(p.flying) == n && n <= s.window }) {
		t.Fatalf("%d timers of %d; in flight %v", len(s.timers), timers, flying)
	}
	for i, x := range s.timers {
		if x.place != i+1 || i > 0 && x.due.Before(s.timers[(i-1)/2].due) {
			t.Fatal("the heap of timers is not one")
		}
	}
}

// Whatever comes, each request ends once, at its deadline at the latest.
func TestEachEndsOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := newRig(testLimits())
		r.bridges = rapid.SliceOf(rapid.SampledFrom([]string{"a", "b", "c", self})).Draw(t, "bridges")
		all := map[*request]time.Time{}
		address := func() string { return rapid.SampledFrom([]string{"a", "b", "c", self, ""}).Draw(t, "address") }
		shard := func() uint16 { return uint16(rapid.IntRange(1, 3).Draw(t, "shard")) }
		for i := range rapid.IntRange(1, 80).Draw(t, "steps") {
			switch rapid.IntRange(0, 10).Draw(t, fmt.Sprint("step ", i)) {
			case 0, 1, 2:
				q := &request{shard: shard(), size: rapid.IntRange(1, 900).Draw(t, "size"), ask: &actorv1.Ask{}, relayed: rapid.Bool().Draw(t, "relayed")}
				if rapid.Bool().Draw(t, "own deadline") {
					q.deadline = r.now.Add(time.Duration(rapid.IntRange(-1, 3000).Draw(t, "ms")) * time.Millisecond)
				}
				r.s.admit(q, rapid.Bool().Draw(t, "back"), r.now)
				all[q] = q.deadline
				r.settle()
			case 3:
				if len(r.flying) > 0 {
					r.answer(rapid.IntRange(0, len(r.flying)-1).Draw(t, "which"), &actorv1.Answer{})
				}
			case 4:
				if len(r.flying) > 0 {
					r.answer(rapid.IntRange(0, len(r.flying)-1).Draw(t, "which"), redirect(address(), uint64(rapid.IntRange(0, 9).Draw(t, "term"))))
				}
			case 5:
				if len(r.flying) > 0 {
					i := rapid.IntRange(0, len(r.flying)-1).Draw(t, "which")
					r.s.undelivered(uint32(r.flying[i].send.GetId()), r.now)
					r.settle()
				}
			case 6:
				r.s.down(address(), r.now)
				r.settle()
			case 7:
				r.leaders[shard()] = hint{address(), uint64(rapid.IntRange(0, 9).Draw(t, "term"))}
			case 8:
				r.here[shard()] = rapid.Bool().Draw(t, "here")
			case 9:
				r.pass(time.Duration(rapid.IntRange(1, 400).Draw(t, "ms")) * time.Millisecond)
			case 10:
				r.cut[address()] = rapid.Bool().Draw(t, "cut")
			}
			r.check(t)
			for q, deadline := range all {
				if n := r.ended[q]; n > 1 || n == 0 && !r.now.Before(deadline) {
					t.Fatalf("a request ended %d times, %v after its deadline", n, r.now.Sub(deadline))
				}
			}
		}
		for range 200 {
			r.pass(50 * time.Millisecond)
		}
		r.check(t)
		if len(r.s.pending)+len(r.s.timers)+len(r.s.peers) != 0 || len(r.ended) != len(all) {
			t.Fatalf("%d are left, %d of %d ended", len(r.s.pending), len(r.ended), len(all))
		}
	})
}
