package route

import (
	"testing"
	"time"

	actorv1 "github.com/rouse-im/rouse/api/rouse/actor/v1"
)

// A leader that answers slowly is not asked again while its answer is to be
// expected; one that is quick is asked again after the least time.
func TestAttemptsAreAsPatientAsAnswersAreSlow(t *testing.T) {
	for _, c := range []struct {
		took, again time.Duration // the usual answer; when the next attempt is due
	}{
		{time.Millisecond, 250 * time.Millisecond},
		{100 * time.Millisecond, 250 * time.Millisecond},
		{400 * time.Millisecond, 600 * time.Millisecond},
		{1900 * time.Millisecond, 2 * time.Second}, // attemptMax
	} {
		r := newRig(testLimits())
		r.leaders[1] = hint{"a", 1}
		for range 30 {
			r.ask(1, 1)
			r.pass(c.took)
			r.answer(0, &actorv1.Answer{Status: 1}) // to the first attempt
			r.flying = nil
		}
		r.ask(1, 1)
		var again time.Duration
		for len(r.flying) == 1 {
			r.pass(time.Millisecond)
			again += time.Millisecond
		}
		if again < c.again*3/4 || again > c.again {
			t.Errorf("answers take %v, asked again after %v, want about %v", c.took, again, c.again)
		}
	}
}

// What another leader answers says nothing of how slow the first one is.
func TestTimesOfADeadLeaderDoNotCount(t *testing.T) {
	r := newRig(testLimits())
	r.leaders[1] = hint{"a", 1}
	r.ask(1, 1)
	r.pass(time.Millisecond)
	r.answer(0, &actorv1.Answer{Status: 1})
	r.ask(1, 1)
	r.pass(2 * time.Second) // a is frozen
	r.leaders[1] = hint{"b", 2}
	r.s.moved(1, r.now)
	r.settle()
	r.pass(time.Millisecond)
	r.answer(len(r.flying)-1, &actorv1.Answer{Status: 1})
	if got := r.s.usual.patience(); got > 10*time.Millisecond {
		t.Errorf("patience %v", got)
	}
}

// What is in flight to a former leader goes to the new one at once, in order; what
// is in flight for other shards stays.
func TestInFlightFollowsTheLeader(t *testing.T) {
	r := newRig(testLimits())
	r.leaders[1], r.leaders[2] = hint{"a", 1}, hint{"a", 1}
	first, second := r.ask(1, 1), r.ask(1, 1)
	r.ask(2, 1)
	r.leaders[1] = hint{"b", 2}
	r.s.moved(1, r.now)
	r.settle()
	r.wantFlying(t, "a", "a", "a", "b", "b")
	if r.sends[3] != first || r.sends[4] != second {
		t.Error("out of order")
	}
	r.s.moved(1, r.now) // nothing is astray any more
	r.settle()
	r.wantFlying(t, "a", "a", "a", "b", "b")
	r.here[1], r.leaders[1] = true, hint{}
	r.s.moved(1, r.now)
	r.settle()
	if len(r.locals) != 2 {
		t.Errorf("%d went on at home", len(r.locals))
	}
	r.leaders[2] = hint{} // nobody is known to lead: who was asked may still answer
	r.s.moved(2, r.now)
	r.settle()
	if q := r.sends[2]; q.peer == nil {
		t.Error("it was taken from who may answer")
	}
}
