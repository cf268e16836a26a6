package app

import (
	"context"
	"net"
	"slices"

	"github.com/rouse-im/rouse/actors"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/internal/catalog"
	"github.com/rouse-im/rouse/internal/lease"
	"github.com/rouse-im/rouse/storage"
	"github.com/rouse-im/rouse/vendors"
)

// Vendors are ways to vendors that simulations bring.
type Vendors struct {
	// Dial connects to a vendor's server.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Sender may put itself before the sender of a credential; nil = it does not.
	Sender func(app, credential string, s vendors.Validator) vendors.Validator
}

// newSender opens the way to a credential's vendor, as the options have it.
func (n *Node) newSender(app string, c *rousev1.Credential, receiptURL string) (vendors.Validator, error) {
	v := n.o.Vendors
	if v == nil {
		return newSender(c, receiptURL, nil)
	}
	s, err := newSender(c, receiptURL, v.Dial)
	if err != nil || v.Sender == nil {
		return s, err
	}
	return v.Sender(app, c.GetName(), s), nil
}

// Route brings a command to its user, wherever he is, as the gateway does.
func (n *Node) Route(e *actors.Envelope) { n.route(e) }

// Leads tells whether this node does the work of a group: 0 is the meta group,
// the others are shards.
func (n *Node) Leads(group uint16) bool {
	if group == storage.MetaShard {
		return n.leadsMeta()
	}
	return n.leadsShard(group)
}

// Term in which this node leads a group; false = it does not.
func (n *Node) Term(group uint16) (term uint64, leads bool) { return n.engine.Leads(group) }

// Catalog of apps and credentials; it can be changed on the leader of the meta group.
func (n *Node) Catalog() *catalog.Catalog { return n.catalog }

// Leases of IM nodes.
func (n *Node) Leases() *lease.Table { return n.leases }

// Store of the node.
func (n *Node) Store() *storage.Store { return n.store }

// Name of the node in its cluster.
func (n *Node) Name() string { return n.peers.name }

// Voters of a group that this node leads; 0 = it does not, or does not know.
func (n *Node) Voters(group uint16) int {
	if _, leads := n.engine.Leads(group); !leads {
		return 0
	}
	s, err := n.engine.Status(group)
	if err != nil {
		return 0
	}
	return len(s.Voters)
}

// Holds tells whether this node holds a replica of a group.
func (n *Node) Holds(group uint16) bool { return slices.Contains(n.engine.Groups(), group) }
