package gateway

import (
	"context"
	"errors"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

// callTimeout bounds a unary call whose caller set no earlier deadline.
const callTimeout = 30 * time.Second

// unary runs an admitted call: validation, deadline, the call itself, and what
// is noted about it. Its error is always a *refusal.
func (g *Gateway) unary(ctx context.Context, method string, request proto.Message, next func(context.Context) error) error {
	start := time.Now()
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	var err error
	if wrong := g.checkRequest(method, request); wrong != nil {
		err = &refusal{wrong}
	} else {
		err = next(ctx)
	}
	return g.ended(ctx, method, start, err)
}

// checkRequest leaves batches to IngestBatch, which refuses single events.
func (g *Gateway) checkRequest(method string, request proto.Message) *rousev1.Error {
	if method == rousev1.IntakeService_IngestBatch_FullMethodName {
		return nil
	}
	return g.check(request)
}

// ended counts and logs a call, and makes its error one that may be shown.
func (g *Gateway) ended(ctx context.Context, method string, start time.Time, err error) error {
	took := time.Since(start)
	who := callerOf(ctx)
	if err == nil {
		g.metrics.ended(method, 0, took)
		g.Logger.DebugContext(ctx, "call", "method", method, "code", "OK", "key", who.KeyID, "app", who.app, "took", took)
		return nil
	}
	r, known := asRefusal(err)
	if !known {
		g.Logger.ErrorContext(ctx, "call failed", "method", method, "key", who.KeyID, "app", who.app, "error", err)
	}
	code := r.detail.GetCode()
	g.metrics.ended(method, code, took)
	g.Logger.DebugContext(ctx, "call", "method", method, "code", codeName(code), "key", who.KeyID, "app", who.app, "took", took)
	return r
}

// unreadable is the refusal of a message that gRPC or Connect could not read.
// Their texts may quote what was sent, so they are not passed on.
func unreadable(err error) error {
	code := status.Code(err)
	if ce, ok := errors.AsType[*connect.Error](err); ok {
		code = codes.Code(ce.Code())
	}
	switch code {
	case codes.ResourceExhausted:
		return refuse(rousev1.ErrorCode_ERROR_CODE_LIMIT_EXCEEDED, "a message is larger than this server takes; send smaller batches")
	case codes.Canceled, codes.DeadlineExceeded, codes.Unavailable:
		return context.Canceled
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return context.Canceled
	}
	return refuse(rousev1.ErrorCode_ERROR_CODE_INVALID_ARGUMENT, "a message cannot be decoded; is it of the type that the method takes?")
}
