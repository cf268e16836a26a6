package route

import (
	"testing"
	"time"

	actorv1 "github.com/rouse-im/rouse/api/rouse/actor/v1"
)

// Who cannot reach the leader sends by one who can, and straight again when the
// way is open.
func TestLeaderIsReachedThroughAnother(t *testing.T) {
	r := newRig(testLimits())
	r.leaders[1] = hint{"a", 3}
	r.bridges = []string{self, "a", "b", "c"}
	q := r.ask(1, 1)
	r.wantFlying(t, "a")
	r.cut["a"] = true
	r.s.down("a", r.now) // what is at the leader already goes round, at once
	r.settle()
	r.wantFlying(t, "a", "b")
	if ms := r.flying[1].send.GetRelayMs(); ms != 250 {
		t.Errorf("the relay has %d ms, want the time of the attempt", ms)
	}
	r.answer(1, &actorv1.Answer{Status: 1})
	if r.answers[q].GetStatus() != 1 {
		t.Errorf("answer %v", r.answers[q])
	}
	r.cut["b"] = true
	r.ask(1, 1)
	r.wantFlying(t, "a", "c")
	r.cut["c"] = true // nobody is left: the direct way is as good as any
	r.ask(1, 1)
	r.wantFlying(t, "a", "c", "a")
	r.cut = map[string]bool{}
	r.ask(1, 1)
	r.wantFlying(t, "a", "c", "a", "a")
	if ms := r.flying[3].send.GetRelayMs(); ms != 0 {
		t.Errorf("the leader itself shall relay, within %d ms", ms)
	}
}

// A request of another node goes to the leader or nowhere.
func TestRelayedIsNotRelayedAgain(t *testing.T) {
	r := newRig(testLimits())
	r.leaders[1] = hint{"a", 3}
	r.bridges = []string{"b"}
	r.cut["a"] = true
	r.s.admit(&request{shard: 1, ask: &actorv1.Ask{}, relayed: true, deadline: r.now.Add(time.Second)}, false, r.now)
	r.settle()
	r.wantFlying(t, "a")
	r.s.down("a", r.now)
	for range 20 {
		r.pass(100 * time.Millisecond)
	}
	for _, e := range r.flying {
		if e.to != "a" || e.send.GetRelayMs() != 0 {
			t.Errorf("it went to %s, with %d ms to relay it", e.to, e.send.GetRelayMs())
		}
	}
	if len(r.ended) != 1 {
		t.Error("it did not end at its deadline")
	}
}

// A relay that does not answer, does not know the leader or is of an older release
// is followed by another one; with a single one there are pauses.
func TestOtherRelay(t *testing.T) {
	r := newRig(testLimits())
	r.leaders[1] = hint{"a", 3}
	r.bridges = []string{"b", "c"}
	r.cut["a"] = true
	r.ask(1, 1)
	r.wantFlying(t, "b")
	r.pass(250 * time.Millisecond)
	r.wantFlying(t, "b", "c")
	r.answer(1, redirect("", 0))
	r.pass(100 * time.Millisecond)
	r.wantFlying(t, "b", "b")
	r.answer(1, redirect("a", 4)) // an older release
	r.pass(100 * time.Millisecond)
	r.wantFlying(t, "b", "c")
	r.s.down("c", r.now)
	r.cut["c"] = true
	r.pass(100 * time.Millisecond)
	r.wantFlying(t, "b", "c", "b")

	r = newRig(testLimits())
	r.leaders[1], r.bridges, r.cut["a"] = hint{"a", 3}, []string{"b"}, true
	for range 5 {
		r.ask(1, 1)
	}
	for range 1000 {
		for len(r.flying) > 0 {
			r.answer(0, redirect("a", 4))
		}
		r.pass(time.Millisecond)
	}
	if n := r.s.counts.sent; n > 100 {
		t.Errorf("%d attempts in a second", n)
	}
}

// No word says that the leader is out of reach, it is only silent: after a while
// requests go round, but for one now and then, whose answer ends that.
func TestSilentLeaderIsPassedBy(t *testing.T) {
	r := newRig(testLimits())
	r.leaders[1] = hint{"a", 1}
	r.bridges = []string{"b"}
	var served []time.Duration
	direct := 0
	for at := time.Duration(0); at < 4*time.Second; at += 50 * time.Millisecond {
		r.ask(1, 1)
		for i := 0; i < len(r.flying); {
			switch r.flying[i].to {
			case "b":
				r.answer(i, &actorv1.Answer{})
				served = append(served, at)
			default:
				if at > 2*time.Second {
					direct++
				}
				r.flying = append(r.flying[:i], r.flying[i+1:]...) // nobody hears it
			}
		}
		r.pass(50 * time.Millisecond)
	}
	if len(served) == 0 || served[0] > 2*time.Second {
		t.Fatalf("served after %v", served)
	}
	if direct < 1 || direct > 4 {
		t.Errorf("%d requests went to the silent leader in 2 s", direct)
	}
	for range 40 {
		r.ask(1, 1)
		for len(r.flying) > 0 {
			r.answer(0, &actorv1.Answer{})
		}
		r.pass(50 * time.Millisecond)
	}
	if len(r.s.silent) != 0 {
		t.Error("a leader that answers is still passed by")
	}
	r.ask(1, 1)
	r.wantFlying(t, "a")
}

// What is with a relay is not astray while its leader leads, and is when another
// one does. The window to the relay bounds what goes that way.
func TestRelayKeepsBounds(t *testing.T) {
	r := newRig(testLimits())
	r.leaders[1] = hint{"a", 1}
	r.bridges = []string{"b"}
	r.cut["a"] = true
	for range 5 {
		r.ask(1, 1)
	}
	if q := r.ask(1, 1); r.answers[q] != overloaded {
		t.Errorf("over the window: %v", r.answers[q])
	}
	r.s.moved(1, r.now)
	r.settle()
	if n := len(r.flying); n != 5 {
		t.Errorf("%d in flight: they were sent again", n)
	}
	r.leaders[1] = hint{"c", 2}
	r.s.moved(1, r.now)
	r.settle()
	r.wantFlying(t, "b", "b", "b", "b", "b", "c", "c", "c", "c", "c")
}
