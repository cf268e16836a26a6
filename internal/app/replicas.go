package app

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/rouse-im/rouse/cluster/link"
	"github.com/rouse-im/rouse/cluster/replica"
	"github.com/rouse-im/rouse/storage"
)

// openReplicas starts the replicas that the store holds. From then on what is
// proposed to the store goes through their logs.
func (n *Node) openReplicas() error {
	n.duties = newDuties(n.store.Shards())
	n.self = replica.NodeID(n.store.NodeID())
	engine, err := replica.Open(replica.Options{
		ID: n.self, Store: n.store,
		Send: func(to uint64, frame []byte) error {
			if l := n.link.Load(); l != nil {
				return l.Send(to, frame)
			}
			return link.ErrDown
		},
		Open: func(ctx context.Context, to uint64) (net.Conn, error) {
			if l := n.link.Load(); l != nil {
				return l.Open(ctx, to)
			}
			return nil, link.ErrDown
		},
		Lead: n.telling(n.duties.lead, true), Lose: n.telling(n.duties.lose, false), Changed: n.groupChanged,
		Tick: n.o.Tick, SnapshotRate: n.transferSpeed(), Logger: n.log, Metrics: n.registry,
	})
	if err != nil {
		return err
	}
	n.engine = engine
	n.store.Replicate(func(shard uint16, ms []storage.Mutation, done func(error)) { engine.Propose(shard, 0, ms, done) })
	n.later("replicas", func(context.Context) error { return engine.Close() })
	return nil
}

// telling adds Options.Led to what follows upon leadership.
func (n *Node) telling(do func(group uint16, term uint64), leads bool) func(uint16, uint64) {
	if n.o.Led == nil {
		return do
	}
	return func(group uint16, term uint64) {
		n.o.Led(group, term, leads)
		do(group, term)
	}
}

// transferSpeed is the configured one; of a node that is alone nothing is checked.
func (n *Node) transferSpeed() int {
	if !n.clustered() {
		return 0
	}
	return int(n.o.Config.Cluster.TransferSpeed)
}

// foundReplicas makes this node the only replica of every group that it does not
// hold yet: of all of a new store, and of one that an older release wrote.
func (n *Node) foundReplicas() error {
	groups := make([]uint16, n.store.Shards()+1)
	for i := range groups {
		groups[i] = uint16(i)
	}
	return n.engine.Found(groups...)
}

// startDuties has shards work where this node leads, until the node stops.
func (n *Node) startDuties() {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	n.duties.take = func(group uint16, term uint64) {
		if group == storage.MetaShard {
			n.leadMeta(term)
			return
		}
		n.shards.Lead(group, term)
	}
	n.duties.lay = func(group uint16, term uint64) {
		if group == storage.MetaShard {
			n.loseMeta(term)
			return
		}
		n.shards.Lose(group, term)
	}
	running.Go(func() { n.duties.run(ctx) })
	n.later("duties", func(context.Context) error { cancel(); running.Wait(); return nil })
}

// lookEvery is how often a starting node looks whether its shards are led.
const lookEvery = 2 * time.Millisecond

// tellEvery is how often a node that waits says for what.
const tellEvery = 5 * time.Second

// patience is how long a starting node waits for shards that nobody leads, as
// when they lost most of their replicas: users of the others are to be served.
const patience = 15 * time.Second

// awaitLeaders waits until this node can serve: until every shard works here or
// is led elsewhere, or only some are missing and were waited for.
func (n *Node) awaitLeaders() error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	began := time.Now()
	asking, end := context.WithCancel(n.starting)
	refused := make(chan error, 1) // one value: who asks never waits
	var running sync.WaitGroup
	defer running.Wait()
	defer end()
	if n.clustered() {
		running.Go(func() { n.askWhetherRemoved(asking, refused) })
	}
	for told := began; ; {
		missing := n.leaderless()
		select {
		case err := <-refused:
			return fmt.Errorf("the cluster refuses this node: %w", err)
		default:
		}
		if canServe(missing, time.Since(began)) {
			if len(missing) > 0 {
				n.log.Warn("serving without the shards that have no leader; bring back the nodes that have their replicas", "shards", len(missing), "first", missing[0])
			}
			return nil
		}
		select {
		case <-n.starting.Done():
			return fmt.Errorf("%d groups have no leader: %w", len(missing), context.Cause(n.starting))
		case <-tick.C:
		}
		if time.Since(told) > tellEvery {
			told = time.Now()
			n.log.Warn("groups have no leader; are enough of the other nodes running?", "groups", len(missing), "first", missing[0])
		}
	}
}

// askWhetherRemoved tells the refusal of a cluster that this node is no member of
// any more. Who was down when it was removed does not hear it from a leader. It
// waits first: members hear one.
func (n *Node) askWhetherRemoved(ctx context.Context, refused chan<- error) {
	for pause(ctx, tellEvery) {
		if n.hearsMeta() {
			continue
		}
		if err := n.askToBeAdmitted(ctx); err != nil && isRefusal(err) {
			refused <- err
			return
		}
	}
}

// canServe tells whether the wait for leaders is over, of the groups that miss
// one, ascending. Without that of the meta group a node is most likely cut off.
func canServe(missing []uint16, waited time.Duration) bool {
	return len(missing) == 0 || waited >= patience && missing[0] != storage.MetaShard
}

// leaderless are the groups that nobody works for, as far as this node knows. The
// leader of the meta group, of which each member has a replica, it must have heard:
// by its own records one that was removed would take any voter for him.
func (n *Node) leaderless() (groups []uint16) {
	for group := range n.store.Shards() + 1 {
		_, term, elsewhere := n.leaderOf(group)
		heard := elsewhere && (term != 0 || group != storage.MetaShard)
		if heard || group == storage.MetaShard && n.leadsMeta() || group != storage.MetaShard && n.shards.Leads(group) {
			continue
		}
		groups = append(groups, group)
	}
	return groups
}

// groupChanged has those look again who wait for a group's leader or replicas.
func (n *Node) groupChanged(group uint16) {
	if c := n.conductor.Load(); c != nil {
		c.Wake()
		n.planner.Wake()
	}
	if r := n.router.Load(); r != nil && group != storage.MetaShard {
		r.Wake(group)
	}
}
