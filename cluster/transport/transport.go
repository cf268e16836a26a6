// Package transport brings actor messages to other nodes: protoactor's remote,
// inside a fence. As it is, remote takes any message for any actor from whoever
// connects, and a message of an unknown type, or one with an index out of range,
// ends the process. Here both sides show a certificate of the cluster, only types
// and actors that are known pass, and an IM node speaks for its own app alone.
//
// A message may get lost; nothing is repeated. What waits for a peer is not
// bounded here: who asks bounds what is under way to each.
package transport

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	protoremote "github.com/asynkron/protoactor-go/remote"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"

	"github.com/rouse-im/rouse/cluster/certs"
)

const (
	// MaxMessage is the longest message, in bytes. A longer one is not sent: its
	// sender gets an actor.DeadLetterResponse.
	MaxMessage = 4 << 20
	// maxBatch bounds the messages that travel together, in bytes.
	maxBatch = 2 * MaxMessage
	// maxReceive is what a peer takes: a batch, its tables of names and actors.
	maxReceive = 4 * MaxMessage

	// leaveTime is how long Close waits for the port to be free; longer, and
	// somebody else has taken it.
	leaveTime = time.Second

	batchMessages = 256
	queueInitial  = 1024 // it grows; the library's own default is 15 MiB a peer
	maxStreams    = 8    // of one connection
)

// Options of Start.
type Options struct {
	// Listen is host:port of the socket; port 0 = a free one. Advertise is how
	// others reach it and how they name this node's actors; empty = the socket's
	// own address.
	Listen, Advertise string
	// Identity is what this side shows. With that of an IM node, all peers are nodes.
	Identity *certs.Identity
	// Target says which actors of this node a peer may send to, by their ids.
	Target func(id string) bool
	// Member says whether an address is a node's actors address: no IM node may
	// pass for it. nil = only this node's own is known.
	Member  func(address string) bool
	Logger  *slog.Logger          // nil = none
	Metrics prometheus.Registerer // nil = not registered
}

// Remote is the way from and to other nodes of one actor system.
type Remote struct {
	o       Options
	log     *slog.Logger
	sys     *actor.ActorSystem
	remote  *protoremote.Remote
	metrics *metrics
	guests  guests

	mu      sync.Mutex
	closed  bool
	streams map[*sender]struct{}
}

// Start listens, and gives the system its address: actors that exist before have
// none that others can answer to. It may be called once for a system. The library
// silences gRPC's own log of the whole process, so call it before other servers
// run.
func Start(sys *actor.ActorSystem, o Options) (*Remote, error) {
	if o.Identity == nil || o.Target == nil {
		return nil, errors.New("transport: Identity and Target must be given")
	}
	host, p, err := net.SplitHostPort(o.Listen)
	if err != nil {
		return nil, fmt.Errorf("transport: address to listen at: %w", err)
	}
	port, err := strconv.ParseUint(p, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("transport: address to listen at: port %q is no number up to 65535", p)
	}
	if ip := net.ParseIP(host); o.Advertise == "" && (host == "" || ip != nil && ip.IsUnspecified()) {
		return nil, fmt.Errorf("transport: %s is every address of the machine: say by which one others reach it", o.Listen)
	}
	if strings.Contains(host, ":") {
		host = "[" + host + "]" // the library does not
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	m, err := newMetrics(o.Metrics)
	if err != nil {
		return nil, fmt.Errorf("transport: %w", err)
	}
	r := &Remote{o: o, log: o.Logger, sys: sys, metrics: m, streams: map[*sender]struct{}{}}
	config := protoremote.Configure(host, int(port),
		protoremote.WithAdvertisedHost(o.Advertise),
		protoremote.WithServerOptions(r.serverOptions()...),
		protoremote.WithDialOptions(r.dialOptions()...),
		protoremote.WithEndpointWriterBatchSize(batchMessages),
		protoremote.WithEndpointWriterQueueSize(queueInitial))
	config.MaxRetryCount = 1 // another attempt follows with the next message
	r.remote = protoremote.NewRemote(sys, config)
	if err := r.listen(); err != nil {
		m.unregister(o.Metrics)
		return nil, err
	}
	return r, nil
}

// listen turns the library's panic, when the port is taken, into an error.
func (r *Remote) listen() (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("transport: %s: %v", r.o.Listen, p)
		}
	}()
	r.remote.Start()
	return nil
}

// Address is how others name this node's actors.
func (r *Remote) Address() string { return r.sys.Address() }

// serverOptions are for those who connect to us.
func (r *Remote) serverOptions() []grpc.ServerOption {
	var accept func(certs.Peer) error // only nodes
	if r.o.Identity.Self().IsNode() {
		accept = func(certs.Peer) error { return nil } // the guard tells them apart
	}
	return []grpc.ServerOption{
		grpc.Creds(credentials.NewTLS(r.o.Identity.TLS(accept))),
		grpc.StreamInterceptor(r.guardStream), grpc.UnaryInterceptor(guardUnary),
		grpc.MaxRecvMsgSize(maxReceive), grpc.MaxConcurrentStreams(maxStreams),
		grpc.ConnectionTimeout(3 * time.Second), grpc.WaitForHandlers(true),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: time.Second, PermitWithoutStream: true}),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: 2 * time.Second, Timeout: 3 * time.Second}),
	}
}

// Disconnect ends the connection to a node's actors, for when it is known to be
// dead: what waits for it is lost, and the next message dials again.
func (r *Remote) Disconnect(address string) {
	r.end(func(s *sender) bool { return s.address == address })
}

func (r *Remote) end(which func(*sender) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for s := range r.streams {
		if which(s) {
			s.cancel()
		}
	}
}

// Close ends all connections at once; what is under way gets lost. Messages to
// other nodes become dead letters from then on. It may be called again.
func (r *Remote) Close() {
	r.mu.Lock()
	closed := r.closed
	r.closed = true
	r.mu.Unlock()
	if closed {
		return
	}
	r.end(func(*sender) bool { return true })
	// Not graceful: the library's way of that clears tables that others read.
	r.remote.Shutdown(false)
	r.leavePort()
	r.metrics.unregister(r.o.Metrics)
}

// leavePort waits until the port is free: the library listens at once and serves
// in a goroutine, which closes the port only when it runs and finds the server
// stopped.
func (r *Remote) leavePort() {
	address := r.o.Listen
	if _, port, _ := net.SplitHostPort(address); port == "0" {
		if r.o.Advertise != "" {
			return // nobody comes back to a port that was chosen by chance and is not known
		}
		address = r.Address()
	}
	again := time.NewTicker(time.Millisecond)
	defer again.Stop()
	for late := time.Now().Add(leaveTime); time.Now().Before(late); <-again.C {
		if l, err := net.Listen("tcp", address); err == nil {
			_ = l.Close() // it was bound, so it is free
			return
		}
	}
}

// open notes a stream, unless all are closed.
func (r *Remote) open(s *sender) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return errors.New("transport: closed")
	}
	r.streams[s] = struct{}{}
	return nil
}

func (r *Remote) forget(s *sender) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.streams, s)
}

// expect says whether p may be who listens at an address.
func (r *Remote) expect(address string, p certs.Peer) error {
	if guest, ok := r.guests.at(address); ok && guest != p {
		return fmt.Errorf("transport: %s answers at the address of %s", p, guest)
	} else if !ok && !p.IsNode() {
		return fmt.Errorf("transport: %s answers at an address that is no IM node's", p)
	}
	return nil
}
