package main

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"connectrpc.com/connect"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/api/rouse/v1/rousev1connect"
)

// answers serves ClusterService with what a test says.
type answers struct {
	rousev1connect.UnimplementedClusterServiceHandler
	status  *rousev1.GetClusterStatusResponse
	moves   []*rousev1.PlannedMove
	ordered []string
	brief   int   // statuses that were asked for without settled groups
	fault   error // of orders
}

func (a *answers) GetClusterStatus(_ context.Context, r *rousev1.GetClusterStatusRequest) (*rousev1.GetClusterStatusResponse, error) {
	if r.GetSkipSettled() {
		a.brief++
	}
	return a.status, nil
}

func (a *answers) RemoveNode(_ context.Context, r *rousev1.RemoveNodeRequest) (*rousev1.RemoveNodeResponse, error) {
	a.ordered = append(a.ordered, "remove "+r.GetNode())
	return &rousev1.RemoveNodeResponse{NodeId: "00000000000000c1"}, nil
}

func (a *answers) DrainNode(_ context.Context, r *rousev1.DrainNodeRequest) (*rousev1.DrainNodeResponse, error) {
	err := connect.NewError(connect.CodeNotFound, nil)
	if detail, fault := connect.NewErrorDetail(&rousev1.Error{Code: rousev1.ErrorCode_ERROR_CODE_NOT_FOUND, Message: r.GetNode() + " is no node of this cluster; rouse cluster status shows names and ids"}); fault == nil {
		err.AddDetail(detail)
	}
	return nil, err
}

func (a *answers) PlanRebalance(context.Context, *rousev1.PlanRebalanceRequest) (*rousev1.PlanRebalanceResponse, error) {
	return &rousev1.PlanRebalanceResponse{Moves: a.moves}, nil
}

func (a *answers) Rebalance(context.Context, *rousev1.RebalanceRequest) (*rousev1.RebalanceResponse, error) {
	a.ordered = append(a.ordered, "rebalance")
	return &rousev1.RebalanceResponse{Moves: a.moves}, a.fault
}

// cli runs the command line against a; in is what is typed.
func cli(t *testing.T, a *answers, in string, args ...string) (code int, out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	code = run(t.Context(), append(args, "--server", serve(t, a), "--key", "rk_test"), strings.NewReader(in), &o, &e)
	return code, o.String(), e.String()
}

// serve is the address of a, until the test ends.
func serve(t *testing.T, a *answers) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.Handle(rousev1connect.NewClusterServiceHandler(a))
	server := httptest.NewUnstartedServer(mux)
	server.Config.Protocols = &http.Protocols{}
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	t.Cleanup(server.Close)
	return server.URL
}

func TestClusterStatus(t *testing.T) {
	a := &answers{status: &rousev1.GetClusterStatusResponse{
		ClusterId: "c1",
		Totals:    &rousev1.ClusterTotals{Nodes: 2, Alive: 1, Groups: 65, Leaderless: 1, UnderReplicated: 65, Moving: 1},
		Nodes: []*rousev1.ClusterNode{
			{NodeId: "00000000000000a1", Name: "ann", State: rousev1.NodeState_NODE_STATE_ALIVE, Endpoints: &rousev1.NodeEndpoints{Peers: "h:1"}, Report: &rousev1.NodeReport{Leads: 64, Voters: 65, Version: "v1", DiskFreeBytes: 3 << 30}},
			{NodeId: "00000000000000b2", Name: "bob", State: rousev1.NodeState_NODE_STATE_DEAD},
		},
		Groups: []*rousev1.ClusterGroup{
			{
				Group: 7, LeaderId: "00000000000000a1", Term: 3, VoterIds: []string{"00000000000000a1"}, LearnerIds: []string{"00000000000000b2"}, Commit: 900, SizeBytes: 1536,
				Replicas: []*rousev1.ReplicaLag{{Entries: 12}}, Move: &rousev1.GroupMove{VoterIds: []string{"00000000000000b2"}, Percent: 50, Step: "00000000000000b2 lacks 12 entries"},
			},
			{Group: 8, VoterIds: []string{"00000000000000a1"}, OutgoingIds: []string{"00000000000000b2"}},
		},
		Warnings: []*rousev1.ClusterWarning{{Message: "group 8 has no leader"}},
	}}
	code, out, errs := cli(t, a, "", "cluster", "status")
	want := `cluster c1: 1 of 2 nodes alive; 65 groups, 1 without a leader, 65 under-replicated, 1 moving

NODE  ID                STATE  LEADS  VOTERS  LEARNERS  DISK FREE  VERSION  PEERS  SEEN
ann   00000000000000a1  alive  64     65      0         3.0 GiB    v1       h:1    -
bob   00000000000000b2  dead   -      -       -         -          -        -      -

GROUP  LEADER  TERM  VOTERS      LEARNERS  COMMIT  LAG  SIZE     MOVING
7      ann     3     ann         bob       900     12   1.5 KiB  50 % to bob: 00000000000000b2 lacks 12 entries
8      none    0     bob -> ann  -         0       0    -        -

! group 8 has no leader
`
	if code != 0 || out != want || a.brief != 1 {
		t.Errorf("%d %q\n%s", code, errs, out)
	}
	if _, out, _ := cli(t, a, "", "cluster", "status", "--json"); !strings.Contains(out, `"leaderless":1`) {
		t.Error(out)
	}
}

