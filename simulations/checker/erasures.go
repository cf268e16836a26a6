package checker

import (
	"slices"

	"github.com/rouse-im/rouse/simulations"
)

// erasures of users: each was carried out between two moments, or maybe, when no
// answer is known, at any time after the first.
type erasures map[string][]erasure

type erasure struct{ sent, answered simulations.Offset }

func (h *History) erasures() erasures {
	all := erasures{}
	for _, a := range h.Acks {
		e := h.event[a.Event]
		if e == nil || e.Kind != simulations.Erase || a.Status == "refused" {
			continue
		}
		x := erasure{a.Sent, a.Answered}
		if a.Status != "accepted" {
			x.answered = endOfTime
		}
		all[e.User] = append(all[e.User], x)
	}
	return all
}

// maybe tells whether what was told of a user at a time may be forgotten: he was
// erased later, or while it was under way.
func (x erasures) maybe(user string, at simulations.Offset) bool {
	return slices.ContainsFunc(x[user], func(e erasure) bool { return at <= e.answered })
}

// excuses tells of pushes whether their outcome may be forgotten: somebody who bound
// the token was erased later, or just before.
func (h *History) excuses() func(p *Push) bool {
	forgotten, binders := h.erasures(), h.binders()
	return func(p *Push) bool {
		return slices.ContainsFunc(binders[[2]string{p.Notifier, p.Token}], func(user string) bool {
			return forgotten.maybe(user, p.At-h.handover())
		})
	}
}

// binders are the users who bound a token, by notifier and token.
func (h *History) binders() map[[2]string][]string {
	all := map[[2]string][]string{}
	for _, e := range h.Events {
		if e.Kind == simulations.Bind {
			t := [2]string{e.Notifier, e.Token}
			all[t] = append(all[t], e.User)
		}
	}
	return all
}
