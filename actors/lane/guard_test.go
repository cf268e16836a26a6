package lane

import (
	"testing"
	"time"
)

// What is not this node's to send waits until it is, or until its shard is forgotten.
func TestGuard(t *testing.T) {
	r := newRig(t, Options{}, 10).coalesce(4)
	mine := map[string]bool{}
	r.s.mine = func(d *Dispatch) bool { return mine[d.PushID] }
	mine["a1"] = true
	for i, id := range []string{"a1", "foreign", "a2"} {
		r.shared(id, uint64(i), r.notification(0, time.Hour))
	}
	mine["a2"] = true
	r.advance(linger)
	r.wantRequests([]string{"a1", "a2"})
	r.advance(askAgain)
	r.wantRequests([]string{"a1", "a2"})
	mine["foreign"] = true
	r.advance(askAgain)
	r.wantRequests([]string{"a1", "a2"}, []string{"foreign"})
}

func TestGuardOfSinglePushes(t *testing.T) {
	r := newRig(t, Options{}, 10)
	mine := false
	r.s.mine = func(*Dispatch) bool { return mine }
	r.im("first", 1)
	r.im("second", 1)
	r.im("other", 2)
	r.wantFlying("")
	r.advance(askAgain)
	r.wantFlying("")
	mine = true
	r.advance(askAgain)
	r.wantFlying("first other")
	r.answer(0, accepted)
	r.wantFlying("other second")
	mine = false // it stood still with an answer under way
	r.answer(0, accepted)
	r.im("late", 2)
	r.wantFlying("second")
}
