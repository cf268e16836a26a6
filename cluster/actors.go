package cluster

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	protocluster "github.com/asynkron/protoactor-go/cluster"
	protoremote "github.com/asynkron/protoactor-go/remote"
	"google.golang.org/protobuf/proto"
)

// requestTimeout is used when neither the call nor the options name one.
const requestTimeout = 5 * time.Second

// ActorsOptions say how users are found and asked.
type ActorsOptions struct {
	Membership *Membership
	// Where says which shard a user has and at which address of actors it is led,
	// as far as is known. It must not block.
	Where func(app, user string) (shard uint16, address string, ok bool)
	// Ask brings a message to a user and waits for the answer until ctx ends; how
	// often it tries is its own matter.
	Ask func(ctx context.Context, app, user string, m proto.Message) (proto.Message, error)
	// Timeout of a request that names none; 0 = 5 s.
	Timeout time.Duration
	// Client systems are known to nobody.
	Client bool
}

// Actors is protoactor's cluster with our parts in it: Provider, Lookup and the
// way of requests. protoactor's own gossip, placement and pubsub never start,
// which is why its StartMember is not what starts it: that starts them, and a
// second remote.
type Actors struct {
	cluster  *protocluster.Cluster
	provider *Provider
	once     sync.Once
}

// StartActors makes sys a part of the cluster. The system must have its address:
// a transport for its messages is started before and closed afterwards by who
// made it. Close is the only way to end it; protoactor's own Shutdown of the
// cluster must not be called.
func StartActors(sys *actor.ActorSystem, o ActorsOptions) (*Actors, error) {
	if o.Membership == nil || o.Where == nil || o.Ask == nil {
		return nil, errors.New("cluster: Membership, Where and Ask must be given")
	}
	if o.Timeout == 0 {
		o.Timeout = requestTimeout
	}
	host, port, err := sys.GetHostPort()
	if err != nil || port <= 0 {
		return nil, fmt.Errorf("cluster: the actor system has no address yet (%q); start its transport first", sys.Address())
	}
	provider, lookup := NewProvider(o.Membership), &Lookup{where: o.Where}
	// This remote is never started: protoactor keeps in it who was given up. One
	// of its own is touched by one goroutine, as its list needs it.
	config := protocluster.Configure(o.Membership.o.Label, provider, lookup, protoremote.Configure(host, port),
		protocluster.WithRequestTimeout(o.Timeout),
		protocluster.WithClusterContextProducer(func(c *protocluster.Cluster) protocluster.Context {
			return &requests{c: c, ask: o.Ask}
		}))
	config.GossipInterval = 24 * time.Hour // should somebody start it after all
	c := protocluster.New(sys, config)
	c.Remote = protoremote.NewRemote(sys, config.RemoteConfig)
	c.IdentityLookup = lookup
	start := provider.StartMember
	if o.Client {
		start = provider.StartClient
	}
	if err := start(c); err != nil {
		return nil, err
	}
	return &Actors{cluster: c, provider: provider}, nil
}

// Cluster is what protoactor's users know: Get, Request and the topology events
// of its system.
func (a *Actors) Cluster() *protocluster.Cluster { return a.cluster }

// Close ends what StartActors began; a second one does nothing. Requests still
// work as far as Ask does.
func (a *Actors) Close() {
	a.once.Do(func() { _ = a.provider.Shutdown(true) }) // never fails
}
