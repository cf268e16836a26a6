package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/internal/rpc"
)

const (
	orderTime = 30 * time.Second // for an order, at all nodes together
	doorTime  = 10 * time.Second // at one of them
	lookTime  = 2 * time.Second  // for the addresses of the others
	orderRest = time.Second      // before the first node is asked again
)

// order has a cluster carry out an order about itself. It says how things shall be,
// so it may be carried out twice: when a node gives no answer, as one that ends, it
// is repeated at the others, until orderTime is over.
func order[R proto.Message](c *call, r *remote, do func(context.Context, *rpc.Services) (R, error), show func(R) error) error {
	ctx, cancel := context.WithTimeout(c.ctx, orderTime)
	defer cancel()
	doors := append([]*remote{r}, r.others(ctx)...)
	for i := 0; ; i++ {
		door, next := doors[i%len(doors)], doors[(i+1)%len(doors)]
		answer, err := knock(ctx, door, do)
		switch {
		case err == nil && r.JSON:
			return c.json(answer)
		case err == nil:
			return show(answer)
		case len(doors) == 1 || !mayPass(err):
			return door.explain(err)
		}
		if next == r {
			select {
			case <-time.After(orderRest):
			case <-ctx.Done():
			}
		}
		if ctx.Err() != nil {
			return fmt.Errorf("no node carried out the order within %s; the last one: %w", orderTime, door.explain(err))
		}
		fmt.Fprintf(c.errs, "rouse: %v; the order is repeated at %s\n", door.explain(err), next.Server)
	}
}

// knock asks one node.
func knock[R proto.Message](ctx context.Context, door *remote, do func(context.Context, *rpc.Services) (R, error)) (none R, err error) {
	s, err := door.open()
	if err != nil {
		return none, err
	}
	defer s.Close()
	ctx, cancel := context.WithTimeout(ctx, doorTime)
	defer cancel()
	return do(ctx, s)
}

// others are the nodes beside the one of r that may carry out an order; none if
// that one does not say.
func (r *remote) others(ctx context.Context) (doors []*remote) {
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	status, err := knock(ctx, r, func(ctx context.Context, s *rpc.Services) (*rousev1.GetClusterStatusResponse, error) {
		return s.Cluster.GetClusterStatus(ctx, &rousev1.GetClusterStatusRequest{SkipSettled: true})
	})
	if err != nil {
		return nil
	}
	for _, n := range status.GetNodes() {
		at := n.GetEndpoints().GetHttp()
		lives := n.GetState() == rousev1.NodeState_NODE_STATE_ALIVE || n.GetState() == rousev1.NodeState_NODE_STATE_DRAINING
		if u, err := url.Parse(r.Server); err == nil && at != "" && lives && n.GetNodeId() != status.GetAnsweredBy() {
			door := *r
			door.Server = u.Scheme + "://" + at
			doors = append(doors, &door)
		}
	}
	return doors
}

// mayPass tells whether another node may carry out what this one has not, or not
// said to have.
func mayPass(err error) bool {
	if d := rpc.Detail(err); d != nil {
		return d.GetCode() == rousev1.ErrorCode_ERROR_CODE_UNAVAILABLE || d.GetCode() == rousev1.ErrorCode_ERROR_CODE_DEADLINE ||
			d.GetCode() == rousev1.ErrorCode_ERROR_CODE_OVERLOADED
	}
	code := connect.CodeOf(err)
	return code == connect.CodeUnavailable || code == connect.CodeDeadlineExceeded || errors.Is(err, context.DeadlineExceeded)
}
