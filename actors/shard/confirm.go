package shard

import (
	"errors"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/rouse-im/rouse/actors/user"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/storage"
)

// An answer that no commit follows upon says what this node remembers, and a node
// that was cut off or stood still may not know yet that another one leads. So it
// leaves when it is confirmed that this node led the shard after it was made: all
// reads, and of commands those that change nothing, such as a repeat. Decisions
// that are committed need no more than that: the commit confirms them.
//
// One confirmation of a shard is under way at a time; answers that are ready
// meanwhile wait for the next one together. They wait beside the queue of steps,
// so that neither holds the other up.
type unconfirmed struct {
	asked, next []*user.Step
	round       uint64 // of the last confirmation that was asked for
	began       began  // of that one
}

func (u *unconfirmed) n() int { return len(u.asked) + len(u.next) }

// confirmed ends a round.
type confirmed struct {
	round uint64
	err   error
}

// Owed: one round is under way at a time.
func (*confirmed) Owed() {}

// alone: no other node can lead the shard.
func (a *Actor) alone() bool { return a.o.Confirm == nil || a.o.Alone(a.id, a.term) }

// confirm answers a step that changes nothing, now or when that is confirmed.
func (a *Actor) confirm(c actor.Context, s *user.Step) {
	if a.alone() {
		s.Done(s.Reply)
		return
	}
	a.unsure.next = append(a.unsure.next, s)
	a.ask(c)
}

func (a *Actor) ask(c actor.Context) {
	u := &a.unsure
	if len(u.asked) > 0 || len(u.next) == 0 {
		return
	}
	u.asked, u.next = u.next, nil
	u.round++
	u.began = began{at: a.o.User.Now()}
	root, self, round := c.ActorSystem().Root, c.Self(), u.round
	a.o.Confirm(a.id, a.term, func(err error) { root.Send(self, &confirmed{round, err}) })
}

func (a *Actor) onConfirmed(c actor.Context, m *confirmed) {
	u := &a.unsure
	if m.round != u.round {
		return
	}
	asked := u.asked
	u.asked = nil
	for _, s := range asked {
		switch {
		case m.err == nil:
			s.Done(s.Reply)
		case errors.Is(m.err, storage.ErrNotLeader):
			s.Return(unsure(m.err))
		case errors.Is(m.err, storage.ErrBusy):
			s.Fail(&rousev1.Error{
				Code: rousev1.ErrorCode_ERROR_CODE_OVERLOADED, Temporary: true,
				Message: "too many answers wait until it is confirmed that this node leads their shards; send the same item again later",
			})
		default:
			s.Fail(unsure(m.err))
		}
	}
	a.ask(c)
	a.checkLeft(c)
	a.checkDrained()
}

// disclaim ends what waits for a confirmation when there will be none: the next
// leader has to be asked.
func (a *Actor) disclaim(err error) {
	u := &a.unsure
	all := append(u.asked, u.next...)
	*u = unconfirmed{round: u.round + 1}
	for _, s := range all {
		s.Return(unsure(err))
	}
}

func unsure(err error) *rousev1.Error {
	return &rousev1.Error{
		Code: rousev1.ErrorCode_ERROR_CODE_UNAVAILABLE, Temporary: true,
		Message: "it could not be confirmed that this node still leads the user's shard (" + err.Error() + "); send the same item again",
	}
}
