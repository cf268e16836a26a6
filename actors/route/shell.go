package route

import (
	"runtime/debug"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	actorv1 "github.com/rouse-im/rouse/api/rouse/actor/v1"
)

// step changes the state and carries out what follows from it. Deadlines need no
// more of others than the lock: whoever finds one over answers, so that no sender
// who stands still keeps an answer back.
func (r *Router) step(change func(s *state, now time.Time)) {
	now := time.Now()
	r.mu.Lock()
	change(r.state, now)
	r.arm(r.state.turn(now), now)
	ends := r.state.ends
	r.state.ends = nil
	hand := r.distribute()
	r.mu.Unlock()
	if hand {
		r.carry(&r.here, batchOf)
	}
	for i := range ends {
		r.end(&ends[i])
	}
}

// distribute puts each effect into its line. It is true if there is one to the
// local shards that the caller has to carry out.
func (r *Router) distribute() (hand bool) {
	effects := r.state.effects
	if len(effects) == 0 {
		return false
	}
	for i := range effects {
		e := &effects[i]
		if e.local != nil {
			r.here.effects = append(r.here.effects, *e)
			continue
		}
		l := r.out[e.to]
		if l == nil {
			l = &line{to: e.to}
			r.out[e.to] = l
		}
		if len(l.effects) >= r.state.window {
			continue // its sender stands still: the attempt is as good as lost
		}
		if l.effects = append(l.effects, *e); !l.busy {
			l.busy = true
			go r.carry(l, 0)
		}
	}
	clear(effects)
	r.state.effects = effects[:0]
	if hand = !r.here.busy && len(r.here.effects) > 0; hand {
		r.here.busy = true
	}
	return hand
}

func (r *Router) do(e *effect) {
	defer r.recovered()
	sys := r.o.System
	switch {
	case e.send != nil:
		sys.Root.RequestWithCustomSender(actor.NewPID(e.to, r.names[e.shard]), e.send,
			&actor.PID{Address: sys.Address(), Id: r.o.Name, RequestId: uint32(e.send.GetId())})
	case e.tell != nil:
		sys.Root.Send(actor.NewPID(e.to, r.names[e.shard]), e.tell)
	default:
		q := e.local
		defer r.underWay[q.shard].Add(-1)
		if q.envelope == nil {
			q.local()
			return
		}
		q.envelope.Deadline = q.deadline
		r.o.Deliver(q.envelope)
	}
}

func (r *Router) end(e *ending) {
	defer r.recovered()
	q := e.q
	defer r.underWay[q.shard].Add(-1)
	if q.envelope == nil {
		q.done(e.with)
		return
	}
	q.envelope.Done(replyOf(e.with))
}

func (r *Router) recovered() {
	if p := recover(); p != nil {
		r.o.Logger.Error("the taker of an answer panicked; this is a bug", "panic", p, "stack", string(debug.Stack()))
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
	r.step(func(_ *state, now time.Time) {
		r.armed = time.Time{}
		r.complain(now)
	})
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
