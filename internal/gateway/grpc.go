package gateway

import (
	"context"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

const (
	// pingAfter and pingTimeout find IM nodes that are gone without a word.
	pingAfter   = 10 * time.Second
	pingTimeout = 5 * time.Second
	// clientPingEvery is how often callers may ping.
	clientPingEvery = 5 * time.Second
	maxHeaderBytes  = 16 << 10
	handshakeTime   = 10 * time.Second
)

func (g *Gateway) newGRPC() *grpc.Server {
	options := []grpc.ServerOption{
		grpc.MaxRecvMsgSize(g.RequestBytes),
		grpc.MaxHeaderListSize(maxHeaderBytes),
		grpc.MaxConcurrentStreams(uint32(g.Streams)),
		grpc.ConnectionTimeout(handshakeTime),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: pingAfter, Timeout: pingTimeout}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: clientPingEvery, PermitWithoutStream: true}),
		grpc.UnaryInterceptor(g.grpcUnary),
		grpc.StreamInterceptor(g.grpcStream),
	}
	if g.TLS != nil {
		options = append(options, grpc.Creds(credentials.NewTLS(g.TLS)))
	}
	server := grpc.NewServer(options...)
	rousev1.RegisterIntakeServiceServer(server, &intake{Gateway: g})
	rousev1.RegisterDeviceServiceServer(server, &device{Gateway: g})
	rousev1.RegisterUserServiceServer(server, &user{Gateway: g})
	rousev1.RegisterSettingsServiceServer(server, &settings{Gateway: g})
	rousev1.RegisterTraceServiceServer(server, &trace{Gateway: g})
	rousev1.RegisterAdminServiceServer(server, &led{admin{Gateway: g}})
	rousev1.RegisterBackupServiceServer(server, &backups{Gateway: g})
	rousev1.RegisterClusterServiceServer(server, &cluster{Gateway: g})
	return server
}

func (g *Gateway) grpcAdmit(ctx context.Context, method string) (context.Context, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	return g.admit(ctx, method, read(func(name string) string { return first(md, name) }), time.Now())
}

func first(md metadata.MD, name string) string {
	if values := md.Get(name); len(values) > 0 {
		return values[0]
	}
	return ""
}

func (g *Gateway) grpcUnary(ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (response any, err error) {
	start := time.Now()
	admitted, err := g.grpcAdmit(ctx, info.FullMethod)
	if err != nil {
		return nil, g.ended(ctx, info.FullMethod, start, err)
	}
	err = g.unary(admitted, info.FullMethod, request.(proto.Message), func(ctx context.Context) (err error) {
		response, err = handler(ctx, request)
		return err
	})
	if err != nil {
		return nil, err
	}
	return response, nil
}

func (g *Gateway) grpcStream(server any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	start := time.Now()
	ctx, err := g.grpcAdmit(stream.Context(), info.FullMethod)
	if err != nil {
		return g.ended(stream.Context(), info.FullMethod, start, err)
	}
	return g.ended(ctx, info.FullMethod, start, handler(server, admittedStream{stream, ctx}))
}

// admittedStream is a stream whose context knows the caller.
type admittedStream struct {
	grpc.ServerStream
	ctx context.Context //nolint:containedctx // it replaces the stream's own
}

// Context of the stream.
func (s admittedStream) Context() context.Context { return s.ctx }
