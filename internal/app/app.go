// Package app builds, starts and stops one node. The server, the demo, the
// benchmarks and the tests all run the same Start and Stop; it is the only
// package that knows all others.
package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/rouse-im/rouse/actors"
	"github.com/rouse-im/rouse/actors/lane"
	"github.com/rouse-im/rouse/actors/route"
	"github.com/rouse-im/rouse/actors/shard"
	"github.com/rouse-im/rouse/actors/user"
	"github.com/rouse-im/rouse/actors/user/quiet"
	actorv1 "github.com/rouse-im/rouse/api/rouse/actor/v1"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/cluster"
	"github.com/rouse-im/rouse/cluster/link"
	"github.com/rouse-im/rouse/cluster/placement"
	"github.com/rouse-im/rouse/cluster/replica"
	"github.com/rouse-im/rouse/cluster/roster"
	"github.com/rouse-im/rouse/internal/catalog"
	"github.com/rouse-im/rouse/internal/config"
	"github.com/rouse-im/rouse/internal/failpoint"
	"github.com/rouse-im/rouse/internal/gateway"
	"github.com/rouse-im/rouse/internal/lease"
	"github.com/rouse-im/rouse/internal/meta"
	"github.com/rouse-im/rouse/internal/quota"
	"github.com/rouse-im/rouse/internal/steward"
	"github.com/rouse-im/rouse/internal/webhook"
	"github.com/rouse-im/rouse/storage"
	"github.com/rouse-im/rouse/storage/seal"
	"github.com/rouse-im/rouse/vendors"
)

// OperatorKeyFile, in the data directory, holds the operator key that the
// first start makes.
const OperatorKeyFile = "operator.key"

// Options of a node. Config must be valid.
type Options struct {
	Config config.Config
	Logger *slog.Logger
	// FS holds the store in place of the operating system's files; nil = those.
	FS vfs.FS
	// BeforeSync is storage.Options.BeforeSync.
	BeforeSync func()
	// Network replaces sockets between nodes; nil = those, if the configuration
	// has a cluster.
	Network *Network
	// Vendors replaces the ways to vendors; nil = TCP, to the servers that
	// credentials name.
	Vendors *Vendors
	// Led tells that this node leads a group in a term, or no longer; it is called
	// from the loop of the replicas and must not block. May be nil.
	Led func(group uint16, term uint64, leads bool)
	// Tick of replicas; 0 = replica's default.
	Tick time.Duration
	// Pace is how many times slower than in general nodes tell each other that they
	// live, and renew shares of rates; 0 = 1. It is for simulations of days.
	Pace int
	// FoundAnew lets a node with an empty store found a cluster though its directory
	// of secrets knows of another.
	FoundAnew bool
	// Headless opens no ports of gRPC and HTTP: commands come by Route.
	Headless bool
	// Version is what this build calls itself, for other nodes and operators.
	Version string
	// Now is the clock by which users are served and pushes sent; nil = time.Now.
	// What nodes do for each other, and clients of vendors, have time.Now.
	Now func() time.Time
}

// Node is one running server.
type Node struct {
	o        Options
	log      *slog.Logger
	registry *prometheus.Registry
	undo     []step          // in order of construction
	starting context.Context // ends when the start is given up
	ready    atomic.Bool

	teller    *webhook.Teller
	ring      *seal.Ring
	store     *storage.Store
	room      room
	hearing   hearing
	self      uint64 // Raft's id of this node
	engine    *replica.Engine
	link      atomic.Pointer[link.Link] // nil = there are no other nodes
	duties    *duties
	leases    *lease.Table
	roster    *roster.Roster
	peers     *peers
	meta      *meta.Asker
	router    atomic.Pointer[route.Router]
	planner   *placement.Planner
	orders    *steward.Orders
	shareLead *meta.ShareLeader
	conductor atomic.Pointer[placement.Conductor]
	catalog   *catalog.Catalog
	quotas    *quota.Book
	apps      *apps
	sharings  sync.Map // credentialName -> *sharing
	lanes     *lane.Directory
	shards    *shard.Set
	working   atomic.Pointer[shard.Set]       // shards, for those who may ask before they are there
	virtual   *cluster.Actors                 // nil if there are no other nodes
	gateway   atomic.Pointer[gateway.Gateway] // nil until it serves
	grpc      net.Addr
	http      net.Addr
	failed    chan error
}

