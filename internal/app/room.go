package app

import (
	"context"
	"slices"
	"sync/atomic"
	"time"

	"github.com/rouse-im/rouse/cluster"
)

const (
	// roomEvery is how often a node looks at its disk.
	roomEvery = time.Second
	// roomShare: an eighth more than is needed must be free before a disk counts as
	// one with room again, and for roomFor without a break, so that leaderships do not
	// come and go with each compaction.
	roomShare = 8
	roomFor   = 30 * time.Second
)

// room tells whether this node should lead. It should not as soon as its disk has
// less free than is needed; it should again when there has been more for a while.
type room struct {
	needed uint64 // bytes
	low    atomic.Bool
	since  time.Time // when there began to be more than enough; zero = there is not
}

// look takes in what is free now, 0 = not known, and why nothing more may be taken
// in, nil = it may. Calls take turns.
func (r *room) look(free uint64, full error, now time.Time) (changed bool) {
	switch {
	case full != nil:
		r.since = time.Time{}
		return !r.low.Swap(true)
	case !r.low.Load():
		return false
	case free > 0 && free < r.needed+r.needed/roomShare:
		r.since = time.Time{}
		return false
	case r.since.IsZero():
		r.since = now
	}
	if now.Sub(r.since) < roomFor {
		return false
	}
	r.low.Store(false)
	return true
}

func (n *Node) lookForRoom(now time.Time) (changed bool) {
	return n.room.look(n.store.DiskFree(now), n.store.Writable(now), now)
}

// takesIn tells why calls that need room are refused as a whole, nil = they are not. A
// node that leads nothing needs none: who leads looks at its own disk.
func (n *Node) takesIn(now time.Time) error {
	err := n.store.Writable(now)
	if err == nil || slices.ContainsFunc(n.engine.Groups(), func(group uint16) bool { _, leads := n.engine.Leads(group); return leads }) {
		return err
	}
	return nil
}

// watchRoom has all nodes know whether this one has room to lead.
func (n *Node) watchRoom(ctx context.Context) {
	if !n.clustered() {
		return
	}
	for pause(ctx, roomEvery*time.Duration(max(1, n.o.Pace))) {
		if !n.lookForRoom(time.Now()) {
			continue
		}
		low := n.room.low.Load()
		if low {
			n.log.Warn("the disk has too little room: other nodes lead in place of this one as far as they have more")
		} else {
			n.log.Info("the disk has had room for a while: this node may lead again")
		}
		n.tell(func(self *cluster.Member) { self.DiskLow = low })
		n.planner.Wake()
		n.conductor.Load().Wake()
	}
}

// tell changes what other nodes hear of this one.
func (n *Node) tell(change func(self *cluster.Member)) {
	n.peers.telling.Lock()
	defer n.peers.telling.Unlock()
	self := n.peers.gossip.Self()
	change(&self)
	if err := n.peers.gossip.UpdateSelf(self); err != nil {
		n.log.Warn("other nodes do not hear what changed of this one", "error", err)
	}
}

// diskLow tells whether a living node says that it has no room to lead.
func (n *Node) diskLow(node uint64) bool {
	if node == n.self {
		return n.room.low.Load()
	}
	return (*n.peers.alive.Load())[node].DiskLow
}
