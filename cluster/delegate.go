package cluster

import (
	"fmt"
	"time"

	"github.com/hashicorp/memberlist"
)

const (
	// maxLost bounds the addresses of members that are kept to look for them.
	maxLost = 256
	// lostFor is how long they are looked for.
	lostFor = time.Hour
)

// delegate is what memberlist calls. The Notify methods of nodes run under its
// lock: they copy and wake, and never call back.
type delegate Membership

var (
	_ memberlist.Delegate         = (*delegate)(nil)
	_ memberlist.EventDelegate    = (*delegate)(nil)
	_ memberlist.ConflictDelegate = (*delegate)(nil)
)

func (d *delegate) NotifyJoin(n *memberlist.Node) { d.alive(n) }

func (d *delegate) NotifyUpdate(n *memberlist.Node) { d.alive(n) }

func (d *delegate) alive(n *memberlist.Node) {
	d.mu.Lock()
	defer d.mu.Unlock()
	address := n.Address()
	d.nodes[n.Name] = node{
		address: address, meta: append([]byte(nil), n.Meta...),
		peer: memberlist.Node{Name: n.Name, Addr: append([]byte(nil), n.Addr...), Port: n.Port, PMin: n.PMin, PMax: n.PMax, PCur: n.PCur},
	}
	delete(d.lost, address)
	wake(d.poke)
}

func (d *delegate) NotifyLeave(n *memberlist.Node) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.nodes, n.Name)
	if len(d.lost) < maxLost && n.Name != d.o.Name {
		d.lost[n.Address()] = time.Now()
	}
	wake(d.poke)
}

// NotifyConflict comes with each packet of the other node: one sign waits.
func (d *delegate) NotifyConflict(have, other *memberlist.Node) {
	d.metrics.conflicts.Inc()
	select {
	case d.conflict <- fmt.Sprintf("%s is at %s and at %s", have.Name, have.Address(), other.Address()):
	default:
	}
}

func (d *delegate) NodeMeta(int) []byte { return *d.meta.Load() }

func (d *delegate) NotifyMsg(b []byte) {
	select {
	case d.inbox <- append([]byte(nil), b...):
	default: // who sent it repeats what matters
		d.metrics.dropped.Inc()
	}
}

func (*delegate) GetBroadcasts(int, int) [][]byte { return nil }

func (*delegate) LocalState(bool) []byte { return nil }

func (*delegate) MergeRemoteState([]byte, bool) {}
