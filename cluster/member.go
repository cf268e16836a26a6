package cluster

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/hashicorp/memberlist"
	"google.golang.org/protobuf/proto"

	actorv1 "github.com/rouse-im/rouse/api/rouse/actor/v1"
)

// MetaMax bounds what a node tells of itself, in bytes.
const MetaMax = memberlist.MetaMaxSize

// Member is a node that is taken for alive. Nobody may change one.
type Member struct {
	Name string
	// Node is its Raft id; 0 = it holds no store.
	Node uint64
	// System is the id of its actor system, another one after each start.
	System string
	// Epoch is raised when others gave the member up under its former id.
	Epoch uint32
	// Addresses as it tells them; never nil. Gossip is where it was heard.
	Addresses *actorv1.NodeAddresses
	Version   string
	Zone      string
	// DiskLow: its disk has too little room to take in what a leader must.
	DiskLow bool
	// Deaf: it hears no leader of the meta group.
	Deaf bool
	// Unknown members told of themselves what this release cannot read: only
	// Name and Addresses.Gossip are set.
	Unknown bool
}

// ID names one run of the member between two times that it was given up.
func (m Member) ID() string { return m.System + "~" + strconv.FormatUint(uint64(m.Epoch), 10) }

func (m Member) equal(o Member) bool {
	return m.Name == o.Name && m.Node == o.Node && m.System == o.System && m.Epoch == o.Epoch && m.Version == o.Version &&
		m.Zone == o.Zone && m.DiskLow == o.DiskLow && m.Deaf == o.Deaf && m.Unknown == o.Unknown && proto.Equal(m.Addresses, o.Addresses)
}

// places are the fields of the addresses that are told, in one order.
func places(a *actorv1.NodeAddresses) []*string {
	return []*string{&a.Peers, &a.Actors, &a.Grpc, &a.Http}
}

// encodeMeta refuses what does not fit; a host that addresses share counts once.
func encodeMeta(m Member) ([]byte, error) {
	if m.System == "" {
		return nil, errors.New("cluster: Self.System is empty; it is the id of the actor system")
	}
	meta := &actorv1.NodeMeta{System: m.System, Epoch: m.Epoch, Node: m.Node, Version: m.Version, Zone: m.Zone, DiskLow: m.DiskLow, Deaf: m.Deaf, Addresses: &actorv1.NodeAddresses{}}
	if m.Addresses != nil {
		meta.Addresses = proto.CloneOf(m.Addresses)
	}
	meta.Addresses.Gossip = ""
	for _, a := range places(meta.Addresses) {
		if *a == "" {
			continue
		}
		host, port, err := net.SplitHostPort(*a)
		if err != nil || host == "" {
			return nil, fmt.Errorf("cluster: address %q of this node is not host:port", *a)
		}
		if meta.Host == "" {
			meta.Host = host
		}
		if host == meta.Host {
			*a = ":" + port
		}
	}
	b, err := proto.Marshal(meta)
	if err != nil {
		return nil, fmt.Errorf("cluster: what this node tells of itself: %w", err)
	}
	if len(b) > MetaMax {
		return nil, fmt.Errorf("cluster: what this node tells of itself has %d bytes, the most is %d; shorten the host names of its addresses, its zone or version", len(b), MetaMax)
	}
	return b, nil
}

// decodeMeta reads what a node told; it makes an unknown member of what it
// cannot read.
func decodeMeta(name, gossip string, b []byte) Member {
	unknown := Member{Name: name, Unknown: true, Addresses: &actorv1.NodeAddresses{Gossip: gossip}}
	meta := &actorv1.NodeMeta{}
	if err := proto.Unmarshal(b, meta); err != nil || meta.System == "" {
		return unknown
	}
	at := meta.Addresses
	if at == nil {
		at = &actorv1.NodeAddresses{}
	}
	for _, a := range places(at) {
		if port, ok := strings.CutPrefix(*a, ":"); ok {
			*a = net.JoinHostPort(meta.Host, port)
		}
	}
	at.Gossip = gossip
	return Member{
		Name: name, Node: meta.Node, System: meta.System, Epoch: meta.Epoch, Addresses: at, Version: meta.Version, Zone: meta.Zone, DiskLow: meta.DiskLow, Deaf: meta.Deaf,
	}
}
