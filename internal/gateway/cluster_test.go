package gateway

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/rouse-im/rouse/actors"
	actorv1 "github.com/rouse-im/rouse/api/rouse/actor/v1"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

const clusterService = "/rouse.v1.ClusterService/"

func TestOrdersGoToTheLeader(t *testing.T) {
	var mu sync.Mutex
	var calls []*actorv1.AdminCall
	w := newWorld(t, func(o *Options) {
		o.Cluster = &Cluster{Order: func(_ context.Context, call *actorv1.AdminCall) ([]byte, error) {
			mu.Lock()
			calls = append(calls, call)
			mu.Unlock()
			if strings.HasSuffix(call.GetMethod(), "Rebalance") {
				return nil, nil
			}
			r := &rousev1.DrainNodeRequest{}
			if err := proto.Unmarshal(call.GetRequest(), r); err != nil {
				return nil, err
			}
			switch r.GetNode() {
			case "gone":
				return nil, &actors.Refusal{Detail: complaint(rousev1.ErrorCode_ERROR_CODE_NOT_FOUND, `"gone" is no node`)}
			case "fault":
				return nil, errors.New(canary)
			}
			return proto.Marshal(&rousev1.DrainNodeResponse{NodeId: "id of " + r.GetNode()})
		}}
	})
	who, err := w.Catalog.Authenticate(w.operator())
	w.ok(err)
	for _, method := range []string{"DrainNode", "UndrainNode", "RemoveNode"} {
		a := w.post(w.operator(), clusterService+method, `{"node":"n"}`)
		if a.status != http.StatusOK || !strings.Contains(a.body, "id of n") {
			t.Errorf("%s: %v", method, a)
		}
		mu.Lock()
		last := calls[len(calls)-1]
		mu.Unlock()
		if last.GetMethod() != clusterService+method || last.GetKeyId() != who.KeyID || last.GetRole() != int32(operatorRole) {
			t.Errorf("%s: %v", method, last)
		}
		wants(t, w.post(w.operator(), clusterService+method, `{"node":"gone"}`).err, rousev1.ErrorCode_ERROR_CODE_NOT_FOUND)
		wants(t, w.post(w.operator(), clusterService+method, `{"node":"fault"}`).err, rousev1.ErrorCode_ERROR_CODE_INTERNAL)
		wants(t, w.post(w.operator(), clusterService+method, `{}`).err, rousev1.ErrorCode_ERROR_CODE_INVALID_ARGUMENT)
		wants(t, w.post(w.operator(), clusterService+method, `{"node":"`+strings.Repeat("n", 129)+`"}`).err, rousev1.ErrorCode_ERROR_CODE_INVALID_ARGUMENT)
	}
	if a := w.post(w.operator(), clusterService+"Rebalance", `{}`); a.status != http.StatusOK {
		t.Error(a)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(calls) != 10 {
		t.Errorf("%d orders, refused ones must not get to the leader", len(calls))
	}
}

func TestClusterStatus(t *testing.T) {
	w := newWorld(t, func(o *Options) {
		o.Cluster = &Cluster{
			Status: func(_ context.Context, r *rousev1.GetClusterStatusRequest) (*rousev1.GetClusterStatusResponse, error) {
				return &rousev1.GetClusterStatusResponse{ClusterId: "c", Totals: &rousev1.ClusterTotals{Moving: map[bool]uint32{true: 1}[r.GetSkipSettled()]}}, nil
			},
			Plan: func(context.Context, *rousev1.PlanRebalanceRequest) (*rousev1.PlanRebalanceResponse, error) {
				return &rousev1.PlanRebalanceResponse{Moves: []*rousev1.PlannedMove{{Group: 7}}}, nil
			},
		}
	})
	r := &rousev1.GetClusterStatusResponse{}
	a := w.post(w.operator(), clusterService+"GetClusterStatus", `{"skipSettled":true}`)
	if err := protojson.Unmarshal([]byte(a.body), r); err != nil || r.GetClusterId() != "c" || r.GetTotals().GetMoving() != 1 {
		t.Error(a, err)
	}
	client := rousev1.NewClusterServiceClient(w.conn)
	plan, err := client.PlanRebalance(w.as(w.operator()), &rousev1.PlanRebalanceRequest{})
	if err != nil || plan.GetMoves()[0].GetGroup() != 7 {
		t.Error(plan, err)
	}
}

func TestWithoutACluster(t *testing.T) {
	w := newWorld(t)
	for method, body := range map[string]string{"GetClusterStatus": `{}`, "PlanRebalance": `{}`, "Rebalance": `{}`, "DrainNode": `{"node":"n"}`} {
		wants(t, w.post(w.operator(), clusterService+method, body).err, rousev1.ErrorCode_ERROR_CODE_UNAVAILABLE)
	}
}