func TestClusterRemoveAsks(t *testing.T) {
	for _, c := range []struct {
		typed string
		yes   bool
		code  int
	}{{"bob\n", false, 0}, {"bob", false, 0}, {"ann\n", false, 1}, {"", false, 1}, {"y\n", false, 1}, {"", true, 0}} {
		a := &answers{}
		args := []string{"cluster", "remove", "bob"}
		if c.yes {
			args = append(args, "--yes")
		}
		code, out, errs := cli(t, a, c.typed, args...)
		if code != c.code || (code == 0) != (len(a.ordered) == 1) {
			t.Errorf("typed %q: %d %s %s, %v", c.typed, code, out, errs, a.ordered)
		}
		if code != 0 && !strings.Contains(errs, "nothing was removed") {
			t.Errorf("typed %q: %s", c.typed, errs)
		}
	}
}

func TestClusterRebalance(t *testing.T) {
	a := &answers{}
	if _, out, _ := cli(t, a, "", "cluster", "rebalance", "--dry-run"); out != "everything is where it shall be\n" {
		t.Error(out)
	}
	a.moves = []*rousev1.PlannedMove{
		{Group: 1, LeaderFromId: "a", LeaderToId: "b"},
		{Group: 12, VotersAddedIds: []string{"d"}, VotersRemovedIds: []string{"a"}, LearnersAddedIds: []string{"e"}},
	}
	want := `GROUP  LEADER  VOTERS  LEARNERS
1      a -> b  -       -
12     -       +d -a   +e
2 groups would move
`
	if _, out, _ := cli(t, a, "", "cluster", "rebalance", "--dry-run"); out != want || len(a.ordered) != 0 {
		t.Error(out, a.ordered)
	}
	if _, out, _ := cli(t, a, "", "cluster", "rebalance"); !strings.Contains(out, "2 groups move\n") || len(a.ordered) != 1 {
		t.Error(out, a.ordered)
	}
}

// An order that a node does not carry out goes to the next one that lives.
func TestClusterOrderGoesOn(t *testing.T) {
	ending := connect.NewError(connect.CodeUnavailable, nil)
	if detail, err := connect.NewErrorDetail(&rousev1.Error{Code: rousev1.ErrorCode_ERROR_CODE_UNAVAILABLE, Temporary: true, Message: "this node is stopping"}); err == nil {
		ending.AddDetail(detail)
	}
	first, second := &answers{fault: ending}, &answers{}
	host := strings.TrimPrefix(serve(t, second), "http://")
	node := func(id string, state rousev1.NodeState, http string) *rousev1.ClusterNode {
		return &rousev1.ClusterNode{NodeId: id, State: state, Endpoints: &rousev1.NodeEndpoints{Http: http}}
	}
	first.status = &rousev1.GetClusterStatusResponse{AnsweredBy: "a", Nodes: []*rousev1.ClusterNode{
		node("a", rousev1.NodeState_NODE_STATE_DRAINING, "127.0.0.1:1"), node("b", rousev1.NodeState_NODE_STATE_DEAD, "127.0.0.1:1"),
		node("c", rousev1.NodeState_NODE_STATE_ALIVE, host),
	}}
	code, _, errs := cli(t, first, "", "cluster", "rebalance")
	want := "rouse: this node is stopping; the order is repeated at http://" + host + "\n"
	if code != 0 || errs != want || len(first.ordered) != 1 || len(second.ordered) != 1 {
		t.Errorf("%d %q, %v %v", code, errs, first.ordered, second.ordered)
	}
	first.status = nil // it does not say who the others are
	if code, _, errs := cli(t, first, "", "cluster", "rebalance"); code != 1 || errs != "rouse: this node is stopping\n" {
		t.Errorf("%d %q", code, errs)
	}
}

func TestClusterErrors(t *testing.T) {
	code, _, errs := cli(t, &answers{}, "", "cluster", "drain", "eve")
	if code != 1 || errs != "rouse: eve is no node of this cluster; rouse cluster status shows names and ids\n" {
		t.Errorf("%d %s", code, errs)
	}
	if code, _, errs := cli(t, &answers{}, "", "cluster", "remove"); code != 2 || !strings.Contains(errs, "<node>") {
		t.Errorf("%d %s", code, errs)
	}
}

func TestSizes(t *testing.T) {
	for n, want := range map[uint64]string{0: "-", 1023: "1023 B", 1024: "1.0 KiB", 5 << 40: "5.0 TiB", 5 << 60: "5242880.0 TiB"} {
		if got := size(n); got != want {
			t.Errorf("%d: %s, not %s", n, got, want)
		}
	}
}
