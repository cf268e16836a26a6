package app

import (
	"context"
	"fmt"
	"log/slog"
	"net"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/rouse-im/rouse/cluster"
	"github.com/rouse-im/rouse/cluster/certs"
	"github.com/rouse-im/rouse/cluster/transport"
)

// Network is how a node reaches others; nil in Options = sockets with the
// certificates of the cluster's directory. Simulations bring one in memory.
type Network struct {
	Listen func(address string) (net.Listener, error)
	Dial   func(ctx context.Context, address string) (net.Conn, error)
	// Gossip gives the membership its transport.
	Gossip func(o *cluster.Options, listen string) error
	// Actors gives the actor system its address and lets messages through.
	Actors func(sys *actor.ActorSystem, listen string) (stop func(), err error)
}

// sockets is the network of a real node.
type sockets struct {
	identity *certs.Identity
	keys     *cluster.Keyring
	// advertise is the host that others use; empty = that of each port.
	advertise string
	member    func(actors string) bool
	log       *slog.Logger
	metrics   prometheus.Registerer

	remote *transport.Remote
}

func (s *sockets) network() *Network {
	return &Network{
		Listen: func(address string) (net.Listener, error) { return net.Listen("tcp", address) },
		Dial: func(ctx context.Context, address string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", address)
		},
		Gossip: func(o *cluster.Options, listen string) error {
			o.Listen, o.Keys = listen, s.keys
			if s.advertise == "" {
				return nil
			}
			_, port, err := net.SplitHostPort(listen)
			o.Advertise = net.JoinHostPort(s.advertise, port)
			return err
		},
		Actors: s.actors,
	}
}

func (s *sockets) actors(sys *actor.ActorSystem, listen string) (func(), error) {
	o := transport.Options{
		Listen: listen, Identity: s.identity, Target: reachable, Member: s.member, Logger: s.log, Metrics: s.metrics,
	}
	if s.advertise != "" {
		_, port, err := net.SplitHostPort(listen)
		if err != nil {
			return nil, err
		}
		if port == "0" {
			return nil, fmt.Errorf("cluster.actors: port 0 cannot be advertised; choose a port")
		}
		o.Advertise = net.JoinHostPort(s.advertise, port)
	}
	remote, err := transport.Start(sys, o)
	if err != nil {
		return nil, fmt.Errorf("cluster.actors: %w; stop what uses the port, or set another", err)
	}
	s.remote = remote
	return remote.Close, nil
}
