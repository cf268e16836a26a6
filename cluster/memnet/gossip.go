package memnet

import (
	"context"
	"net"
	"time"

	"github.com/hashicorp/memberlist"
)

// packetQueue bounds the packets that wait to be read; more are lost.
const packetQueue = 1024

// Gossip is a memberlist.Transport at one port of a host. Nothing that it does
// waits for a peer that does not read.
type Gossip struct {
	h       *Host
	l       *listener
	packets chan *memberlist.Packet
}

var _ memberlist.Transport = (*Gossip)(nil)

// Gossip opens a port for packets and connections.
func (h *Host) Gossip(addr string) (*Gossip, error) {
	l, err := h.listen(addr)
	if err != nil {
		return nil, err
	}
	g := &Gossip{h: h, l: l, packets: make(chan *memberlist.Packet, packetQueue)}
	h.n.mu.Lock()
	defer h.n.mu.Unlock()
	h.gossips[l.port] = g
	return g, nil
}

// FinalAdvertiseAddr returns the address of the host.
func (g *Gossip) FinalAdvertiseAddr(string, int) (net.IP, int, error) { return g.h.ip, g.l.port, nil }

// WriteTo sends a packet. As with UDP, a lost one is no error.
func (g *Gossip) WriteTo(b []byte, addr string) (time.Time, error) {
	now := time.Now()
	n := g.h.n
	n.mu.Lock()
	defer n.mu.Unlock()
	if g.h.down {
		return now, net.ErrClosed
	}
	to, port, err := g.h.target(addr)
	if err != nil {
		return now, err
	}
	name, from := to.name, &net.UDPAddr{IP: g.h.ip, Port: g.l.port}
	b = append([]byte(nil), b...)
	n.link(g.h.name, name).packet(len(b), func() { n.take(name, port, &memberlist.Packet{Buf: b, From: from}) })
	return now, nil
}

// take is a packet at its target.
func (n *Net) take(name string, port int, p *memberlist.Packet) {
	n.mu.Lock()
	defer n.mu.Unlock()
	g := n.hosts[name].gossips[port]
	if g == nil {
		return
	}
	p.Timestamp = time.Now()
	select {
	case g.packets <- p:
	default:
	}
}

// PacketCh gives what arrives.
func (g *Gossip) PacketCh() <-chan *memberlist.Packet { return g.packets }

// DialTimeout connects to a peer.
func (g *Gossip) DialTimeout(addr string, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return g.h.Dial(ctx, addr)
}

// StreamCh gives connections of peers.
func (g *Gossip) StreamCh() <-chan net.Conn { return g.l.queue }

// Shutdown closes the port.
func (g *Gossip) Shutdown() error {
	g.h.n.mu.Lock()
	if g.h.gossips[g.l.port] == g {
		delete(g.h.gossips, g.l.port)
	}
	g.h.n.mu.Unlock()
	return g.l.Close()
}
