package replica

import (
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rouse-im/rouse/storage"
)

// A proposal is of the leadership that it names: not of a later one, though that
// is the same node's.
func TestProposalNamesItsTerm(t *testing.T) {
	bubble(t, 3, func(t *testing.T, w *world) {
		found(t, w.nodes[1], 1)
		w.leader(1)
		w.grow(3, 1)
		n := w.leader(1)
		before, _ := n.engine.Leads(1)
		other := n.id%3 + 1
		for _, to := range []uint64{other, n.id} {
			if err := w.leader(1).engine.Transfer(1, to); err != nil {
				t.Fatal(err)
			}
			w.wait("the other leads", func() bool { return w.leader(1).id == to })
		}
		now, _ := n.engine.Leads(1)
		if before == 0 || now <= before {
			t.Fatalf("leads under term %d after %d", now, before)
		}
		answer := make(chan error, 1)
		n.engine.Propose(1, before, entry(1, "late"), func(err error) { answer <- err })
		if err := <-answer; !errors.Is(err, storage.ErrNotLeader) {
			t.Errorf("decided under a former term, it ended with %v", err)
		}
		n.engine.Propose(1, now, entry(1, "timely"), func(err error) { answer <- err })
		if err := <-answer; err != nil || n.has(1, "late") {
			t.Errorf("%v; the late entry is there: %v", err, n.has(1, "late"))
		}
	})
}

// Who is told that it leads can read all that was acknowledged before, also what
// it did not know to be committed when it was elected.
func TestLeaderHasAppliedWhatCameBefore(t *testing.T) {
	bubble(t, 3, func(t *testing.T, w *world) {
		found(t, w.nodes[1], 1)
		w.leader(1)
		w.grow(3, 1)
		old := w.leader(1)
		var led, lacked atomic.Int32
		for _, n := range w.nodes {
			lead := n.engine.o.Lead
			n.engine.o.Lead = func(group uint16, term uint64) {
				led.Add(1)
				if !n.has(1, "kept") {
					lacked.Add(1)
				}
				lead(group, term)
			}
		}
		old.mustPut(1, "kept")
		w.crash(old.id, 0)
		w.leader(1).mustPut(1, "new")
		if led.Load() == 0 || lacked.Load() > 0 {
			t.Errorf("%d leaders, of which %d lacked an acknowledged entry", led.Load(), lacked.Load())
		}
	})
}

// A node that comes back to a group does not vote twice in a term.
func TestRemovedReplicaRemembersItsVote(t *testing.T) {
	bubble(t, 3, func(t *testing.T, w *world) {
		found(t, w.nodes[1], 1)
		w.leader(1)
		w.grow(3, 1)
		l := w.leader(1)
		gone := w.nodes[l.id%3+1]
		term := gone.status(1).Term
		if err := l.change(1, []uint64{l.id, 6 - l.id - gone.id}, nil); err != nil {
			t.Fatal(err)
		}
		answer := make(chan error, 1)
		w.wait("it is removed", func() bool {
			gone.engine.Remove(1, func(err error) { answer <- err })
			return <-answer == nil
		})
		r, err := readRemains(gone.store, 1)
		if err != nil || r.hard.term < term || term == 0 {
			t.Errorf("of a vote in term %d is left %+v, %v", term, r.hard, err)
		}
	})
}

// gated is a connection that stands still after some bytes, until the gate opens.
type gated struct {
	net.Conn
	left int
	gate chan struct{}
}

func (g *gated) Write(b []byte) (int, error) {
	if g.left -= len(b); g.left < 0 {
		<-g.gate
	}
	return g.Conn.Write(b)
}

// What follows on a snapshot that takes long stays in the log: else its receiver
// would be behind again, and need another.
func TestLogIsKeptWhileASnapshotIsUnderWay(t *testing.T) {
	behind(t, 60, func(t *testing.T, w *world, lead *node) {
		gate := make(chan struct{})
		w.bulk.wrap = func(_, _ uint64, c net.Conn) net.Conn { return &gated{c, 100_000, gate} }
		sent := count(t, lead.engine.metrics.snapshots)
		w.away(3, false)
		w.pass(time.Second)
		for i := range 300 {
			lead.mustPut(1, fmt.Sprint("during ", i))
		}
		close(gate)
		w.arrives(t)
		if got := count(t, lead.engine.metrics.snapshots) - sent; got != 1 || !w.nodes[3].has(1, "during 299") {
			t.Errorf("%v snapshots sent, want 1", got)
		}
	})
}
