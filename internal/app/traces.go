package app

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	actorv1 "github.com/rouse-im/rouse/api/rouse/actor/v1"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/internal/gateway"
	"github.com/rouse-im/rouse/internal/trace"
)

const defaultTraces = 50 // recipients of a message, when not asked for a number

// findTraces names the users who can tell of a message or a push: each node looks
// in the shards that it leads.
func (n *Node) findTraces(ctx context.Context, app string, r *rousev1.TraceRequest, _ time.Time) ([]gateway.Recipient, error) {
	search := &actorv1.TraceSearch{
		App: app, MessageId: r.GetMessageId(), PushId: strings.ToLower(r.GetPushId()), Limit: cmp.Or(r.GetLimit(), defaultTraces),
	}
	var (
		mu    sync.Mutex
		all   []gateway.Recipient
		far   bool
		fault error
		asked sync.WaitGroup
	)
	ctx, found := context.WithCancel(ctx)
	defer found()
	take := func(f *actorv1.TraceFound, err error) {
		mu.Lock()
		defer mu.Unlock()
		far = far || f.GetFar()
		if err != nil && ctx.Err() == nil {
			fault = err
		}
		for _, who := range f.GetRecipients() {
			if len(all) < int(search.GetLimit()) {
				all = append(all, gateway.Recipient{User: who.GetUser(), Message: who.GetMessage()})
			}
		}
		if len(all) == int(search.GetLimit()) || search.GetPushId() != "" && len(all) > 0 {
			found()
		}
	}
	asked.Go(func() { take(n.searchTraces(ctx, search)) })
	for id, m := range *n.peers.alive.Load() {
		if id != n.self {
			asked.Go(func() { take(n.meta.Trace(ctx, m.Addresses.GetActors(), search)) })
		}
	}
	asked.Wait()
	switch {
	case len(all) > 0:
		return all, nil
	case far:
		return nil, gateway.ErrFar
	}
	return nil, fault
}

// searchTraces looks in the shards that this node leads.
func (n *Node) searchTraces(ctx context.Context, s *actorv1.TraceSearch) (*actorv1.TraceFound, error) {
	f := trace.Finder{Store: n.store, Leads: n.leadsShard}
	all, now := &actorv1.TraceFound{}, time.Now()
	if id := s.GetPushId(); id != "" {
		found, ok, err := f.Push(ctx, s.GetApp(), id, now)
		if errors.Is(err, trace.ErrFar) {
			all.Far, err = true, nil
		}
		if ok {
			all.Recipients = append(all.Recipients, &actorv1.TraceRecipient{User: found.User, Message: found.Message})
		}
		return all, err
	}
	users, err := f.Message(ctx, s.GetApp(), s.GetMessageId(), int(s.GetLimit()), now)
	for _, user := range users {
		all.Recipients = append(all.Recipients, &actorv1.TraceRecipient{User: user, Message: s.GetMessageId()})
	}
	return all, err
}
