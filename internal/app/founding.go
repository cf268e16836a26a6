package app

import (
	"errors"
	"fmt"

	"github.com/rouse-im/rouse/cluster/certs"
)

// foundHere makes this node the first of a cluster. With an empty store it does
// so only where the directory of secrets knows of no cluster: else it is most
// likely a member that lost its disk, and what it would take in would be apart
// from all that the cluster holds. A store with facts, as of a server that was
// alone, restored or recovered, goes on.
func (n *Node) foundHere(empty bool) error {
	dir := n.originDir()
	if dir == "" {
		return n.foundReplicas()
	}
	own := certs.Origin{Store: n.store.NodeID(), Founder: true}
	known, err := certs.NoteOrigin(dir, own, !empty || n.o.FoundAnew)
	switch {
	case err != nil && n.o.FoundAnew:
		n.log.Warn("the directory of secrets does not remember that a cluster was founded: make it writable", "error", err)
	case err != nil:
		return fmt.Errorf("a cluster is founded only when its directory of secrets remembers it: %w; make the directory writable, or start with --found-anew", err)
	case *known != own:
		return fmt.Errorf("%w: %s is of a cluster that has been founded (by the node whose store is %s), and %s is empty. "+
			"If this node lost its disk or is a new one, start it with --join HOST:PORT, the gossip port of a living member. "+
			"Only if that cluster is gone for good, with all it held: --found-anew", errFounded, dir, known.Store, n.o.Config.Data.Dir)
	}
	return n.foundReplicas()
}

var errFounded = errors.New("not founding a second cluster beside another")

// originDir is the directory that remembers the cluster; empty = none does, since
// the node is alone or its network is in memory.
func (n *Node) originDir() string {
	if n.o.Network != nil {
		return ""
	}
	return n.o.Config.Cluster.Dir
}

// noteMember lets the directory remember that this node is a member of a cluster,
// so that it does not found another when it loses its disk.
func (n *Node) noteMember() {
	dir := n.originDir()
	if dir == "" {
		return
	}
	if _, err := certs.NoteOrigin(dir, certs.Origin{Store: n.store.NodeID()}, false); err != nil {
		n.log.Warn("the directory of secrets does not remember that this node is a member of a cluster: if it loses its disk, start it with --join", "error", err)
	}
}
