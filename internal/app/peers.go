package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"google.golang.org/protobuf/proto"

	"github.com/rouse-im/rouse/actors"
	actorv1 "github.com/rouse-im/rouse/api/rouse/actor/v1"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/cluster"
	"github.com/rouse-im/rouse/cluster/certs"
	"github.com/rouse-im/rouse/cluster/link"
	"github.com/rouse-im/rouse/internal/config"
	"github.com/rouse-im/rouse/internal/meta"
)

// routeName is the process that takes the answers to this node's requests.
const routeName = "route"

// reachable says which actors of a node others may send to.
func reachable(id string) bool {
	return id == meta.Name || id == routeName || strings.HasPrefix(id, "shard-")
}

// peers are the other nodes of the cluster, as far as gossip tells of them.
type peers struct {
	name     string
	identity *certs.Identity // nil in memory
	network  *Network
	sockets  *sockets // nil in memory
	listener net.Listener
	gossip   *cluster.Membership
	telling  sync.Mutex                                // held while what gossip tells of this node changes
	alive    atomic.Pointer[map[uint64]cluster.Member] // by Raft id, with this node
	beside   map[uint64]bool                           // nodes of another cluster that were told of; of met alone
	cut      sync.Map                                  // uint64 -> true: the connections of this node ended
}

// nodeName is the configured one, or the host's with the HTTP port.
func nodeName(c config.Config) string {
	if c.Cluster.Name != "" {
		return c.Cluster.Name
	}
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = "node"
	}
	_, port, _ := net.SplitHostPort(c.HTTP.Listen)
	return host + "-" + port
}

// openSecrets opens the directory of the cluster's secrets, and makes what it
// lacks where the authority is.
func (n *Node) openSecrets() error {
	c := n.o.Config.Cluster
	n.peers = &peers{name: nodeName(n.o.Config)}
	n.peers.alive.Store(&map[uint64]cluster.Member{})
	if n.o.Network != nil {
		n.peers.network = n.o.Network
		return nil
	}
	if !c.Enabled() {
		return nil
	}
	if err := certs.Found(c.Dir, n.peers.name, certHosts(c)); err != nil {
		return err
	}
	var err error
	if n.peers.identity, err = certs.Load(c.Dir, n.peers.name); err != nil {
		return err
	}
	keys, err := cluster.LoadKeyring(filepath.Join(c.Dir, "gossip.key"))
	if err != nil {
		return err
	}
	n.peers.sockets = &sockets{identity: n.peers.identity, keys: keys, advertise: c.Advertise, member: n.isActors, log: n.log, metrics: n.registry}
	n.peers.network = n.peers.sockets.network()
	return nil
}

// certHosts are the hosts that a node's certificate names.
func certHosts(c config.Cluster) (hosts []string) {
	for _, address := range []string{c.Peers, c.Actors, c.Gossip} {
		host, _, _ := net.SplitHostPort(address)
		if ip := net.ParseIP(host); host != "" && !ip.IsUnspecified() && !slices.Contains(hosts, host) {
			hosts = append(hosts, host)
		}
	}
	if c.Advertise != "" && !slices.Contains(hosts, c.Advertise) {
		hosts = append(hosts, c.Advertise)
	}
	return hosts
}

// clustered tells whether the node is open to others.
func (n *Node) clustered() bool { return n.peers.network != nil }

// isActors says whether an address is that of a living node's actors.
func (n *Node) isActors(address string) bool {
	for _, m := range *n.peers.alive.Load() {
		if m.Addresses.GetActors() == address {
			return true
		}
	}
	return false
}

// openActors gives the actor system its address: before the first actor, which
// others could not answer otherwise.
func (n *Node) openActors(sys *actor.ActorSystem) error {
	if !n.clustered() {
		return nil
	}
	stop, err := n.peers.network.Actors(sys, n.o.Config.Cluster.Actors)
	if err != nil {
		return err
	}
	n.later("actor messages", func(context.Context) error { stop(); return nil })
	return nil
}