// step is one part of the teardown.
type step struct {
	name string
	stop func(ctx context.Context) error
}

// Start builds a node and returns when it serves. What it had built is taken
// down again when it fails.
func Start(o Options) (*Node, error) { return StartContext(context.Background(), o) }

// StartContext is Start until ctx ends: a node of a cluster may have to wait for
// the others.
func StartContext(ctx context.Context, o Options) (_ *Node, err error) {
	loadBallast()
	if o.Now == nil {
		o.Now = time.Now
	}
	n := &Node{o: o, starting: ctx, log: o.Logger, registry: prometheus.NewRegistry(), failed: make(chan error, 1)}
	defer func() {
		if err != nil {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), o.Config.Shutdown.Timeout)
			defer cancel()
			err = errors.Join(err, n.Stop(ctx))
		}
	}()
	n.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	for _, build := range []func() error{n.openSecrets, n.openRing, n.openStore, n.openViews, n.openReplicas, n.startActors, n.startGateway} {
		if err := build(); err != nil {
			return nil, err
		}
	}
	n.ready.Store(true)
	return n, nil
}

// later adds to the teardown, which runs in reverse.
func (n *Node) later(name string, stop func(ctx context.Context) error) {
	n.undo = append(n.undo, step{name, stop})
}

// Stop ends the node: no new calls, what was accepted becomes durable, sends
// under way end; pushes that wait stay in the store. When ctx ends it cuts short.
func (n *Node) Stop(ctx context.Context) error {
	n.ready.Store(false)
	var errs []error
	for _, part := range slices.Backward(n.undo) {
		if err := part.stop(ctx); err != nil {
			errs = append(errs, fmt.Errorf("stopping %s: %w", part.name, err))
		}
	}
	n.undo = nil
	return errors.Join(errs...)
}

// Failed tells once why the node cannot go on: a port can no longer be served, or
// it was removed from its cluster.
func (n *Node) Failed() <-chan error { return n.failed }

// fail has Failed tell. It does not block.
func (n *Node) fail(err error) {
	select {
	case n.failed <- err:
	default:
	}
}

// GRPCAddr and HTTPAddr are where the node listens.
func (n *Node) GRPCAddr() string { return n.grpc.String() }

// HTTPAddr is where JSON calls, health and metrics are served.
func (n *Node) HTTPAddr() string { return n.http.String() }

// Registry holds the node's metrics.
func (n *Node) Registry() *prometheus.Registry { return n.registry }

// Virtual are all users as protoactor's virtual actors, see cluster.Identity; nil
// if the node is alone.
func (n *Node) Virtual() *cluster.Actors { return n.virtual }

// Lanes are the node's lanes, for benchmarks and the demo.
func (n *Node) Lanes() *lane.Directory { return n.lanes }

func (n *Node) openStore() error {
	c := n.o.Config
	store, err := storage.Open(c.Data.Dir, storage.Options{
		FS: n.o.FS, BeforeSync: n.o.BeforeSync, Shards: uint16(c.Data.Shards), CacheBytes: int64(c.Data.BlockCache), MemTableBytes: uint64(c.Data.Memtable),
		MinFreeBytes: uint64(c.Data.MinFreeDisk), Logger: n.log, Metrics: n.registry,
	})
	if err != nil {
		return err
	}
	n.store = store
	n.room.needed = uint64(c.Data.MinFreeDisk)
	n.later("store", func(context.Context) error {
		failpoint.Hit("app/before-close")
		return store.Close()
	})
	return nil
}

