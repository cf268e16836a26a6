// Package memnet is one network in memory for everything that nodes say to each
// other: gossip, connections and actor messages. A fault of a link therefore
// hits all three. Delays are timers, so in a testing/synctest bubble they take
// fake time; nothing of it needs a goroutine that lives on.
//
// Packets are lost by a cut and by chance, and may overtake each other. Bytes of
// a connection keep their order and wait for a cut or clogged link, as TCP
// would repeat them: who uses a connection has to notice by its own timeouts.
package memnet

import (
	"context"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// Options of a network; a zero field has the default it names.
type Options struct {
	Seed      uint64
	Latency   time.Duration // one way, of every link; 0 = 500 µs
	Jitter    time.Duration // added, evenly from none to this
	Loss      float64       // share of packets that get lost, 0..1
	Bandwidth int           // of each direction of a link, bytes per second; 0 = not limited
	// How long actor messages wait for a link that delivers nothing before they
	// are lost, as a transport gives a connection up; 0 = 10 s.
	Break time.Duration
	// When a sender learns that nobody takes actor messages at an address; 0 = 1.5 s.
	Unreachable time.Duration
}

// maxHosts is what the address scheme 10.77.x.y of hosts can tell apart.
const maxHosts = 1 << 16

// Net is a network of hosts.
type Net struct {
	o Options

	mu    sync.Mutex // guards all below, and hosts, links and connections
	names []string   // in order of appearance; the index makes the address
	hosts map[string]*Host
	links map[[2]string]*link
}

// New makes a network without hosts.
func New(o Options) *Net {
	if o.Latency == 0 {
		o.Latency = 500 * time.Microsecond
	}
	if o.Break == 0 {
		o.Break = 10 * time.Second
	}
	if o.Unreachable == 0 {
		o.Unreachable = 1500 * time.Millisecond
	}
	return &Net{o: o, hosts: map[string]*Host{}, links: map[[2]string]*link{}}
}

// Host is one run of a machine: after a crash everything that is asked of it
// fails, and Net.Host gives the next run, which has the same name and address.
type Host struct {
	n    *Net
	name string
	ip   net.IP

	gone      chan struct{} // closed by a crash
	down      bool
	frozen    bool
	port      int // the last one given out by itself
	listeners map[int]*listener
	gossips   map[int]*Gossip
	systems   map[int]*actor.ActorSystem
	ends      map[*end]struct{}
}

// firstPort is where ports begin that are not chosen by the caller.
const firstPort = 49152

// Host returns the running host of that name; it starts one if there is none.
func (n *Net) Host(name string) *Host {
	n.mu.Lock()
	defer n.mu.Unlock()
	if h := n.hosts[name]; h != nil && !h.down {
		return h
	}
	i := slices.Index(n.names, name)
	if i < 0 {
		i = len(n.names)
		n.names = append(n.names, name)
	}
	h := &Host{
		n: n, name: name, gone: make(chan struct{}), ip: net.IPv4(10, 77, byte(i%maxHosts>>8), byte(i)).To4(), port: firstPort,
		listeners: map[int]*listener{}, gossips: map[int]*Gossip{}, systems: map[int]*actor.ActorSystem{}, ends: map[*end]struct{}{},
	}
	n.hosts[name] = h
	return h
}

// Name returns the name of the host.
func (h *Host) Name() string { return h.name }

// Addr returns ip:port, as other hosts reach a port of this one.
func (h *Host) Addr(port int) string { return net.JoinHostPort(h.ip.String(), strconv.Itoa(port)) }

// LookupHost returns the address of a host by name, or an address as it is.
func (n *Net) LookupHost(_ context.Context, name string) ([]string, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	h := n.find(name)
	if h == nil {
		return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
	}
	return []string{h.ip.String()}, nil
}

// find returns the last run of a host by name or address, nil if there was
// never one. n.mu is held.
func (n *Net) find(name string) *Host {
	if h := n.hosts[name]; h != nil {
		return h
	}
	ip := net.ParseIP(name).To4()
	if ip == nil || ip[0] != 10 || ip[1] != 77 {
		return nil
	}
	if i := int(ip[2])<<8 | int(ip[3]); i < len(n.names) {
		return n.hosts[n.names[i]]
	}
	return nil
}

// target reads host:port as h means it. n.mu is held.
func (h *Host) target(addr string) (to *Host, port int, err error) {
	host, p, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, 0, err
	}
	port, err = strconv.Atoi(p)
	if err != nil || port < 0 || port > 65535 {
		return nil, 0, fmt.Errorf("memnet: port of %q is no number up to 65535", addr)
	}
	if ip := net.ParseIP(host); host == "" || host == "localhost" || ip != nil && (ip.IsLoopback() || ip.IsUnspecified()) {
		return h, port, nil
	}
	if to = h.n.find(host); to == nil {
		return nil, 0, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	return to, port, nil
}

// bind checks that h may open addr and chooses a port for 0. n.mu is held.
func (h *Host) bind(addr string, used func(port int) bool) (int, error) {
	if h.down {
		return 0, fmt.Errorf("memnet: host %s is down", h.name)
	}
	to, port, err := h.target(addr)
	switch {
	case err != nil:
		return 0, err
	case to != h:
		return 0, fmt.Errorf("memnet: %s is no address of host %s", addr, h.name)
	case port != 0 && used(port):
		return 0, fmt.Errorf("memnet: %s of host %s: address already in use", addr, h.name)
	case port != 0:
		return port, nil
	}
	for h.port < 65535 {
		h.port++
		if !used(h.port) {
			return h.port, nil
		}
	}
	return 0, fmt.Errorf("memnet: host %s has no free port", h.name)
}

// link returns the state of one direction. n.mu is held.
func (n *Net) link(from, to string) *link {
	k := [2]string{from, to}
	l := n.links[k]
	if l == nil {
		// One source for each link: what one link draws does not change what
		// another one gets.
		sum := fnv.New64a()
		_, _ = sum.Write([]byte(from + "\x00" + to)) // never fails
		l = &link{n: n, from: from, to: to, latency: n.o.Latency, jitter: n.o.Jitter, loss: n.o.Loss, random: rand.New(rand.NewPCG(n.o.Seed, sum.Sum64()))}
		if from == to {
			l.latency, l.jitter, l.loss = 0, 0, 0
		}
		n.links[k] = l
	}
	return l
}
