// Package direct lets a trusted IM node that is written in Go ask the actors of
// users themselves, without a gateway between: one hop less, and no batch to fill.
//
// It is for few and special cases; package client is the way in for all others.
// The IM node must be reachable by all nodes at the address that it advertises, as
// answers come over connections of their own. It shows a certificate that names
// its app (rouse certs im-node), and can ask for users of that app alone. There is
// no API key, so no rate is kept to and no call is counted for one; commands are
// checked here and not again at the node. It holds no lease: presence events need
// the incarnation of an Ingest stream of the same IM node that is open meanwhile.
package direct

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"buf.build/go/protovalidate"
	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"github.com/rouse-im/rouse/actors"
	"github.com/rouse-im/rouse/actors/route"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/cluster/certs"
	"github.com/rouse-im/rouse/cluster/transport"
)

// Options of Dial.
type Options struct {
	// Dir is what rouse certs im-node has written.
	Dir string
	// Seeds are host:port of the actors of one or more nodes.
	Seeds []string
	// Listen is where answers are taken, host:port; Advertise is how the nodes reach
	// it, empty = as it listens.
	Listen, Advertise string
	Logger            *slog.Logger // nil = none
}

// Client of one IM node. Its methods may be called from anywhere.
type Client struct {
	o       Options
	app, im string
	sys     *actor.ActorSystem
	remote  *transport.Remote
	counts  chan uint16   // numbers of shards that nodes answered
	turn    chan struct{} // has an entry while somebody learns it
	router  atomic.Pointer[route.Router]
}

// Dial begins to take answers; a node is connected to when it is first asked.
func Dial(o Options) (*Client, error) {
	if len(o.Seeds) == 0 {
		return nil, errors.New("direct: Seeds must be given")
	}
	id, err := certs.LoadIMNode(o.Dir)
	if err != nil {
		return nil, err
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	// The actor library's own log holds messages.
	sys := actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return slog.New(slog.DiscardHandler) }))
	c := &Client{o: o, app: id.Self().App, im: id.Self().IM, sys: sys, counts: make(chan uint16, 1), turn: make(chan struct{}, 1)}
	c.remote, err = transport.Start(sys, transport.Options{
		Listen: o.Listen, Advertise: o.Advertise, Identity: id, Logger: o.Logger,
		Target: func(id string) bool { return id == processName || id == countName },
	})
	if err != nil {
		sys.Shutdown()
		return nil, err
	}
	return c, nil
}

const processName = "route"

// App is the one of the certificate.
func (c *Client) App() string { return c.app }

// Close ends what is under way as UNAVAILABLE, and does not wait for calls of Do.
func (c *Client) Close() {
	if r := c.router.Load(); r != nil {
		r.Close()
	}
	c.remote.Close()
	c.sys.Shutdown()
}

// Command is one event or user-scoped request of rouse.v1, for one user.
type Command struct {
	User string // 1-128 bytes
	// Message is an event, like a MessageEvent, or a request, like a
	// BindTokenRequest. Of an event with recipients the User is the one it is for.
	Message proto.Message
	// Incarnation of the IM node's open Ingest stream; for presence events.
	Incarnation uint64
}

// Do has a command done and waits for the answer: what became of an event, or the
// response of a request. A command without an answer at the end of ctx, after 5 s
// at the latest, may have been done; all can be repeated. An error of the node is
// a *Error.
func (c *Client) Do(ctx context.Context, command Command) (rousev1.ItemStatus, proto.Message, error) {
	if n := len(command.User); n == 0 || n > 128 || command.Message == nil {
		return 0, nil, fmt.Errorf("direct: a command needs a message and a user of 1-128 bytes, not %d", n)
	}
	if err := protovalidate.Validate(command.Message); err != nil {
		return 0, nil, fmt.Errorf("direct: %w", err)
	}
	deadline, _ := ctx.Deadline()
	if standard := time.Now().Add(5 * time.Second); deadline.IsZero() || deadline.After(standard) {
		deadline = standard
	}
	router, err := c.find(ctx, deadline)
	if err != nil {
		return 0, nil, err
	}
	replies := make(chan actors.Reply, 1)
	router.Route(&actors.Envelope{
		App: c.app, User: command.User, Node: actors.Node{Name: c.im, Incarnation: command.Incarnation},
		Command: command.Message, Deadline: deadline, Done: func(r actors.Reply) { replies <- r },
	})
	select {
	case <-ctx.Done():
		return 0, nil, fmt.Errorf("direct: no answer yet: %w", ctx.Err())
	case r := <-replies:
		if r.Err != nil {
			return r.Status, nil, &Error{r.Err.GetCode(), r.Err.GetMessage(), r.Err.GetTemporary()}
		}
		return r.Status, r.Response, nil
	}
}

// Error is a refusal. Nothing was changed unless its code is UNAVAILABLE or
// DEADLINE, when that is not known; a temporary one is worth a repeat.
type Error struct {
	Code      rousev1.ErrorCode
	Message   string
	Temporary bool
}

func (e *Error) Error() string { return fmt.Sprintf("direct: %s: %s", e.Code, e.Message) }