// openViews reads what the meta group holds, and follows it from then on: nothing
// may be committed before.
func (n *Node) openViews() (err error) {
	check := func(c *rousev1.Credential) error { return checkCredential(c, n.receiptURL("", c)) }
	if n.catalog, err = catalog.Open(catalog.Options{
		Store: n.store, Ring: n.ring, Check: check, Leads: n.metaTerm, Propose: n.proposeMeta, Logger: n.log,
	}); err != nil {
		return err
	}
	n.apps = &apps{catalog: n.catalog}
	if n.quotas, err = quota.Open(quota.Options{Store: n.store, Asks: &quota.Asks{
		Take:    func(m *actorv1.QuotaTake, done func(uint64, error)) { n.meta.Quotas().Take(m, done) },
		Return:  func(m *actorv1.QuotaReturn, done func(error)) { n.meta.Quotas().Return(m, done) },
		Exhaust: func(m *actorv1.QuotaExhaust) { n.meta.Quotas().Exhaust(m) },
	}, Propose: n.proposeMeta, Logger: n.log}); err != nil {
		return err
	}
	if n.leases, err = lease.Open(lease.Options{
		Store: n.store, TTL: n.o.Config.Lease.TTL, Propose: n.proposeMeta, Logger: n.log,
		Grant: func(app string, node actors.Node, done func(error)) { n.meta.Grant(app, node, done) },
		Renew: func(signs []lease.Sign, done func(error)) { n.meta.Renew(signs, done) },
	}); err != nil {
		return err
	}
	n.shareLead = meta.NewShareLeader(n.store, n.proposeMeta, n.confirmMeta, n.rateOf, max(1, n.o.Pace))
	n.roster, err = roster.Open(roster.Options{Store: n.store, Logger: n.log})
	return err
}

// metaTerm is the term in which this node leads the meta group.
func (n *Node) metaTerm() (term uint64, ok bool) { return n.engine.Leads(storage.MetaShard) }

// proposeMeta writes an entry of the meta group under a term of leadership.
func (n *Node) proposeMeta(term uint64, ms []storage.Mutation, done func(error)) {
	n.engine.Propose(storage.MetaShard, term, ms, done)
}

// confirmMeta asks the voters whether this node still leads the meta group in a term.
func (n *Node) confirmMeta(term uint64, done func(error)) {
	n.engine.Confirm(storage.MetaShard, term, done)
}

// leadMeta takes up what the leader of the meta group does for all nodes. Leases
// come last: with them the node answers for the group, see leadsMeta.
func (n *Node) leadMeta(term uint64) {
	n.planner.Wake()
	n.quotas.Lead(term, n.o.Now())
	if err := n.shareLead.Lead(term, time.Now()); err != nil {
		n.log.Error("rates cannot be shared; lanes with a rate pause", "error", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), admitTime)
	defer cancel()
	if err := n.found(ctx, term); err != nil {
		n.log.Error("the cluster cannot be founded; restart the server when the reason is gone", "error", err)
	}
	if _, err := n.catalog.Bootstrap(time.Now(), func(secret string) error {
		return keepSecret(filepath.Join(n.o.Config.Data.Dir, OperatorKeyFile), secret)
	}); err != nil {
		n.log.Error("the first operator key cannot be made; restart the server when the reason is gone", "error", err)
	}
	n.leases.Lead(term)
}

func (n *Node) loseMeta(uint64) {
	n.leases.Lose()
	n.quotas.Lose()
	n.shareLead.Lose()
}

