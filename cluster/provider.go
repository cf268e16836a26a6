package cluster

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"

	protocluster "github.com/asynkron/protoactor-go/cluster"
)

// Provider tells protoactor's cluster who is alive. protoactor gives up for ever
// an id that it saw leave, so a member that comes back under such an id is told
// to take another one, and is left out until it has.
type Provider struct {
	m *Membership

	mu      sync.Mutex
	c       *protocluster.Cluster // nil before the start and after the end
	stop    func()
	started bool
}

var _ protocluster.ClusterProvider = (*Provider)(nil)

// NewProvider makes the provider of one actor system; it leaves the membership
// to who has joined it.
func NewProvider(m *Membership) *Provider { return &Provider{m: m} }

// StartMember begins to tell. The address of the actors must be the one that the
// membership tells others: a node that goes by two names sends to itself.
func (p *Provider) StartMember(c *protocluster.Cluster) error {
	if told, own := p.m.Self().Addresses.GetActors(), c.ActorSystem.Address(); told != own {
		return fmt.Errorf("cluster: actors are at %s, and the membership tells others %q", own, told)
	}
	if told, own := p.m.Self().System, c.ActorSystem.ID; told != own {
		return fmt.Errorf("cluster: the actor system has the id %s, and the membership tells others %q", own, told)
	}
	return p.start(c)
}

// StartClient begins to tell a system that others need not know.
func (p *Provider) StartClient(c *protocluster.Cluster) error { return p.start(c) }

func (p *Provider) start(c *protocluster.Cluster) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.started {
		return fmt.Errorf("cluster: a provider serves one actor system, once")
	}
	p.started, p.c = true, c
	p.stop = p.m.Watch(p.update)
	return nil
}

// Shutdown ends the telling; a second one does nothing. It must not be called
// by who is just being told of a topology.
func (p *Provider) Shutdown(bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.c != nil {
		p.stop()
		p.c = nil
	}
	return nil
}

// update runs in the one goroutine of the membership, as protoactor needs it.
func (p *Provider) update(now []Member) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.c == nil {
		return
	}
	given := p.c.Remote.BlockList()
	var told protocluster.Members
	for _, m := range now {
		if m.Unknown || m.Addresses.Actors == "" {
			continue // of another release, or a client
		}
		if given.IsBlocked(m.ID()) {
			p.m.Exile(m.ID())
			continue
		}
		host, port, err := hostPort(m.Addresses.Actors)
		if err != nil {
			p.m.log.Warn("cluster: member left out, nobody can reach its actors", "node", m.Name, "error", err)
			continue
		}
		told = append(told, &protocluster.Member{Id: m.ID(), Host: host, Port: port})
	}
	p.c.MemberList.UpdateClusterTopology(told)
}

// hostPort keeps the brackets of an IPv6 address: protoactor puts the two
// together again without looking.
func hostPort(addr string) (host string, port int32, err error) {
	host, s, err := net.SplitHostPort(addr)
	if err != nil {
		return "", 0, err
	}
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil {
		return "", 0, fmt.Errorf("port of %q is no number up to 65535", addr)
	}
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return host, int32(n), nil
}
