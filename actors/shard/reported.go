package shard

import (
	"github.com/asynkron/protoactor-go/actor"

	"github.com/rouse-im/rouse/actors"
	"github.com/rouse-im/rouse/actors/user"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/storage"
)

// onReported hands a receipt to its user; the shard of the token finds out who
// that is. A token that nobody has is STALE. Both are answers that no commit
// follows upon here. Receipts yield to all else: who sends them can wait.
func (a *Actor) onReported(c actor.Context, m *user.Reported) {
	if a.term == 0 && a.elsewhere(m) {
		return
	}
	if a.waiting() >= reportedBound || !a.open() {
		m.Reject()
		return
	}
	if m.User != "" {
		a.toUser(c, userKey{m.App, m.User}, m)
		return
	}
	owner, err := a.owner(storage.AppendTokenKey(nil, a.id, storage.Sum(m.Sum)))
	if err != nil {
		a.o.Logger.Error("owner of a token cannot be read; its receipt is refused", "shard", a.id, "error", err)
		m.Reject()
		return
	}
	a.confirm(c, &user.Step{Done: func(r actors.Reply) {
		switch {
		case r.Err != nil:
			m.Done(r)
		case owner == nil:
			m.Done(actors.Reply{Status: rousev1.ItemStatus_ITEM_STATUS_STALE})
		default:
			m.User = owner.User
			a.set.send(a.o.User.Store.ShardOf(m.App, m.User), m)
		}
	}})
}
