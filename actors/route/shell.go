package route

import (
	"runtime/debug"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	actorv1 "github.com/rouse-im/rouse/api/rouse/actor/v1"
)

// batchOf effects are carried out by whoever caused them; more go to a goroutine
// of their own, so that no caller works for others without end.
const batchOf = 256

// step changes the state and carries out what follows from it.
func (r *Router) step(change func(s *state, now time.Time)) {
	now := time.Now()
	r.mu.Lock()
	change(r.state, now)
	r.arm(r.state.turn(now), now)
	if r.busy || len(r.state.effects) == 0 {
		r.mu.Unlock()
		return
	}
	r.busy = true
	if r.carryOut(batchOf) {
		go func() {
			r.mu.Lock()
			r.carryOut(0)
			r.mu.Unlock()
		}()
	}
	r.mu.Unlock()
}

// carryOut does the effects, under the lock but for the doing itself: one after
// the other, whoever caused them, so that requests keep their order. After about
// limit of them it returns true and there are more; 0 = no limit.
func (r *Router) carryOut(limit int) (more bool) {
	for n := 0; len(r.state.effects) > 0; {
		if limit > 0 && n >= limit {
			return true
		}
		list := r.state.effects
		r.state.effects, r.spare = r.spare[:0], nil
		r.mu.Unlock()
		for i := range list {
			r.do(&list[i])
		}
		n += len(list)
		clear(list)
		r.mu.Lock()
		if cap(list) <= 4*batchOf {
			r.spare = list[:0]
		}
	}
	r.busy = false
	return false
}

func (r *Router) do(e *effect) {
	defer func() {
		if p := recover(); p != nil {
			r.o.Logger.Error("the taker of an answer panicked; this is a bug", "panic", p, "stack", string(debug.Stack()))
		}
	}()
	switch {
	case e.send != nil:
		sys := r.o.System
		sys.Root.RequestWithCustomSender(actor.NewPID(e.to, r.names[e.send.GetShard()]), e.send,
			&actor.PID{Address: sys.Address(), Id: r.o.Name, RequestId: uint32(e.send.GetId())})
	case e.local != nil:
		q := e.local
		defer r.underWay[q.shard].Add(-1)
		if q.envelope == nil {
			q.local()
			return
		}
		q.envelope.Deadline = q.deadline
		r.o.Deliver(q.envelope)
	default:
		q := e.end
		defer r.underWay[q.shard].Add(-1)
		if q.envelope == nil {
			q.done(e.with)
			return
		}
		q.envelope.Done(replyOf(e.with))
	}
}

// arm sees to it that a step is made at due. The timer is never set later: one
// that goes off too early costs less than setting it for each request.
func (r *Router) arm(due, now time.Time) {
	if due.IsZero() || !r.armed.IsZero() && !due.Before(r.armed) {
		return
	}
	r.armed = due
	if r.timer == nil {
		r.timer = time.AfterFunc(due.Sub(now), r.rung)
		return
	}
	r.timer.Reset(due.Sub(now))
}

func (r *Router) rung() {
	r.step(func(*state, time.Time) { r.armed = time.Time{} })
}

// inbox is the process that takes the answers. The PID under which it is asked
// holds the attempt's tag, so that a dead letter can be told from others.
type inbox struct{ r *Router }

// Receive takes a message about the attempt of that tag.
func (b inbox) Receive(tag uint32, message any) {
	switch m := message.(type) {
	case *actorv1.Answer:
		b.r.step(func(s *state, now time.Time) { s.answered(m, now) })
	case *actor.DeadLetterResponse:
		b.r.step(func(s *state, now time.Time) { s.undelivered(tag, now) })
	}
}

// SendUserMessage runs in the goroutine of the sender.
func (b inbox) SendUserMessage(pid *actor.PID, message any) {
	_, m, _ := actor.UnwrapEnvelope(message)
	b.Receive(pid.GetRequestId(), m)
}

// SendSystemMessage has nothing to do: nobody watches or stops the inbox.
func (inbox) SendSystemMessage(*actor.PID, any) {}

// Stop does as little.
func (inbox) Stop(*actor.PID) {}
