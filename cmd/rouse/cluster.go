package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/internal/rpc"
)

type clusterVerb struct {
	Status          clusterStatus    `cmd:"" help:"Show the nodes, the groups that need a look, and what to do."`
	Drain           clusterDrain     `cmd:"" help:"Move all leaderships off a node; its replicas stay."`
	Undrain         clusterUndrain   `cmd:"" help:"Let a drained node lead again."`
	Remove          clusterRemove    `cmd:"" help:"Move everything off a node, and forget it."`
	Rebalance       clusterRebalance `cmd:"" help:"Move leaderships to where they shall be at once."`
	RotateGossipKey clusterRotateKey `cmd:"" help:"Replace the key that gossip is encrypted with, on all nodes."`
}

type clusterDrain struct {
	remote
	Node string `arg:"" help:"Name or id of the node."`
}

// Help teaches by example.
func (*clusterDrain) Help() string {
	return `Before maintenance: pushes of its users go on elsewhere, and nothing is copied. roused does the same by itself when it is stopped.

Examples:

    rouse cluster drain node-2
    rouse cluster status --watch
    rouse cluster undrain node-2`
}

// Run drains a node.
func (v *clusterDrain) Run(c *call) error {
	v.App = "" // it is no matter of an app
	return order(c, &v.remote, func(ctx context.Context, s *rpc.Services) (*rousev1.DrainNodeResponse, error) {
		return s.Cluster.DrainNode(ctx, &rousev1.DrainNodeRequest{Node: v.Node})
	}, func(_ *rousev1.DrainNodeResponse) error {
		return c.say("%s gives its leaderships away; rouse cluster status shows how far it is, rouse cluster undrain %s takes it back", v.Node, v.Node)
	})
}

type clusterUndrain struct {
	remote
	Node string `arg:"" help:"Name or id of the node."`
}

// Run takes a drain back.
func (v *clusterUndrain) Run(c *call) error {
	v.App = ""
	return order(c, &v.remote, func(ctx context.Context, s *rpc.Services) (*rousev1.UndrainNodeResponse, error) {
		return s.Cluster.UndrainNode(ctx, &rousev1.UndrainNodeRequest{Node: v.Node})
	}, func(_ *rousev1.UndrainNodeResponse) error {
		return c.say("%s may lead again; it gets its share within a minute or so, with rouse cluster rebalance at once", v.Node)
	})
}

type clusterRemove struct {
	remote
	Node string `arg:"" help:"Name or id of the node, alive or not."`
	Yes  bool   `help:"Do not ask."`
}

// Help says what cannot be taken back.
func (*clusterRemove) Help() string {
	return `Its replicas are made anew on the other nodes, and then it is forgotten. This cannot be taken back: to come again, the node must begin with an empty data directory. It may be dead.

Examples:

    rouse cluster remove node-3
    rouse cluster remove 0f3a5b7c9d1e2f40 --yes`
}

// Run removes a node after a question.
func (v *clusterRemove) Run(c *call) error {
	v.App = ""
	if !v.Yes {
		if _, err := fmt.Fprintf(c.errs, "Remove %s for good? It cannot come back with its data. Type its name or id again: ", v.Node); err != nil {
			return err
		}
		typed, err := bufio.NewReader(c.in).ReadString('\n')
		if strings.TrimSpace(typed) != v.Node {
			return errors.Join(errors.New("nothing was removed; type what was asked for, or use --yes in scripts"), ignoreEnd(err))
		}
	}
	return order(c, &v.remote, func(ctx context.Context, s *rpc.Services) (*rousev1.RemoveNodeResponse, error) {
		return s.Cluster.RemoveNode(ctx, &rousev1.RemoveNodeRequest{Node: v.Node})
	}, func(r *rousev1.RemoveNodeResponse) error {
		return c.say("%s (%s) is leaving; stop it when rouse cluster status does not show it any more", v.Node, r.GetNodeId())
	})
}

type clusterRebalance struct {
	remote
	DryRun bool `help:"Show what would move, and move nothing."`
}

// Run orders, or shows, what moves.
func (v *clusterRebalance) Run(c *call) error {
	v.App = ""
	if v.DryRun {
		return ask(c, &v.remote, func(s *rpc.Services) (*rousev1.PlanRebalanceResponse, error) {
			return s.Cluster.PlanRebalance(c.ctx, &rousev1.PlanRebalanceRequest{})
		}, func(r *rousev1.PlanRebalanceResponse) error { return c.planned(r.GetMoves(), "would move") })
	}
	return order(c, &v.remote, func(ctx context.Context, s *rpc.Services) (*rousev1.RebalanceResponse, error) {
		return s.Cluster.Rebalance(ctx, &rousev1.RebalanceRequest{})
	}, func(r *rousev1.RebalanceResponse) error { return c.planned(r.GetMoves(), "move") })
}

// planned shows moves, a group a line.
func (c *call) planned(moves []*rousev1.PlannedMove, verb string) error {
	if len(moves) == 0 {
		return c.say("everything is where it shall be")
	}
	var rows [][]string
	for _, m := range moves {
		leader := "-"
		if m.GetLeaderToId() != "" {
			leader = dash(m.GetLeaderFromId()) + " -> " + m.GetLeaderToId()
		}
		rows = append(rows, []string{
			fmt.Sprint(m.GetGroup()), leader, changes(m.GetVotersAddedIds(), m.GetVotersRemovedIds()), changes(m.GetLearnersAddedIds(), m.GetLearnersRemovedIds()),
		})
	}
	return errors.Join(c.table([]string{"GROUP", "LEADER", "VOTERS", "LEARNERS"}, rows), c.say("%d groups %s", len(moves), verb))
}

func changes(added, removed []string) string {
	var all []string
	for _, id := range added {
		all = append(all, "+"+id)
	}
	for _, id := range removed {
		all = append(all, "-"+id)
	}
	return dash(strings.Join(all, " "))
}

type clusterRotateKey struct{ remote }

// Help teaches by example.
func (*clusterRotateKey) Help() string {
	return `The new key is made by the node that is asked, installed on all nodes, then used by all, and then the old keys are removed and gossip.key is written on each. All members must be alive. After a failure run it again.

Example:

    rouse cluster rotate-gossip-key`
}

// Run rotates the key.
func (v *clusterRotateKey) Run(c *call) error {
	v.App = ""
	return ask(c, &v.remote, func(s *rpc.Services) (*rousev1.RotateGossipKeyResponse, error) {
		return s.Cluster.RotateGossipKey(c.ctx, &rousev1.RotateGossipKeyRequest{})
	}, func(r *rousev1.RotateGossipKeyResponse) error {
		return c.say("all nodes use the key %s now; back up gossip.key of one of them", r.GetFingerprint())
	})
}