// meet opens the ports for other nodes and begins to look for them.
func (n *Node) meet(sys *actor.ActorSystem) (err error) {
	if !n.clustered() {
		return nil
	}
	c, p := n.o.Config.Cluster, n.peers
	if p.listener, err = p.network.Listen(c.Peers); err != nil {
		return fmt.Errorf("cluster.peers: %w; stop what uses the port, or set another", err)
	}
	if err := n.startLink(); err != nil {
		return errors.Join(err, p.listener.Close())
	}
	n.lookForRoom(time.Now())
	o := cluster.Options{
		Name: p.name, Pace: n.o.Pace, Label: c.Label, Seeds: c.Seeds(), Known: n.memberGossip, Changed: n.met, Expect: n.memberNames, Logger: n.log,
		Self: cluster.Member{Node: n.self, System: sys.ID, Version: n.o.Version, Zone: c.Zone, DiskLow: n.room.low.Load(), Addresses: &actorv1.NodeAddresses{
			Peers: advertised(c.Advertise, p.listener.Addr().String()), Actors: sys.Address(),
		}},
	}
	if err := p.network.Gossip(&o, c.Gossip); err != nil {
		return err
	}
	if p.gossip, err = cluster.Join(o); err != nil {
		return err
	}
	n.later("gossip", func(ctx context.Context) error { return p.gossip.Leave(ctx) })
	return n.registry.Register(p.gossip)
}

// startVirtualActors lets Go code inside the process ask users by protoactor's
// cluster, with our membership, our way to leaders and our requests in it.
func (n *Node) startVirtualActors(sys *actor.ActorSystem) error {
	if !n.clustered() {
		return nil
	}
	virtual, err := cluster.StartActors(sys, cluster.ActorsOptions{
		Membership: n.peers.gossip, Ask: n.askUser,
		Where: func(app, user string) (shard uint16, address string, ok bool) {
			shard = n.store.ShardOf(app, user)
			if n.leadsShard(shard) {
				return shard, sys.Address(), true
			}
			address, _, ok = n.leaderOf(shard)
			return shard, address, ok
		},
	})
	if err != nil {
		return err
	}
	n.virtual = virtual
	n.later("virtual actors", func(context.Context) error { virtual.Close(); return nil })
	return nil
}

