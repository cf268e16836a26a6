package gateway

import (
	"context"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/grpc"

	"github.com/rouse-im/rouse/actors"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

// intake serves IntakeService on gRPC.
type intake struct {
	rousev1.UnimplementedIntakeServiceServer
	*Gateway
}

// Ingest serves the stream of one IM node.
func (s *intake) Ingest(stream grpc.BidiStreamingServer[rousev1.IngestRequest, rousev1.IngestResponse]) error {
	return s.ingest(stream.Context(), stream)
}

// connectIntake serves IntakeService on Connect.
type connectIntake struct{ *intake }

// Ingest serves the stream of one IM node.
func (s connectIntake) Ingest(ctx context.Context, stream *connect.BidiStream[rousev1.IngestRequest, rousev1.IngestResponse]) error {
	return s.ingest(ctx, connectStream{stream})
}

type connectStream struct {
	*connect.BidiStream[rousev1.IngestRequest, rousev1.IngestResponse]
}

// Recv is Receive under the name that gRPC uses.
func (s connectStream) Recv() (*rousev1.IngestRequest, error) { return s.Receive() }

// IngestBatch takes one batch. It answers a little before the caller stops
// waiting, so that he learns what is known by then.
func (s *intake) IngestBatch(ctx context.Context, r *rousev1.IngestBatchRequest) (*rousev1.IngestBatchResponse, error) {
	app, err := callerOf(ctx).scope("")
	if err != nil {
		return nil, err
	}
	if err := checkLength(r.GetEvents()); err != nil {
		return nil, err
	}
	now := time.Now()
	var node actors.Node
	if ref := r.GetNode(); ref != nil {
		if wrong := s.check(ref); wrong != nil {
			return nil, &refusal{wrong}
		}
		if node, err = s.grant(app, ref, now); err != nil {
			return nil, err
		}
	}
	finished := make(chan struct{})
	b := &batch{finished: func(*batch) { close(finished) }}
	s.submit(b, app, node, r.GetEvents(), now)
	ctx, cancel := early(ctx, now)
	defer cancel()
	select {
	case <-finished:
	case <-ctx.Done():
	}
	return &rousev1.IngestBatchResponse{Items: s.results(make([]*rousev1.ItemResult, 0, len(b.events)), b)}, nil
}

// early ends a tenth of the remaining time, at most 200 ms, before ctx.
func early(ctx context.Context, now time.Time) (context.Context, context.CancelFunc) {
	end, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	return context.WithDeadline(ctx, end.Add(-min(end.Sub(now)/10, 200*time.Millisecond)))
}

// grant takes a sign of life of an IM node.
func (g *Gateway) grant(app string, ref *rousev1.NodeRef, now time.Time) (actors.Node, error) {
	node := actors.Node{Name: ref.GetName(), Incarnation: ref.GetIncarnation()}
	return node, g.Leases.Grant(app, node, now)
}
