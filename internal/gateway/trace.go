package gateway

import (
	"context"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

// trace serves TraceService on gRPC and Connect.
type trace struct {
	rousev1.UnimplementedTraceServiceServer
	*Gateway
}

// Explain decides a message for a user as if it came now.
func (s *trace) Explain(ctx context.Context, r *rousev1.ExplainRequest) (*rousev1.ExplainResponse, error) {
	return ask[*rousev1.ExplainResponse](ctx, s.Gateway, r)
}
