package app

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"time"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/internal/gateway"
	"github.com/rouse-im/rouse/internal/trace"
)

const defaultTraces = 50 // recipients of a message, when not asked for a number

// findTraces names the users who can tell of a message or a push.
func (n *Node) findTraces(ctx context.Context, app string, r *rousev1.TraceRequest, now time.Time) (all []gateway.Recipient, err error) {
	f := trace.Finder{Store: n.store}
	if id := r.GetPushId(); id != "" {
		found, ok, err := f.Push(ctx, app, strings.ToLower(id), now)
		if errors.Is(err, trace.ErrFar) {
			err = gateway.ErrFar
		}
		if !ok || err != nil {
			return nil, err
		}
		return []gateway.Recipient{{User: found.User, Message: found.Message}}, nil
	}
	users, err := f.Message(ctx, app, r.GetMessageId(), cmp.Or(int(r.GetLimit()), defaultTraces), now)
	for _, user := range users {
		all = append(all, gateway.Recipient{User: user, Message: r.GetMessageId()})
	}
	return all, err
}
