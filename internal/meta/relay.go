package meta

import (
	"context"
	"errors"
	"time"

	"github.com/rouse-im/rouse/actors"
	actorv1 "github.com/rouse-im/rouse/api/rouse/actor/v1"
)

// A node that cannot reach the leader asks through one that can, as routers of
// commands do: one hop, inside the time of the attempt.

// next is where a question for the leader at address goes.
func (a *Asker) next(address string) string {
	if !a.o.Cut(address) {
		return address
	}
	for _, other := range a.o.Relays() {
		if other != address && other != a.o.System.Address() && !a.o.Cut(other) {
			return other
		}
	}
	return address
}

// relay is how long the asked node may relay this attempt; 0 = not at all.
func (q *question) relay(ctx context.Context) time.Duration {
	if !q.round {
		return 0
	}
	wait := defaultTime
	if repeatable(q.MetaAsk) {
		wait = q.wait
	}
	if end, ok := ctx.Deadline(); ok {
		wait = min(wait, time.Until(end))
	}
	return max(wait, time.Millisecond)
}

// pass asks the leader for a node that cannot reach it; done is called once. What
// cannot be passed on is led nowhere: the one that asks tries again.
func (a *Asker) pass(m *actorv1.MetaAsk, done func(*actorv1.MetaAnswer)) {
	to := a.elsewhere()
	a.mu.Lock()
	ok := to != "" && len(a.pending) < maxPending && a.life.Err() == nil
	if ok {
		a.work.Add(1)
	}
	a.mu.Unlock()
	if !ok {
		done(redirect(""))
		return
	}
	go func() {
		defer a.work.Done()
		wait := min(time.Duration(m.GetRelayMs())*time.Millisecond, defaultTime)
		ctx, cancel := context.WithTimeout(a.life, wait)
		defer cancel()
		answer, err := a.attempt(ctx, to, &question{MetaAsk: m, wait: wait})
		var detail *actors.Refusal
		switch {
		case errors.As(err, &detail):
			answer = &actorv1.MetaAnswer{Error: detail.Detail}
		case answer == nil:
			answer = redirect("")
		}
		done(answer)
	}()
}
