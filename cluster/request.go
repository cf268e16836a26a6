package cluster

import (
	"context"
	"errors"
	"fmt"

	"github.com/asynkron/protoactor-go/actor"
	protocluster "github.com/asynkron/protoactor-go/cluster"
	"google.golang.org/protobuf/proto"
)

// errFuture: protoactor's futures of requests share options between callers, and
// cannot tell why a request failed.
var errFuture = errors.New("cluster: futures of requests to users are not offered; use Request, in a goroutine of its own if need be")

// requests is protoactor's way to ask a virtual actor. The one deadline is the
// call's timeout; attempts within it are the router's, which is handed in.
type requests struct {
	c   *protocluster.Cluster
	ask func(ctx context.Context, app, user string, m proto.Message) (proto.Message, error)
}

var _ protocluster.Context = (*requests)(nil)

// Request asks the user that Identity names. Of the options only the timeout counts.
func (r *requests) Request(identity, kind string, message any, opts ...protocluster.GrainCallOption) (any, error) {
	if kind != UserKind {
		return nil, fmt.Errorf("cluster: there are no actors of kind %q, only of %q", kind, UserKind)
	}
	app, user, err := ParseIdentity(identity)
	if err != nil {
		return nil, err
	}
	m, ok := message.(proto.Message)
	if !ok {
		return nil, fmt.Errorf("cluster: a request must be a protobuf message, not %T", message)
	}
	call := protocluster.NewGrainCallOptions(r.c)
	for _, o := range opts {
		o(call)
	}
	ctx, cancel := context.WithTimeout(context.Background(), call.Timeout)
	defer cancel()
	answer, err := r.ask(ctx, app, user, m)
	if err != nil {
		return nil, err
	}
	return answer, nil
}

// RequestFuture always fails.
func (r *requests) RequestFuture(string, string, any, ...protocluster.GrainCallOption) (*actor.Future, error) {
	return nil, errFuture
}