func (n *Node) startActors() (err error) {
	sys := actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return slog.New(quieter{n.log.Handler()}) }))
	n.later("actor system", func(context.Context) error { sys.Shutdown(); return nil })
	if err := n.newPlacement(); err != nil {
		return err
	}
	for _, start := range []func(*actor.ActorSystem) error{n.openActors, n.startMeta, n.meet} {
		if err := start(sys); err != nil {
			return err
		}
	}
	router, err := n.startRouter(sys)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	var clocks sync.WaitGroup
	clocks.Go(func() { n.leases.Run(ctx) })
	n.later("leases", func(context.Context) error { cancel(); clocks.Wait(); return nil })
	n.startLanes(sys)
	clocks.Go(func() { n.catalog.Run(ctx) })
	n.teller, err = webhook.NewTeller(webhook.Options{
		Store: n.store, Caller: webhook.NewCaller(), Hooks: n.apps.hooks, Apps: n.apps.ids, Channel: n.apps.channel,
		Leads: n.leadsShard, Logger: n.log, Metrics: n.registry,
	})
	if err != nil {
		return err
	}
	n.later("webhooks", func(context.Context) error { n.teller.Close(); return nil })
	shards, err := shard.Start(sys, shard.Options{
		User: &user.Deps{
			Store: n.store, Ring: n.ring, Lanes: n.lanes, App: n.apps.get, Live: n.leases.Live, Told: n.teller.Wake, Logger: n.log,
			Mailbox: n.o.Config.Users.Mailbox, Zones: &quiet.Zones{}, Clock: n.o.Now,
		},
		Propose: n.engine.Propose, Confirm: n.engine.Confirm, Alone: n.engine.Alone, Router: router, Began: func(uint16) { n.teller.WakeAll() },
		IdleAfter: n.o.Config.Users.PassivateAfter, Mailbox: n.o.Config.Users.ShardMailbox,
		Logger: n.log, Metrics: shard.NewMetrics(n.registry),
	})
	if err != nil {
		return err
	}
	n.shards = shards
	n.working.Store(shards)
	n.later("shards", func(ctx context.Context) error {
		err := n.shards.Drain(ctx)
		// Sends under way end while the shards can still take their outcomes.
		err = errors.Join(err, n.lanes.Close(ctx), n.shards.Drain(ctx))
		n.shards.Stop()
		return err
	})
	if err := n.startVirtualActors(sys); err != nil {
		return err
	}
	n.startDuties()
	n.runPlacement()
	if err := n.begin(); err != nil {
		return err
	}
	if err := n.awaitLeaders(); err != nil {
		return err
	}
	receipts, err := n.openReceipts()
	if err != nil {
		return err
	}
	if n.o.Headless {
		return nil
	}
	return n.listen(receipts)
}

// startLanes keeps one lane for each credential. One whose sender cannot be
// made refuses pushes until it is replaced.
func (n *Node) startLanes(sys *actor.ActorSystem) {
	n.lanes = lane.NewDirectory(sys, n.log)
	n.lanes.Clock(n.o.Now)
	n.lanes.Guard(func(d *lane.Dispatch) bool { return n.engine.Sure(n.store.ShardOf(d.App, d.User)) })
	n.registry.MustRegister(n.lanes)
	n.catalog.Watch(func(c catalog.Change) {
		name := credentialName{c.App, c.Name}
		n.apps.rotations.Delete(name)
		n.sharings.Delete(name)
		if c.Credential == nil {
			n.lanes.Remove(c.App, c.Name)
			n.apps.broken.Delete(name)
			return
		}
		sender, err := n.openSender(c)
		if err != nil {
			n.log.Error("credential cannot be used; put it again with a valid key", "app", c.App, "credential", c.Name, "error", err)
			n.apps.broken.Store(name, true)
			n.apps.cache.Delete(c.App)
			return
		}
		n.lanes.Put(c.App, c.Name, sender, n.shared(laneOptions(c.App, c.Credential, n.quotas)))
		if _, was := n.apps.broken.LoadAndDelete(name); was {
			n.apps.cache.Delete(c.App)
		}
	})
}

// openSender opens the way to a credential's vendor, with the help of what it
// replaced.
func (n *Node) openSender(c catalog.Change) (vendors.Sender, error) {
	url := n.receiptURL(c.App, c.Credential)
	fresh, err := n.newSender(c.App, c.Credential, url)
	if err != nil || c.Previous == nil || !time.Now().Before(c.Previous.Until) {
		return fresh, err
	}
	old, err := n.newSender(c.App, c.Previous.Credential, url)
	if err != nil { // it worked once; without it the new one is as good as ever
		n.log.Warn("the replaced credential cannot help out", "app", c.App, "credential", c.Name, "error", err)
		return fresh, nil
	}
	sender, r := rotated(fresh, old, c.Previous.Until)
	n.apps.rotations.Store(credentialName{c.App, c.Name}, r)
	return sender, nil
}
