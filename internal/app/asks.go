package app

import (
	"context"
	"errors"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/rouse-im/rouse/actors"
	"github.com/rouse-im/rouse/actors/route"
	actorv1 "github.com/rouse-im/rouse/api/rouse/actor/v1"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/internal/meta"
	"github.com/rouse-im/rouse/storage"
)

// startMeta lets this node ask the leader of the meta group, and answer when it
// is asked itself.
func (n *Node) startMeta(sys *actor.ActorSystem) (err error) {
	n.meta, err = meta.Start(meta.Options{
		System: sys, Leads: n.leadsMeta, Logger: n.log, Metrics: n.registry,
		Leader: func() string {
			address, _, _ := n.leaderOf(storage.MetaShard)
			return address
		},
		Cut: n.isCut, Relays: func() []string { return n.bridges(storage.MetaShard) },
		Applied: func() uint64 {
			s, err := n.engine.Status(storage.MetaShard)
			if err != nil {
				return 0
			}
			return s.Applied
		},
		Handlers: meta.Handlers{
			Admin: n.execute, Cluster: n.orders.Execute, Admit: n.orders.Admit, Shares: n.shareLead.Ask, Quotas: n.quotas, Now: n.o.Now, Leases: n.leases, Report: n.report, Trace: n.searchTraces, Sending: n.sendingHere,
		},
	})
	if err != nil {
		return err
	}
	n.later("questions to the meta group", func(context.Context) error { n.meta.Stop(); return nil })
	return nil
}

func (n *Node) leadsMeta() bool {
	_, ok := n.engine.Leads(storage.MetaShard)
	return ok && n.leases.Leads()
}

// leadsShard tells whether a shard works on this node.
func (n *Node) leadsShard(shard uint16) bool {
	shards := n.working.Load()
	return shards != nil && shards.Leads(shard)
}

// startRouter opens the way to the shards of other nodes; nil if there are none.
func (n *Node) startRouter(sys *actor.ActorSystem) (*route.Router, error) {
	if !n.clustered() {
		return nil, nil
	}
	router, err := route.New(route.Options{
		System: sys, Shards: n.store.Shards(), ShardOf: n.store.ShardOf, Local: n.leadsShard, Name: routeName,
		Deliver: func(e *actors.Envelope) { n.shards.Route(e) }, Leader: n.leaderOf, Cut: n.isCut, Relays: n.bridges, Logger: n.log,
	})
	if err != nil {
		return nil, err
	}
	n.router.Store(router)
	n.later("router", func(context.Context) error { router.Close(); return nil })
	return router, n.registry.Register(router)
}

// route brings a command to its user, wherever he is.
func (n *Node) route(e *actors.Envelope) {
	if r := n.router.Load(); r != nil {
		r.Route(e)
		return
	}
	n.shards.Route(e)
}

// execute carries out a call of an administrator that another node has admitted.
func (n *Node) execute(ctx context.Context, call *actorv1.AdminCall) ([]byte, error) {
	g := n.gateway.Load()
	if g == nil {
		return nil, storage.ErrNotLeader // it starts, or stops
	}
	response, err := g.Execute(ctx, call)
	if err == nil || certainlyNot(err) {
		return response, err
	}
	return nil, &actors.Refusal{Detail: g.Complaint(ctx, err)}
}

func certainlyNot(err error) bool {
	return errors.Is(err, storage.ErrNotLeader) || errors.Is(err, storage.ErrDropped)
}

// isRefusal tells whether the cluster will say the same next time.
func isRefusal(err error) bool {
	var r *actors.Refusal
	return errors.As(err, &r) && r.Detail.GetCode() == rousev1.ErrorCode_ERROR_CODE_INVALID_ARGUMENT
}
