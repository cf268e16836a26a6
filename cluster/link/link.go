// Package link carries frames between nodes: one connection for each direction
// and peer, which the frames of all groups share, and a connection of its own
// for each bulk transfer, so that heartbeats never wait behind a snapshot.
//
// Frames may get lost when a connection breaks, and those of one connection
// arrive in order. Nothing is repeated: who sends knows what became obsolete.
package link

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// MaxFrame is the longest frame, in bytes. Each takes as much memory at the
// receiver.
const MaxFrame = 64 << 20

const (
	keepalive  = time.Second     // an idle connection says that often that it lives
	silence    = 3 * keepalive   // and is given up when it has been silent for so long
	handshake  = 3 * time.Second // for dialling, TLS and hello together
	handshakes = 64              // at once, of those who dialled us; more are refused
	bulks      = 4               // at once, from one peer; more are refused
)

// Why Send refuses a frame.
var (
	ErrDown    = errors.New("link: not connected to the peer")
	ErrFull    = errors.New("link: the queue to the peer is full")
	ErrTooLong = fmt.Errorf("link: a frame must have 1 to %d bytes", MaxFrame)
	ErrClosed  = errors.New("link: closed")
)

// Options of Start. The functions must not call SetPeers or Close.
type Options struct {
	// Self is the id that this node gives itself. Not 0.
	Self uint64
	// Cluster keeps clusters apart: both sides must name the same. Up to 255 bytes.
	Cluster string
	// Listener is closed by Close.
	Listener net.Listener
	Dial     func(ctx context.Context, addr string) (net.Conn, error)
	// TLS of both sides: a server's settings come from GetConfigForClient if it is
	// set. It must demand a certificate of both. nil = plaintext, for networks in
	// memory.
	TLS *tls.Config
	// Verify says whether a certificate belongs to peer; nil = TLS has seen to it.
	Verify func(peer uint64, state tls.ConnectionState) error
	// Receive takes over a frame. While it blocks, the peer's frames wait at the
	// peer; after 3 s that takes this node for dead and drops them.
	Receive func(from uint64, frame []byte)
	// Bulk takes over a connection that a peer's Open made, deadlines included. It
	// runs in a goroutine of its own, and what it gives the connection to closes
	// it: until then it takes one of the peer's 4 places. nil = none are accepted.
	Bulk func(from uint64, conn net.Conn)
	// Up says that both directions are connected, Down that they are no longer:
	// at once when either connection ends, even if it comes back. The two take
	// turns for each peer, and must not block. Frames may come and go before Up.
	Up, Down func(peer uint64)
	// What may wait for one peer; 0 = 64 MiB and 8192 frames. One frame that is
	// longer than all of QueueBytes is accepted by an empty queue.
	QueueBytes, QueueFrames int
	// Pace is how many times slower signs of life come and are missed; 0 = 1. It is
	// for simulations of days.
	Pace    int
	Logger  *slog.Logger          // nil = none
	Metrics prometheus.Registerer // nil = not registered
}

// Link is this node's connections to all peers.
type Link struct {
	o       Options
	log     *slog.Logger
	metrics *metrics
	ctx     context.Context
	cancel  context.CancelFunc
	running sync.WaitGroup
	knocks  chan struct{} // one for each handshake of those who dialled us

	setting sync.Mutex // held by SetPeers and Close from end to end
	mu      sync.RWMutex
	closed  bool
	peers   map[uint64]*peer
}

// Start listens. Until SetPeers names them, all peers are refused.
func Start(o Options) (*Link, error) {
	switch {
	case o.Self == 0:
		return nil, errors.New("link: Self is 0, which is nobody's id")
	case len(o.Cluster) > 255:
		return nil, fmt.Errorf("link: the cluster's name has %d bytes, more than 255", len(o.Cluster))
	case o.Listener == nil || o.Dial == nil || o.Receive == nil:
		return nil, errors.New("link: Listener, Dial and Receive must be given")
	}
	if o.QueueBytes == 0 {
		o.QueueBytes = 64 << 20
	}
	if o.QueueFrames == 0 {
		o.QueueFrames = 8192
	}
	o.Pace = max(1, o.Pace)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	m, err := newMetrics(o.Metrics)
	if err != nil {
		return nil, fmt.Errorf("link: %w", err)
	}
	l := &Link{o: o, log: o.Logger, metrics: m, knocks: make(chan struct{}, handshakes), peers: map[uint64]*peer{}}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	l.running.Go(l.accept)
	return l, nil
}

// SetPeers names all peers, by id and address. New ones are dialled at once, as
// are those that wait before another attempt. The connections of peers that are
// no longer named end, Down included; those of an address that changed are made
// anew. This node's own id is passed over.
func (l *Link) SetPeers(addrs map[uint64]string) {
	l.setting.Lock()
	defer l.setting.Unlock()
	for _, p := range l.replace(addrs) {
		p.remove(true)
	}
}

// replace answers the peers that are no longer named.
func (l *Link) replace(addrs map[uint64]string) (gone []*peer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	for id, p := range l.peers {
		if _, ok := addrs[id]; !ok {
			delete(l.peers, id)
			gone = append(gone, p)
		}
	}
	for id, addr := range addrs {
		p := l.peers[id]
		switch {
		case id == l.o.Self:
		case p != nil:
			p.move(addr)
		default:
			p = newPeer(l, id, addr)
			l.peers[id] = p
			l.running.Go(p.run)
		}
	}
	return gone
}

// Send queues a frame, which is the link's from then on. It never blocks. nil
// does not mean that the frame will arrive.
func (l *Link) Send(to uint64, frame []byte) error {
	if len(frame) == 0 || len(frame) > MaxFrame {
		return ErrTooLong
	}
	p := l.peer(to)
	if p == nil {
		l.metrics.dropped.WithLabelValues(dropDown).Inc()
		return ErrDown
	}
	return p.send(frame)
}

// Open makes a connection for bulk data, which the caller closes; Close does so,
// too. The peer's Bulk gets its other end.
func (l *Link) Open(ctx context.Context, to uint64) (net.Conn, error) {
	p := l.peer(to)
	if p == nil {
		return nil, ErrDown
	}
	conn, err := l.dial(ctx, p.address(), hello{kind: kindBulk, from: l.o.Self, to: to, cluster: l.o.Cluster})
	if err != nil {
		return nil, err
	}
	return p.bulk(conn), nil
}

func (l *Link) peer(id uint64) *peer {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.peers[id]
}

// Close ends all connections and waits until no function of Options runs any
// more. It does not call Down.
func (l *Link) Close() error {
	l.setting.Lock()
	defer l.setting.Unlock()
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	l.closed = true
	peers := l.peers
	l.peers = map[uint64]*peer{}
	l.mu.Unlock()
	for _, p := range peers {
		p.remove(false)
	}
	l.cancel()
	err := l.o.Listener.Close()
	l.running.Wait()
	l.metrics.unregister(l.o.Metrics)
	return err
}