// askUser brings a rouse.v1 event or request to a user and waits for the answer.
func (n *Node) askUser(ctx context.Context, app, user string, m proto.Message) (proto.Message, error) {
	replies := make(chan actors.Reply, 1) // one value: the actor's turn never waits
	n.route(&actors.Envelope{App: app, User: user, Command: m, Done: func(r actors.Reply) { replies <- r }})
	select {
	case r := <-replies:
		if r.Err != nil {
			return nil, &actors.Refusal{Detail: r.Err}
		}
		if r.Response == nil { // events have a status alone
			return &rousev1.ItemResult{Status: r.Status}, nil
		}
		return r.Response, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// advertised is an address with the host that others use.
func advertised(host, address string) string {
	if host == "" {
		return address
	}
	_, port, _ := net.SplitHostPort(address)
	return net.JoinHostPort(host, port)
}

func (n *Node) startLink() error {
	p := n.peers
	o := link.Options{
		Self: n.self, Cluster: n.o.Config.Cluster.Label, Listener: p.listener, Dial: p.network.Dial,
		Receive: n.engine.Receive, Bulk: n.engine.Bulk, Up: func(peer uint64) { n.peers.cut.Delete(peer) }, Down: n.peerDown, Pace: n.o.Pace, Logger: n.log, Metrics: n.registry,
	}
	if p.identity != nil {
		o.TLS, o.Verify = p.identity.TLS(nil), n.isPeer
	}
	l, err := link.Start(o)
	if err != nil {
		return err
	}
	n.link.Store(l)
	n.later("link", func(context.Context) error { return l.Close() })
	return nil
}

// isPeer wants the certificate of a peer to name the node that goes by the id.
func (n *Node) isPeer(peer uint64, state tls.ConnectionState) error {
	who, err := certs.PeerOf(state)
	if err != nil {
		return err
	}
	m, ok := (*n.peers.alive.Load())[peer]
	if !ok || m.Name != who.Node {
		return fmt.Errorf("the certificate of %s is not that of node %016x", who, peer)
	}
	return nil
}

// peerDown says that the connections of a node ended: what it leads needs
// another leader, and what was asked of it another node.
func (n *Node) peerDown(peer uint64) {
	n.peers.cut.Store(peer, true)
	n.engine.PeerDown(peer)
	if m, ok := (*n.peers.alive.Load())[peer]; ok {
		n.lost(m)
	}
}

// lost has questions to a node asked elsewhere.
func (n *Node) lost(m cluster.Member) {
	if s := n.peers.sockets; s != nil && s.remote != nil {
		s.remote.Disconnect(m.Addresses.GetActors())
	}
	n.meta.PeerDown(m.Addresses.GetActors())
	if r := n.router.Load(); r != nil {
		r.PeerDown(m.Addresses.GetActors())
	}
}

// met takes in who is alive; it runs in one goroutine.
func (n *Node) met(members []cluster.Member) {
	before := *n.peers.alive.Load()
	alive := make(map[uint64]cluster.Member, len(members))
	addresses := make(map[uint64]string, len(members))
	for _, m := range members {
		if m.Unknown || m.Node == 0 {
			continue
		}
		alive[m.Node] = m
		if m.Node != n.self {
			addresses[m.Node] = m.Addresses.GetPeers()
		}
	}
	n.peers.alive.Store(&alive)
	n.link.Load().SetPeers(addresses)
	for id, m := range before {
		if now, ok := alive[id]; !ok || now.System != m.System {
			n.engine.PeerDown(id)
			n.lost(m)
		}
	}
	n.lookBeside(alive)
	n.planner.Wake()
	if c := n.conductor.Load(); c != nil {
		c.Wake()
	}
}

// lookBeside tells of nodes that serve and are no members, to a node that is the
// only one of its cluster: most likely it lost its disk and has founded another
// cluster beside the one that it was of.
func (n *Node) lookBeside(alive map[uint64]cluster.Member) {
	v := n.roster.View()
	if v.Cluster() == "" || len(v.Members()) != 1 {
		return
	}
	for id, m := range alive {
		if _, member := v.Member(id); member || m.Addresses.GetGrpc() == "" || n.peers.beside[id] {
			continue
		}
		if n.peers.beside == nil {
			n.peers.beside = make(map[uint64]bool)
		}
		n.peers.beside[id] = true
		n.log.Error("a node serves beside this one and is of another cluster, though with the same label and keys; "+
			"if this node lost its disk, stop it and start it with an empty data directory and cluster.join; else give one of the clusters another cluster.label", "node", m.Name, "cluster", v.Cluster())
	}
}

// isAlive tells whether gossip knows the node, or it is this one.
func (n *Node) isAlive(node uint64) bool {
	if node == n.self {
		return true
	}
	_, ok := (*n.peers.alive.Load())[node]
	return ok
}

// actorsOf is where a node's actors are; empty = not known now.
func (n *Node) actorsOf(node uint64) string {
	if m, ok := (*n.peers.alive.Load())[node]; ok {
		return m.Addresses.GetActors()
	}
	return ""
}

// memberNames are the admitted nodes, alive or not.
func (n *Node) memberNames() (names []string) {
	for _, m := range n.roster.View().Members() {
		names = append(names, m.GetName())
	}
	return names
}

// memberGossip is where the other members were heard at last, so that nodes find
// each other when those that they were told to join are gone.
func (n *Node) memberGossip() (addresses []string) {
	for _, m := range n.roster.View().Members() {
		if address := m.GetAddresses().GetGossip(); address != "" && m.GetNode() != n.self {
			addresses = append(addresses, address)
		}
	}
	return addresses
}

// leaderOf is the address of the actors that lead a group, with the term, as far
// as this node knows: a node that holds no replica begins with any that does.
func (n *Node) leaderOf(group uint16) (address string, term uint64, ok bool) {
	if leader, term := n.engine.Leader(group); leader != 0 {
		if leader == n.self {
			return "", term, false // it is not ready yet, or no longer
		}
		address = n.actorsOf(leader)
		return address, term, address != ""
	}
	p, _ := n.roster.View().Placement(group)
	for _, voter := range p.Voters {
		if _, cut := n.peers.cut.Load(voter); cut || voter == n.self {
			continue // gossip knows of a death later than the connections do
		}
		if address = n.actorsOf(voter); address != "" {
			return address, 0, true
		}
	}
	return "", 0, false
}

// isCut tells whether the connections to the node whose actors are at an address
// have ended.
func (n *Node) isCut(address string) (cut bool) {
	n.peers.cut.Range(func(id, _ any) bool {
		cut = n.actorsOf(id.(uint64)) == address
		return !cut
	})
	return cut
}

// bridges are where the actors of nodes are that this one reaches, those first that
// hold the group: they know who leads it, and reach him unless the network is odder
// still.
func (n *Node) bridges(group uint16) (addresses []string) {
	alive := *n.peers.alive.Load()
	p, _ := n.roster.View().Placement(group)
	add := func(id uint64) {
		m, ok := alive[id]
		if _, cut := n.peers.cut.Load(id); ok && !cut && id != n.self && m.Addresses.GetActors() != "" {
			addresses = append(addresses, m.Addresses.GetActors())
		}
	}
	for _, id := range p.Voters {
		add(id)
	}
	for _, id := range slices.Sorted(maps.Keys(alive)) {
		if _, member := n.roster.View().Member(id); member && !slices.Contains(p.Voters, id) {
			add(id)
		}
	}
	return addresses
}
