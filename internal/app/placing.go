package app

import (
	"context"
	"strconv"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/cluster/placement"
	"github.com/rouse-im/rouse/cluster/replica"
	"github.com/rouse-im/rouse/internal/meta"
	"github.com/rouse-im/rouse/storage"
)

// newPlacement makes the planner, which plans while this node leads the meta
// group, and the conductor, which carries out plans for the groups led here.
func (n *Node) newPlacement() error {
	rules := placement.DefaultRules()
	rules.ReplaceAfter = n.o.Config.Cluster.ReplaceAfter
	n.planner = placement.NewPlanner(placement.PlannerOptions{
		Roster: n.roster, Rules: rules, Alive: n.isAlive, DiskLow: n.diskLow, Deaf: n.deaf, Logger: n.log, Observe: n.observe,
		Leads:   n.metaTerm,
		Propose: n.proposeMeta,
	})
	n.orders = n.newOrders()
	conductor := placement.NewConductor(placement.ConductorOptions{
		Self: n.self, Roster: n.roster, Rules: rules, Alive: n.isAlive, Fit: n.fit, Logger: n.log,
		Groups: n.engine.Groups, Leads: n.engine.Leads, Transfer: n.engine.Transfer, Remove: n.engine.Remove,
		Status: func(group uint16) (placement.Status, error) {
			s, err := n.engine.Status(group)
			return placement.StatusOf(s), err
		},
		Change: func(group uint16, to placement.Configuration, done func(error)) {
			n.engine.Change(group, replica.Configuration{Voters: to.Voters, Learners: to.Learners}, done)
		},
		Yield: func(ctx context.Context, group uint16) error {
			if group == storage.MetaShard {
				return nil
			}
			return n.shards.Yield(ctx, group)
		},
		Kept: func(group uint16, term uint64) {
			if group != storage.MetaShard {
				n.shards.Lead(group, term)
			}
		},
	})
	n.conductor.Store(conductor)
	return n.registry.Register(conductor)
}

// runPlacement plans and moves replicas until the node stops. A node that stops
// gives its leaderships away first.
func (n *Node) runPlacement() {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { n.planner.Run(ctx) })
	running.Go(func() { n.conductor.Load().Run(ctx) })
	running.Go(func() { n.announce(ctx) })
	running.Go(func() { n.watchRoom(ctx) })
	running.Go(func() { n.watchHearing(ctx) })
	if n.clustered() {
		shares := &meta.Shares{Asker: n.meta, Node: n.self, Lanes: n.sharedLanes, Pace: n.o.Pace, Now: n.o.Now, Logger: n.log}
		running.Go(func() { shares.Run(ctx) })
	}
	n.later("placement", func(context.Context) error { cancel(); running.Wait(); return nil })
}

// drainTime bounds how long a node that stops tries to give its leaderships away.
const drainTime = 10 * time.Second

// giveAway moves the leaderships of a node that stops to others, if there are any.
func (n *Node) giveAway(ctx context.Context) error {
	if len(n.roster.View().Members()) < 2 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, drainTime)
	defer cancel()
	err := n.conductor.Load().DrainSelf(ctx, func(left int) { n.log.Debug("giving leaderships away", "left", left) })
	if err != nil {
		n.log.Warn("the others take over what this node leads only when it is gone", "error", err)
	}
	return nil
}

// observe asks the living members about groups that they lead.
func (n *Node) observe(ctx context.Context, groups []uint16) map[uint16]placement.Observed {
	wanted := make(map[uint16]bool, len(groups))
	for _, group := range groups {
		wanted[group] = true
	}
	told := make(map[uint16]placement.Observed)
	for id, r := range n.askReports(ctx) {
		for _, g := range r.GetGroups() {
			group := uint16(g.GetGroup())
			if before, ok := told[group]; wanted[group] && (!ok || before.Term < g.GetTerm()) {
				told[group] = observed(id, g)
			}
		}
	}
	return told
}

func observed(leader uint64, g *rousev1.ClusterGroup) placement.Observed {
	o := placement.Observed{Leader: leader, Term: g.GetTerm(), Conf: placement.Configuration{
		Voters: rosterIDs(g.GetVoterIds()), Learners: rosterIDs(g.GetLearnerIds()), Outgoing: rosterIDs(g.GetOutgoingIds()),
	}}
	for _, r := range g.GetReplicas() {
		if r.GetEntries() > placement.CaughtUp || r.GetSnapshot() {
			o.Behind = append(o.Behind, rosterIDs([]string{r.GetNodeId()})...)
		}
	}
	return o
}

// askReports asks all living members, this node among them, how they are; who
// does not answer before ctx ends is left out.
func (n *Node) askReports(ctx context.Context) map[uint64]*rousev1.NodeReport {
	reports := map[uint64]*rousev1.NodeReport{n.self: n.reportHere()}
	var mu sync.Mutex
	var asking sync.WaitGroup
	for id, m := range *n.peers.alive.Load() {
		if id == n.self {
			continue
		}
		asking.Go(func() {
			b, err := n.meta.Report(ctx, m.Addresses.GetActors())
			r := &rousev1.NodeReport{}
			if err != nil || proto.Unmarshal(b, r) != nil {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			reports[id] = r
		})
	}
	asking.Wait()
	return reports
}

// rosterIDs reads ids of nodes; what is none is left out.
func rosterIDs(names []string) (ids []uint64) {
	for _, name := range names {
		if id, err := strconv.ParseUint(name, 16, 64); err == nil {
			ids = append(ids, id)
		}
	}
	return ids
}
