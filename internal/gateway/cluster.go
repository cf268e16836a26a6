package gateway

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/proto"

	actorv1 "github.com/rouse-im/rouse/api/rouse/actor/v1"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

// Cluster is what ClusterService is answered with. Errors that are no
// *actors.Refusal are faults of the server.
type Cluster struct {
	// Status asks all nodes how they are, and ends with ctx.
	Status func(context.Context, *rousev1.GetClusterStatusRequest) (*rousev1.GetClusterStatusResponse, error)
	// Plan tells what would move.
	Plan func(context.Context, *rousev1.PlanRebalanceRequest) (*rousev1.PlanRebalanceResponse, error)
	// Order executes an order on the node that leads the meta group, and returns
	// the encoded response.
	Order func(ctx context.Context, call *actorv1.AdminCall) ([]byte, error)
	// RotateKey puts a new key in the place of all keys of gossip.
	RotateKey func(context.Context) (fingerprint string, err error)
}

// cluster serves ClusterService on gRPC and Connect.
type cluster struct {
	rousev1.UnimplementedClusterServiceServer
	*Gateway
}

var errNoCluster = refuse(rousev1.ErrorCode_ERROR_CODE_UNAVAILABLE, "this node does not know its cluster yet; try again in a moment")

// GetClusterStatus tells how the nodes and groups are.
func (s *cluster) GetClusterStatus(ctx context.Context, r *rousev1.GetClusterStatusRequest) (*rousev1.GetClusterStatusResponse, error) {
	if s.Cluster == nil {
		return nil, errNoCluster
	}
	return s.Cluster.Status(ctx, r)
}

// PlanRebalance tells what would move.
func (s *cluster) PlanRebalance(ctx context.Context, r *rousev1.PlanRebalanceRequest) (*rousev1.PlanRebalanceResponse, error) {
	if s.Cluster == nil {
		return nil, errNoCluster
	}
	return s.Cluster.Plan(ctx, r)
}

// DrainNode is executed by the leader.
func (s *cluster) DrainNode(ctx context.Context, r *rousev1.DrainNodeRequest) (*rousev1.DrainNodeResponse, error) {
	return order[rousev1.DrainNodeResponse](ctx, s.Gateway, rousev1.ClusterService_DrainNode_FullMethodName, r)
}

// UndrainNode is executed by the leader.
func (s *cluster) UndrainNode(ctx context.Context, r *rousev1.UndrainNodeRequest) (*rousev1.UndrainNodeResponse, error) {
	return order[rousev1.UndrainNodeResponse](ctx, s.Gateway, rousev1.ClusterService_UndrainNode_FullMethodName, r)
}

// RemoveNode is executed by the leader.
func (s *cluster) RemoveNode(ctx context.Context, r *rousev1.RemoveNodeRequest) (*rousev1.RemoveNodeResponse, error) {
	return order[rousev1.RemoveNodeResponse](ctx, s.Gateway, rousev1.ClusterService_RemoveNode_FullMethodName, r)
}

// Rebalance is executed by the leader.
func (s *cluster) Rebalance(ctx context.Context, r *rousev1.RebalanceRequest) (*rousev1.RebalanceResponse, error) {
	return order[rousev1.RebalanceResponse](ctx, s.Gateway, rousev1.ClusterService_Rebalance_FullMethodName, r)
}

// RotateGossipKey is begun by the node that is asked.
func (s *cluster) RotateGossipKey(ctx context.Context, _ *rousev1.RotateGossipKeyRequest) (*rousev1.RotateGossipKeyResponse, error) {
	if s.Cluster == nil {
		return nil, errNoCluster
	}
	s.Logger.InfoContext(ctx, "cluster order", "method", rousev1.ClusterService_RotateGossipKey_FullMethodName, "key", callerOf(ctx).KeyID)
	fingerprint, err := s.Cluster.RotateKey(ctx)
	if err != nil {
		return nil, err
	}
	return &rousev1.RotateGossipKeyResponse{Fingerprint: fingerprint}, nil
}

// order brings an admitted and checked order to the leader, in the name of its
// caller.
func order[R any, PR pointer[R]](ctx context.Context, g *Gateway, method string, request proto.Message) (PR, error) {
	if g.Cluster == nil {
		return nil, errNoCluster
	}
	body, err := proto.Marshal(request)
	if err != nil {
		return nil, fmt.Errorf("gateway: encoding an order: %w", err)
	}
	who := callerOf(ctx)
	g.Logger.InfoContext(ctx, "cluster order", "method", method, "key", who.KeyID)
	b, err := g.Cluster.Order(ctx, &actorv1.AdminCall{Method: method, Request: body, KeyId: who.KeyID, Role: int32(who.Role)})
	if err != nil {
		return nil, err
	}
	response := PR(new(R))
	if err := proto.Unmarshal(b, response); err != nil {
		return nil, fmt.Errorf("gateway: the answer to %s cannot be read: %w", method, err)
	}
	return response, nil
}
