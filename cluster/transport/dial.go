package transport

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	protoremote "github.com/asynkron/protoactor-go/remote"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"

	"github.com/rouse-im/rouse/cluster/certs"
)

// opening is how long messages wait for a peer that does not answer. The library
// waits 2 s more before it makes dead letters of them.
const opening = 1500 * time.Millisecond

func (r *Remote) dialOptions() []grpc.DialOption {
	inside := r.o.Identity.TLS(func(certs.Peer) error { return nil })
	return []grpc.DialOption{
		grpc.WithTransportCredentials(&callee{credentials.NewTLS(inside), r.expect}),
		grpc.WithConnectParams(grpc.ConnectParams{
			MinConnectTimeout: time.Second,
			Backoff:           backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 500 * time.Millisecond},
		}),
		// gRPC sends a sign of life every 10 s at most. Bytes that nobody
		// acknowledges end the connection after Timeout, where the kernel can tell.
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 10 * time.Second, Timeout: 3 * time.Second}),
		grpc.WithStreamInterceptor(r.dial),
		grpc.WithNoProxy(),
	}
}

// dial waits for a connection. The library itself gives up at the first failure
// and then sleeps for 2 s, so that a peer's quick restart would cost that long.
func (r *Remote) dial(ctx context.Context, d *grpc.StreamDesc, cc *grpc.ClientConn, method string, next grpc.Streamer, o ...grpc.CallOption) (grpc.ClientStream, error) {
	ctx, cancel := context.WithCancel(ctx)
	s := &sender{r: r, address: cc.Target(), cancel: cancel}
	if err := r.open(s); err != nil {
		cancel()
		return nil, err
	}
	late := time.AfterFunc(opening, cancel)
	stream, err := next(ctx, d, cc, method, append(o, grpc.WaitForReady(true))...)
	if !late.Stop() && err == nil {
		err = context.DeadlineExceeded
	}
	if err != nil {
		s.finish()
		return nil, fmt.Errorf("transport: %s: %w", s.address, err)
	}
	s.ClientStream = stream
	return s, nil
}

// sender is the stream to one peer.
type sender struct {
	grpc.ClientStream
	r       *Remote
	address string
	cancel  context.CancelFunc
	once    sync.Once
}

func (s *sender) finish() {
	s.once.Do(func() {
		s.cancel()
		s.r.forget(s)
	})
}

// RecvMsg hears how the stream ends; nothing else comes this way.
func (s *sender) RecvMsg(m any) error {
	err := s.ClientStream.RecvMsg(m)
	if err != nil {
		s.finish()
	}
	return err
}

// SendMsg sends a batch in as many parts as its length takes.
func (s *sender) SendMsg(m any) error {
	rm, ok := m.(*protoremote.RemoteMessage)
	if !ok || rm.GetMessageBatch() == nil {
		return s.ClientStream.SendMsg(m)
	}
	b := rm.GetMessageBatch()
	parts, long := split(b, MaxMessage, maxBatch)
	for _, e := range long {
		s.refuse(b, e)
	}
	for _, part := range parts {
		if err := s.ClientStream.SendMsg(&protoremote.RemoteMessage{MessageType: &protoremote.RemoteMessage_MessageBatch{MessageBatch: part}}); err != nil {
			return err
		}
		s.r.metrics.sent.Add(float64(len(part.GetEnvelopes())))
	}
	return nil
}

// refuse tells who sent a message that it is too long.
func (s *sender) refuse(b *protoremote.MessageBatch, e *protoremote.MessageEnvelope) {
	s.r.metrics.long.Inc()
	s.r.log.Error("transport: a message is too long to be sent", slog.String("to", s.address),
		slog.String("type", b.GetTypeNames()[e.GetTypeId()]), slog.Int("bytes", len(e.GetMessageData())), slog.Int("limit", MaxMessage))
	if e.GetSender() == 0 {
		return
	}
	from := b.GetSenders()[e.GetSender()-1]
	s.r.sys.Root.Send(&actor.PID{Address: from.GetAddress(), Id: from.GetId(), RequestId: e.GetSenderRequestId()},
		&actor.DeadLetterResponse{Target: b.GetTargets()[e.GetTarget()]})
}

// callee checks who is at the other end of a connection that we make.
type callee struct {
	credentials.TransportCredentials
	expect func(address string, p certs.Peer) error
}

// ClientHandshake takes the address for the authority, which it is for
// addresses of actors.
func (c *callee) ClientHandshake(ctx context.Context, address string, raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	conn, info, err := c.TransportCredentials.ClientHandshake(ctx, address, raw)
	if err != nil {
		return nil, nil, err
	}
	t, ok := info.(credentials.TLSInfo)
	if !ok {
		err = fmt.Errorf("transport: no TLS to %s", address)
	}
	var p certs.Peer
	if err == nil {
		p, err = certs.PeerOf(t.State)
	}
	if err == nil {
		err = c.expect(address, p)
	}
	if err != nil {
		conn.Close()
		return nil, nil, err
	}
	return conn, info, nil
}

// Clone is called for each connection.
func (c *callee) Clone() credentials.TransportCredentials {
	return &callee{c.TransportCredentials.Clone(), c.expect}
}
