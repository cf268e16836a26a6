package shard

import (
	"errors"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/rouse-im/rouse/actors/user"
	"github.com/rouse-im/rouse/internal/plant"
	"github.com/rouse-im/rouse/storage"
)

// restore starts the users with pushes that have not ended, takes up the intents
// that were not acknowledged, and knows again which users were just erased.
func (a *Actor) restore(c actor.Context) error {
	if err := errors.Join(a.loadIntents(), a.loadErasures()); err != nil {
		return err
	}
	outbox := map[userKey][]user.Entry{}
	var order []userKey
	var bad error
	err := a.o.User.Store.Scan(storage.OutboxRange(a.id), func(key, value []byte) bool {
		k, err := storage.ParseOutboxKey(key)
		if err != nil {
			bad = err
			return false
		}
		u := userKey{k.App, k.User}
		if outbox[u] == nil {
			order = append(order, u)
		}
		outbox[u] = append(outbox[u], user.Entry{Message: k.Message, Value: string(value)})
		return true
	})
	if err == nil {
		err = bad
	}
	if err != nil {
		return err
	}
	if plant.On(plant.OutboxNotDispatched) {
		return nil
	}
	for _, k := range order {
		a.activate(c, k, outbox[k])
	}
	return nil
}

// reread has all users be what the store says they are. Nothing may be under way.
func (a *Actor) reread(c actor.Context) {
	a.stopUsers(c)
	clear(a.intents)
	clear(a.owners)
	a.epoch++
	a.unread = a.restore(c)
	if err := a.unread; err != nil {
		a.o.Logger.Error("the store cannot be read; the shard tries again in a second", "shard", a.id, "error", err)
	}
}

func (a *Actor) stopUsers(c actor.Context) {
	for _, u := range a.users {
		c.ActorSystem().Root.Stop(u.pid)
		a.o.Metrics.active.Dec()
	}
	clear(a.users)
	clear(a.due)
}
