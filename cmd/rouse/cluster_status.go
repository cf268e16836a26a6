package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/internal/rpc"
)

const (
	watchEvery = 2 * time.Second
	clearAll   = "\x1b[H\x1b[2J" // of a terminal
)

type clusterStatus struct {
	remote
	Watch bool `help:"Show it again every 2 s, until interrupted."`
	All   bool `help:"Show all groups, not only those that need a look."`
}

// Help teaches by example.
func (*clusterStatus) Help() string {
	return `Any node answers for all. Groups are the shards of users; 0 is the meta group, which holds apps, credentials and the members themselves.

Examples:

    rouse cluster status
    rouse cluster status --all
    rouse cluster status --watch
    rouse cluster status --json | jq .warnings`
}

// Run shows the cluster, once or again and again.
func (v *clusterStatus) Run(c *call) error {
	v.App = ""
	for {
		err := ask(c, &v.remote, func(s *rpc.Services) (*rousev1.GetClusterStatusResponse, error) {
			return s.Cluster.GetClusterStatus(c.ctx, &rousev1.GetClusterStatusRequest{SkipSettled: !v.All && !v.JSON})
		}, func(r *rousev1.GetClusterStatusResponse) error {
			if v.Watch {
				if _, err := io.WriteString(c.out, clearAll); err != nil {
					return err
				}
			}
			return c.clustered(r)
		})
		switch {
		case !v.Watch || c.ctx.Err() != nil:
			return err
		case err != nil: // a node that restarts answers again
			fmt.Fprintf(c.errs, "rouse: %v\n", err)
		}
		select {
		case <-c.ctx.Done():
			return nil
		case <-time.After(watchEvery):
		}
	}
}

func (c *call) clustered(r *rousev1.GetClusterStatusResponse) error {
	names := make(map[string]string)
	for _, n := range r.GetNodes() {
		names[n.GetNodeId()] = n.GetName()
	}
	t := r.GetTotals()
	err := c.say("cluster %s: %d of %d nodes alive; %d groups, %d without a leader, %d under-replicated, %d moving\n",
		dash(r.GetClusterId()), t.GetAlive(), t.GetNodes(), t.GetGroups(), t.GetLeaderless(), t.GetUnderReplicated(), t.GetMoving())
	var rows [][]string
	for _, n := range r.GetNodes() {
		rows = append(rows, nodeRow(n))
	}
	err = errors.Join(err, c.table([]string{"NODE", "ID", "STATE", "LEADS", "VOTERS", "LEARNERS", "DISK FREE", "VERSION", "PEERS", "SEEN"}, rows))
	if len(r.GetGroups()) > 0 {
		rows = nil
		for _, g := range r.GetGroups() {
			rows = append(rows, groupRow(g, names))
		}
		err = errors.Join(err, c.say(""), c.table([]string{"GROUP", "LEADER", "TERM", "VOTERS", "LEARNERS", "COMMIT", "LAG", "SIZE", "MOVING"}, rows))
	}
	for i, w := range r.GetWarnings() {
		if i == 0 {
			err = errors.Join(err, c.say(""))
		}
		err = errors.Join(err, c.say("! %s", w.GetMessage()))
	}
	return err
}

func nodeRow(n *rousev1.ClusterNode) []string {
	row := []string{dash(n.GetName()), n.GetNodeId(), rpc.Word(n.GetState())}
	if r := n.GetReport(); r != nil {
		row = append(row, fmt.Sprint(r.GetLeads()), fmt.Sprint(r.GetVoters()), fmt.Sprint(r.GetLearners()), size(r.GetDiskFreeBytes()), dash(r.GetVersion()))
	} else {
		row = append(row, "-", "-", "-", "-", "-")
	}
	return append(row, dash(n.GetEndpoints().GetPeers()), at(n.GetLastSeen()))
}

func groupRow(g *rousev1.ClusterGroup, names map[string]string) []string {
	named := func(ids []string) string {
		all := make([]string, len(ids))
		for i, id := range ids {
			if all[i] = names[id]; all[i] == "" {
				all[i] = id
			}
		}
		slices.Sort(all)
		return dash(strings.Join(all, " "))
	}
	voters := named(g.GetVoterIds())
	if len(g.GetOutgoingIds()) > 0 {
		voters = named(g.GetOutgoingIds()) + " -> " + voters
	}
	lag := uint64(0)
	for _, r := range g.GetReplicas() {
		lag = max(lag, r.GetEntries())
	}
	moving := "-"
	if m := g.GetMove(); m != nil {
		moving = fmt.Sprintf("%d %% to %s", m.GetPercent(), named(m.GetVoterIds()))
		if m.GetStep() != "" {
			moving += ": " + m.GetStep()
		}
	}
	leader := "none"
	if g.GetLeaderId() != "" {
		leader = named([]string{g.GetLeaderId()})
	}
	return []string{
		fmt.Sprint(g.GetGroup()), leader, fmt.Sprint(g.GetTerm()), voters, named(g.GetLearnerIds()),
		fmt.Sprint(g.GetCommit()), fmt.Sprint(lag), size(g.GetSizeBytes()), moving,
	}
}

// size is a number of bytes for people.
func size(n uint64) string {
	if n == 0 {
		return "-"
	}
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	value, unit := float64(n), 0
	for value >= 1024 && unit < len(units)-1 {
		value, unit = value/1024, unit+1
	}
	if unit == 0 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %s", value, units[unit])
}

// ignoreEnd drops the end of the input, which is no fault.
func ignoreEnd(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}
