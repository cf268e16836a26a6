package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"time"

	"github.com/hashicorp/memberlist"
)

// How soon the death of a node is noticed: it is probed about once in
// probeInterval times the number of nodes by each other one, and suspected for
// twice probeInterval times log10 of that number, at least once that.
const (
	probeInterval  = 300 * time.Millisecond
	probeTimeout   = 150 * time.Millisecond
	suspicionMult  = 2
	suspicionMax   = 3 // times the shortest suspicion, while few others confirm it
	gossipInterval = 100 * time.Millisecond
	// A node that hears no answers doubts itself first and probes this many times
	// slower at most: more, and an isolated one would not notice for long.
	doubtMax      = 3
	fullInterval  = 5 * time.Second // complete exchange with one other node
	streamTimeout = 3 * time.Second
	// A name is given to another address when its node was dead for so long.
	reclaimAfter = 3 * time.Second
)

// Options of a node's membership.
type Options struct {
	// Name is stable, and one in the cluster.
	Name string
	// Label keeps apart clusters that can reach each other; up to 255 bytes.
	Label string
	// Listen is host:port for packets and connections; port 0 = a free one.
	Listen string
	// Advertise is the host:port that others use; empty = Listen, or a private
	// address of the machine if that is 0.0.0.0.
	Advertise string
	// Keys encrypts all gossip, and refuses what is not. It may be nil only if
	// Listen is a loopback address.
	Keys *Keyring
	// Allow refuses other networks than these; nil = all.
	Allow []net.IPNet
	// Seeds are host:port of nodes to begin with; a host name may stand for
	// several. They are asked again for ever, see rejoinInterval.
	Seeds []string
	// Known gives more of them, each round anew: where members were at last, with
	// an IP as host. It must not block; nil = none.
	Known func() []string
	// Resolve gives the addresses of a host name; nil = the system's resolver.
	Resolve func(ctx context.Context, host string) ([]string, error)
	// Transport replaces the sockets, and Listen and Advertise with them.
	Transport memberlist.Transport
	// Pace is how many times slower this node gossips and notices deaths; 0 = 1. It
	// is for simulations of days.
	Pace int
	// Self is what this node tells of itself. System must be set; Name, Epoch and
	// Addresses.Gossip are filled in.
	Self Member
	// Changed is told of each change, from one goroutine: all members, sorted by
	// name, with this node. It must not call Leave or Close.
	Changed func([]Member)
	// Expect names nodes without which the keys must not change, alive or not.
	Expect func() []string
	Logger *slog.Logger
}

func (o *Options) check() error {
	var faults []error
	if o.Name == "" {
		faults = append(faults, errors.New("cluster: Name is empty"))
	}
	if len(o.Label) > memberlist.LabelMaxSize {
		faults = append(faults, fmt.Errorf("cluster: Label has %d bytes, the most is %d", len(o.Label), memberlist.LabelMaxSize))
	}
	if o.Logger == nil {
		faults = append(faults, errors.New("cluster: Logger is missing"))
	}
	for _, s := range o.Seeds {
		if _, _, err := net.SplitHostPort(s); err != nil {
			faults = append(faults, fmt.Errorf("cluster: seed %q is not host:port", s))
		}
	}
	if o.Resolve == nil {
		o.Resolve = net.DefaultResolver.LookupHost
	}
	return errors.Join(faults...)
}

// config is what memberlist runs with.
func (o *Options) config(ctx context.Context) (*memberlist.Config, error) {
	c := memberlist.DefaultLANConfig()
	c.Name, c.Label, c.CIDRsAllowed = o.Name, o.Label, o.Allow
	c.ProbeInterval, c.ProbeTimeout = probeInterval, probeTimeout
	c.SuspicionMult, c.SuspicionMaxTimeoutMult = suspicionMult, suspicionMax
	c.GossipInterval, c.PushPullInterval, c.TCPTimeout = gossipInterval, fullInterval, streamTimeout
	if pace := time.Duration(o.Pace); pace > 1 {
		c.ProbeInterval, c.ProbeTimeout, c.GossipInterval, c.PushPullInterval = pace*c.ProbeInterval, pace*c.ProbeTimeout, pace*c.GossipInterval, pace*c.PushPullInterval
	}
	c.AwarenessMaxMultiplier = doubtMax
	c.DeadNodeReclaimTime = reclaimAfter
	if o.Keys != nil {
		c.Keyring = o.Keys.ring
	}
	c.Logger = slog.NewLogLogger(lines{o.Logger.Handler()}, slog.LevelDebug)
	if o.Transport != nil {
		c.Transport, c.EnableCompression = o.Transport, false // memory is wide enough
		return c, nil
	}
	host, port, err := o.address(ctx, "Listen", o.Listen)
	if err != nil {
		return nil, err
	}
	if o.Keys == nil && !net.ParseIP(host).IsLoopback() {
		return nil, fmt.Errorf("cluster: gossip would listen on %s without keys; give it a keyring, or a loopback address", o.Listen)
	}
	c.BindAddr, c.BindPort, c.AdvertisePort = host, port, port
	if o.Advertise != "" {
		if c.AdvertiseAddr, c.AdvertisePort, err = o.address(ctx, "Advertise", o.Advertise); err != nil {
			return nil, err
		}
		if c.AdvertisePort == 0 {
			c.AdvertisePort = port
		}
	}
	return c, nil
}

// address makes an IP of the host: memberlist takes no names here.
func (o *Options) address(ctx context.Context, field, addr string) (ip string, port int, err error) {
	host, p, err := net.SplitHostPort(addr)
	if err != nil {
		return "", 0, fmt.Errorf("cluster: %s %q is not host:port", field, addr)
	}
	if port, err = strconv.Atoi(p); err != nil || port < 0 || port > 65535 {
		return "", 0, fmt.Errorf("cluster: port of %s %q is no number up to 65535", field, addr)
	}
	if host == "" {
		host = "0.0.0.0"
	}
	if net.ParseIP(host) != nil {
		return host, port, nil
	}
	ips, err := o.Resolve(ctx, host)
	if err != nil || len(ips) == 0 {
		return "", 0, fmt.Errorf("cluster: host of %s %q has no address: %w", field, addr, err)
	}
	return ips[0], port, nil
}
