package steward

import (
	"context"
	"errors"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/rouse-im/rouse/actors"
	actorv1 "github.com/rouse-im/rouse/api/rouse/actor/v1"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/cluster/roster"
	"github.com/rouse-im/rouse/storage"
)

func order(t *testing.T, o *Orders, method string, request proto.Message) ([]byte, error) {
	t.Helper()
	body, err := proto.Marshal(request)
	if err != nil {
		t.Fatal(err)
	}
	return o.Execute(context.Background(), &actorv1.AdminCall{Method: method, Request: body, Role: int32(rousev1.Role_ROLE_OPERATOR)})
}

// wants fails the test unless err is a refusal of this code; 0 = none.
func wants(t *testing.T, err error, code rousev1.ErrorCode) {
	t.Helper()
	refusal, _ := errors.AsType[*actors.Refusal](err)
	var got rousev1.ErrorCode
	if refusal != nil {
		got = refusal.Detail.GetCode()
	}
	if got != code || (err == nil) != (code == 0) {
		t.Errorf("got %v, want %s", err, code)
	}
}

func TestOrders(t *testing.T) {
	o := newOrders(t)
	if a, err := o.Admit(context.Background(), asks(2)); err != nil || a.GetCluster() != "c1" {
		t.Fatal(a, err)
	}
	for _, step := range []struct {
		method            string
		request           proto.Message
		want              rousev1.ErrorCode
		draining, leaving bool
	}{
		{rousev1.ClusterService_DrainNode_FullMethodName, &rousev1.DrainNodeRequest{Node: "node-2"}, 0, true, false},
		{rousev1.ClusterService_DrainNode_FullMethodName, &rousev1.DrainNodeRequest{Node: "node-9"}, rousev1.ErrorCode_ERROR_CODE_NOT_FOUND, true, false},
		{rousev1.ClusterService_UndrainNode_FullMethodName, &rousev1.UndrainNodeRequest{Node: "0000000000000002"}, 0, false, false},
		{rousev1.ClusterService_RemoveNode_FullMethodName, &rousev1.RemoveNodeRequest{Node: "node-2"}, 0, false, true},
		{rousev1.ClusterService_DrainNode_FullMethodName, &rousev1.DrainNodeRequest{Node: "node-2"}, rousev1.ErrorCode_ERROR_CODE_INVALID_ARGUMENT, false, true},
		{rousev1.ClusterService_RemoveNode_FullMethodName, &rousev1.RemoveNodeRequest{Node: "node-1"}, rousev1.ErrorCode_ERROR_CODE_INVALID_ARGUMENT, false, true},
		{"/rouse.v1.ClusterService/Other", &rousev1.RemoveNodeRequest{}, rousev1.ErrorCode_ERROR_CODE_NOT_FOUND, false, true},
	} {
		_, err := order(t, o, step.method, step.request)
		wants(t, err, step.want)
		if m, _ := o.Roster.View().Member(2); m.GetDraining() != step.draining || m.GetLeaving() != step.leaving {
			t.Fatalf("%s: %v", step.method, m)
		}
	}
	_, err := o.Execute(context.Background(), &actorv1.AdminCall{Method: rousev1.ClusterService_Rebalance_FullMethodName, Role: int32(rousev1.Role_ROLE_ADMIN)})
	wants(t, err, rousev1.ErrorCode_ERROR_CODE_PERMISSION_DENIED)
	taken := asks(3)
	taken.Name = "node-1"
	_, err = o.Admit(context.Background(), taken)
	wants(t, err, rousev1.ErrorCode_ERROR_CODE_ALREADY_EXISTS)
}

// What leads elsewhere by now is for the caller to bring there.
func TestOrdersOfAFollower(t *testing.T) {
	o := newOrders(t)
	o.Leads = func() (uint64, bool) { return 0, false }
	if _, err := order(t, o, rousev1.ClusterService_Rebalance_FullMethodName, &rousev1.RebalanceRequest{}); !errors.Is(err, storage.ErrNotLeader) {
		t.Error(err)
	}
}

func TestRebalanceTellsMoves(t *testing.T) {
	o := newOrders(t)
	o.Preview = func(time.Time) map[uint16]roster.Placement {
		return map[uint16]roster.Placement{1: {Voters: []uint64{1, 2, 3}, Leader: 2}}
	}
	reports := map[uint64]*rousev1.NodeReport{
		5: {Groups: []*rousev1.ClusterGroup{{Group: 2, Term: 8}}},
		6: {Groups: []*rousev1.ClusterGroup{{Group: 2, Term: 7}}},
	}
	o.Led = func(context.Context) map[uint16]uint64 { return Led(reports) }
	b, err := order(t, o, rousev1.ClusterService_Rebalance_FullMethodName, &rousev1.RebalanceRequest{})
	r := &rousev1.RebalanceResponse{}
	if err := errors.Join(err, proto.Unmarshal(b, r)); err != nil {
		t.Fatal(err)
	}
	want := &rousev1.RebalanceResponse{Moves: []*rousev1.PlannedMove{
		{Group: 1, LeaderFromId: roster.NodeID(1), LeaderToId: roster.NodeID(2), VotersAddedIds: []string{roster.NodeID(2), roster.NodeID(3)}},
		{Group: 2, LeaderFromId: roster.NodeID(5), LeaderToId: roster.NodeID(1)},
	}}
	if !proto.Equal(r, want) || o.Roster.View().Rebalances() != 1 {
		t.Errorf("%s", protojson.Format(r))
	}
}
