package shard

import (
	"errors"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/rouse-im/rouse/actors/user"
	"github.com/rouse-im/rouse/internal/failpoint"
	"github.com/rouse-im/rouse/internal/plant"
	"github.com/rouse-im/rouse/storage"
)

func (a *Actor) onStep(c actor.Context, s *user.Step) {
	if s.Epoch != a.epoch && !plant.On(plant.EpochNotChecked) {
		s.Return(unavailable(errEpoch))
		return
	}
	if s.Known {
		s.Cell.Unsure.Add(-1)
		a.confirm(c, s)
		return
	}
	k := userKey{s.App, s.User}
	if s.SetsDue {
		if s.Due.IsZero() {
			delete(a.due, k)
		} else {
			a.due[k] = s.Due
		}
	}
	a.intend(s)
	a.noteErasure(s)
	if plant.On(plant.WebhookBeforeCommit) && s.Tells && a.o.User.Told != nil {
		a.o.User.Told(s.App)
	}
	a.enqueue(c, s)
}

// enqueue puts a step behind the others; one commit is under way at a time, so
// that steps become durable in order.
func (a *Actor) enqueue(c actor.Context, s *user.Step) {
	a.queue = append(a.queue, s)
	if a.inFlight == nil {
		a.flush(c)
	}
}

// flush starts a commit of what is queued, up to the bounds of a batch.
func (a *Actor) flush(c actor.Context) {
	for a.inFlight == nil && len(a.queue) > 0 {
		n, ms := a.batch()
		steps := a.queue[:n:n]
		a.queue = a.queue[n:]
		if len(a.queue) == 0 {
			a.queue = nil
		}
		if len(ms) == 0 {
			a.finish(c, steps, false) // nothing to write, nothing before it to wait for
			continue
		}
		a.inFlight, a.began = steps, began{at: a.o.User.Now()}
		a.o.Metrics.batch.Observe(float64(len(ms)))
		failpoint.Hit("shard/before-commit")
		root, self, epoch := c.ActorSystem().Root, c.Self(), a.epoch
		a.o.Propose(a.id, a.term, ms, func(err error) { root.Send(self, &committed{epoch: epoch, err: err}) })
	}
}

// batch is what the next commit takes: n steps and their mutations.
func (a *Actor) batch() (n int, ms []storage.Mutation) {
	if len(a.queue) == 1 {
		return 1, a.queue[0].Mutations
	}
	records, size := 0, 0
	for _, s := range a.queue {
		for i := range s.Mutations {
			size += len(s.Mutations[i].Key) + len(s.Mutations[i].Value)
		}
		if n > 0 && (records+len(s.Mutations) > batchRecords || size > batchBytes) {
			break
		}
		records += len(s.Mutations)
		n++
	}
	ms = make([]storage.Mutation, 0, records)
	for _, s := range a.queue[:n] {
		ms = append(ms, s.Mutations...)
	}
	return n, ms
}

func (a *Actor) onCommitted(c actor.Context, m *committed) {
	if m.epoch != a.epoch {
		return
	}
	switch {
	case m.err == nil:
		steps := a.inFlight
		a.inFlight, a.failed = nil, 0
		failpoint.Hit("shard/after-commit")
		a.finish(c, steps, true)
		failpoint.Hit("shard/after-effects")
	case errors.Is(m.err, storage.ErrDropped):
		a.o.Logger.Warn("the log dropped a commit; what was asked of the shard's users goes back", "shard", a.id, "term", a.term, "error", m.err)
		a.failed++ // most likely because the leadership is being given away
		a.pause(c, func(s *user.Step) { s.Return(unavailable(m.err)) })
	case unwritten(m.err):
		a.fail(c, m.err)
	default:
		a.o.Logger.Warn("a commit's fate is open; the shard waits for the next leadership", "shard", a.id, "term", a.term, "users", len(a.users), "error", m.err)
		a.rest(c, m.err)
		return
	}
	if a.leave != nil && a.leave.over {
		a.resume(c)
	}
	a.flush(c)
	a.checkLeft(c)
	a.checkDrained()
}

// unwritten tells that the entry was not written and never will be, so that the
// store can be read again under the same leadership.
func unwritten(err error) bool {
	for _, e := range [...]error{storage.ErrBusy, storage.ErrTooLarge, storage.ErrClosed} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// finish lets go what waited for the commit, in the order of the steps. Without
// one, their answers are to be confirmed.
func (a *Actor) finish(c actor.Context, steps []*user.Step, committed bool) {
	for _, s := range steps {
		if s.Cell != nil {
			s.Cell.Committed.Store(s.Seq)
		}
		for _, t := range s.Tell {
			switch {
			case t.Dispatch != nil && a.leave != nil:
				t.Lane.Release() // whoever leads next finds it in the outbox
			case t.Dispatch != nil:
				t.Lane.Dispatch(t.Dispatch)
			case t.Cancel != nil:
				t.Lane.Cancel(t.Cancel)
			default:
				c.Send(c.Self(), t.Ended)
			}
		}
		if s.Erased && a.alone() {
			a.set.wipe(s.Mutations) // at once, as no log tells of it after a restart; else replicas do it
		}
		a.startIntents(s)
		if s.Tells && a.o.User.Told != nil && !plant.On(plant.WebhookBeforeCommit) {
			a.o.User.Told(s.App)
		}
		switch {
		case s.Done == nil:
		case committed:
			s.Done(s.Reply)
		default:
			s.Tell = nil // done
			a.confirm(c, s)
		}
	}
}

// fail makes the failed steps, and all decided on top of them, not have
// happened: callers are told to try again, users are read anew; at once, but for
// commits that fail one after the other.
func (a *Actor) fail(c actor.Context, err error) {
	a.o.Logger.Error("commit failed; the shard's users are read anew", "shard", a.id, "users", len(a.users), "error", err)
	if a.failed++; a.failed > 1 {
		a.pause(c, func(s *user.Step) { s.Fail(unavailable(err)) })
		return
	}
	steps := append(a.inFlight, a.queue...)
	a.inFlight, a.queue = nil, nil
	a.reread(c)
	for _, s := range steps {
		s.Fail(unavailable(err))
	}
}

type shardError string

func (e shardError) Error() string { return string(e) }

const (
	errEpoch = shardError("an earlier commit failed")
	errOver  = shardError("this node does not lead the user's shard any more")
)
