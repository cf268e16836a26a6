package app

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/rouse-im/rouse/cluster"
	"github.com/rouse-im/rouse/storage"
)

const (
	hearEvery = time.Second
	// hearFor: a node must have heard no leader of the meta group for this long before
	// others lead in its place, and heard one again for as long before it does. That
	// is longer than an election and shorter than leases of IM nodes, of whose end a
	// node that hears nothing would not learn.
	hearFor = 5 * time.Second
)

// hearing tells whether this node hears what becomes of the meta group. One that does
// not, though others do, should lead nothing: a network that is cut between it and
// that leader only does not end its own leaderships.
type hearing struct {
	deaf  atomic.Bool
	since time.Time // when what is heard began to be otherwise; zero = it is not
}

// look takes in whether a leader is heard now. Calls take turns.
func (h *hearing) look(hears bool, now time.Time, after time.Duration) (changed bool) {
	switch {
	case hears != h.deaf.Load():
		h.since = time.Time{}
		return false
	case h.since.IsZero():
		h.since = now
	}
	if now.Sub(h.since) < after {
		return false
	}
	h.since = time.Time{}
	h.deaf.Store(!hears)
	return true
}

// hearsMeta tells whether this node leads the meta group, or hears who does.
func (n *Node) hearsMeta() bool {
	s, err := n.engine.Status(storage.MetaShard)
	return err == nil && s.Heard
}

// watchHearing has all nodes know whether this one hears the leader of the meta group.
func (n *Node) watchHearing(ctx context.Context) {
	if !n.clustered() {
		return
	}
	pace := time.Duration(max(1, n.o.Pace))
	for pause(ctx, hearEvery*pace) {
		if !n.hearing.look(n.hearsMeta(), time.Now(), hearFor*pace) {
			continue
		}
		deaf := n.hearing.deaf.Load()
		if deaf {
			n.log.Warn("no leader of the meta group is heard: nodes that hear it lead in place of this one; is the network between them and this node whole?")
		} else {
			n.log.Info("a leader of the meta group has been heard for a while: this node may lead again")
		}
		n.tell(func(self *cluster.Member) { self.Deaf = deaf })
		n.planner.Wake()
		n.conductor.Load().Wake()
	}
}

// deaf tells whether a living node says that it hears no leader of the meta group.
func (n *Node) deaf(node uint64) bool {
	if node == n.self {
		return n.hearing.deaf.Load()
	}
	return (*n.peers.alive.Load())[node].Deaf
}

// fit tells whether a node should lead: it is alive and in reach of this one, has
// room, and hears the leader of the meta group.
func (n *Node) fit(node uint64) bool {
	_, cut := n.peers.cut.Load(node)
	return n.isAlive(node) && !cut && !n.diskLow(node) && !n.deaf(node)
}
