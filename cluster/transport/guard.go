package transport

import (
	"context"
	"fmt"
	"log/slog"

	protoremote "github.com/asynkron/protoactor-go/remote"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/rouse-im/rouse/cluster/certs"
)

// guardUnary refuses what the library declares and answers with a panic.
func guardUnary(context.Context, any, *grpc.UnaryServerInfo, grpc.UnaryHandler) (any, error) {
	return nil, status.Error(codes.Unimplemented, "nodes exchange messages only")
}

// guardStream lets a peer's messages through the rules. A panic ends the peer's
// stream and nothing else.
func (r *Remote) guardStream(srv any, s grpc.ServerStream, _ *grpc.StreamServerInfo, handle grpc.StreamHandler) (err error) {
	from, err := whois(s.Context())
	if err != nil {
		return status.Error(codes.Unauthenticated, err.Error())
	}
	g := &guarded{ServerStream: s, r: r, from: from, rules: rules{r.Address(), r.o.Target}}
	r.metrics.streams.Inc()
	defer func() {
		r.metrics.streams.Dec()
		r.guests.leave(g.address)
		if p := recover(); p != nil {
			r.metrics.panics.Inc()
			r.log.Error("transport: a peer's message caused a panic; its stream ends", slog.String("peer", from.String()), slog.Any("panic", p))
			err = status.Error(codes.Internal, "the message caused a panic")
		}
	}()
	return handle(srv, g)
}

func whois(ctx context.Context) (certs.Peer, error) {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return certs.Peer{}, fmt.Errorf("transport: a connection of nobody")
	}
	info, ok := p.AuthInfo.(credentials.TLSInfo)
	if !ok {
		return certs.Peer{}, fmt.Errorf("transport: a connection without TLS")
	}
	return certs.PeerOf(info.State)
}

// guarded is one stream of a peer.
type guarded struct {
	grpc.ServerStream
	r       *Remote
	from    certs.Peer
	rules   rules
	address string // of an IM node, while it may use it
}

// RecvMsg answers the next thing that may pass.
func (g *guarded) RecvMsg(m any) error {
	for {
		if err := g.ServerStream.RecvMsg(m); err != nil {
			return err
		}
		rm, ok := m.(*protoremote.RemoteMessage)
		if !ok {
			return status.Error(codes.Internal, "not a message of remote")
		}
		switch {
		case rm.GetMessageBatch() != nil:
			if g.filter(rm.GetMessageBatch()) {
				return nil
			}
		case rm.GetConnectRequest().GetServerConnection() != nil:
			return g.greet(rm.GetConnectRequest().GetServerConnection().GetAddress())
		default:
			g.r.metrics.dropped.WithLabelValues(dropForm).Inc()
		}
	}
}

// greet lets an IM node be answered at its address. Nodes need no permission.
func (g *guarded) greet(address string) error {
	if g.from.IsNode() {
		return nil
	}
	err := g.r.welcome(address, g.from)
	if err == nil && g.address != "" {
		g.r.guests.leave(address)
		err = fmt.Errorf("transport: %s says hello twice", g.from)
	}
	if err != nil {
		g.r.metrics.dropped.WithLabelValues(dropSender).Inc()
		g.r.log.Warn("transport: refused an IM node", slog.Any("error", err))
		return status.Error(codes.PermissionDenied, err.Error())
	}
	g.address = address
	return nil
}

func (r *Remote) welcome(address string, p certs.Peer) error {
	if address == r.Address() || r.o.Member != nil && r.o.Member(address) {
		return fmt.Errorf("transport: %s gives the address %s, which is a node's", p, address)
	}
	return r.guests.enter(address, p)
}

// filter leaves in a batch what may pass.
func (g *guarded) filter(b *protoremote.MessageBatch) (some bool) {
	keep := b.Envelopes[:0]
	for _, e := range b.Envelopes {
		var why string
		if g.from.IsNode() {
			why = g.rules.check(b, e)
		} else {
			why = g.rules.checkGuest(g.from, g.address, b, e)
		}
		if why == "" {
			keep = append(keep, e)
			continue
		}
		g.r.metrics.dropped.WithLabelValues(why).Inc()
	}
	clear(b.Envelopes[len(keep):])
	b.Envelopes = keep
	g.r.metrics.received.Add(float64(len(keep)))
	return len(keep) > 0
}
