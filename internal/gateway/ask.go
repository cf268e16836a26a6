package gateway

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/rouse-im/rouse/actors"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

// userRequest is a request about one user of the caller's app.
type userRequest interface {
	proto.Message
	GetUserId() string
}

// ask brings a request to the user's actor and waits for the answer.
func ask[R proto.Message](ctx context.Context, g *Gateway, request userRequest) (response R, err error) {
	return askUser[R](ctx, g, request.GetUserId(), request)
}

// askUser is ask for a user whom the request does not name itself.
func askUser[R proto.Message](ctx context.Context, g *Gateway, user string, request proto.Message) (response R, err error) {
	who := callerOf(ctx)
	app, err := who.scope("")
	if err != nil {
		return response, err
	}
	ctx, cancel := context.WithTimeout(ctx, g.AnswerTime)
	defer cancel()
	replies := make(chan actors.Reply, 1) // one value: the actor's turn never waits
	g.Router(&actors.Envelope{
		App: app, User: user, Command: request, Op: numberOf(who.repeat, app, user, request),
		Done: func(r actors.Reply) { replies <- r },
	})
	select {
	case <-ctx.Done():
		return response, &refusal{g.deadline}
	case r := <-replies:
		if r.Err != nil {
			return response, &refusal{r.Err}
		}
		response, ok := r.Response.(R)
		if !ok {
			return response, refuse(rousev1.ErrorCode_ERROR_CODE_INTERNAL, "the user's actor gave no answer to %s", request.ProtoReflect().Descriptor().Name())
		}
		return response, nil
	}
}

// numberOf an attempt is the same in all that have one idempotency key, app, user and
// kind of request; 0 = there is no key. It is a digest that nobody can aim, as a shard
// knows erasures of all apps by their numbers. None of its parts has a byte of 0.
func numberOf(key, app, user string, request proto.Message) uint64 {
	if key == "" {
		return 0
	}
	kind := string(request.ProtoReflect().Descriptor().FullName())
	sum := sha256.Sum256([]byte(strings.Join([]string{kind, app, user, key}, "\x00")))
	return binary.BigEndian.Uint64(sum[:]) | 1
}
