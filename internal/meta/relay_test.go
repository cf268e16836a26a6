package meta

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	actorv1 "github.com/rouse-im/rouse/api/rouse/actor/v1"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

// A node that cannot reach the leader asks it through one that can, and that one
// asks nobody else to.
func TestBridge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes, network := newNodes(t, 3)
		leader := nodes[2].sys.Address()
		nodes[2].leads.Store(true)
		nodes[0].believes(leader)
		nodes[1].believes(leader)
		network.Partition([]string{"n0"}, []string{"n2"})
		nodes[0].cut.Store(&leader)
		start := time.Now()
		if b, err := nodes[0].Forward(t.Context(), call("m")); err != nil || string(b) != "2" || time.Since(start) != 40*ms {
			t.Errorf("%q, %v after %v, want two hops and back", b, err, time.Since(start))
		}
		if m, err := nodes[0].Admit(t.Context(), "", &actorv1.Admit{Name: "x"}); err != nil || m.GetCluster() != "x2" {
			t.Errorf("%v, %v", m, err)
		}
		// The one between believes that the one who asks leads: the call ends in time,
		// executed by nobody.
		nodes[1].believes(nodes[0].sys.Address())
		before := nodes[2].ran.Load()
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		start = time.Now()
		_, err := nodes[0].Forward(ctx, call("m"))
		wants(t, err, rousev1.ErrorCode_ERROR_CODE_UNAVAILABLE)
		if time.Since(start) != 2*time.Second || nodes[2].ran.Load() != before {
			t.Errorf("after %v", time.Since(start))
		}
		// The leader is out of reach for both: what became of the call is open.
		network.Partition([]string{"n1"}, []string{"n2"})
		nodes[1].believes(leader)
		ctx, cancel = context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		_, err = nodes[0].Forward(ctx, call("m"))
		wants(t, err, rousev1.ErrorCode_ERROR_CODE_DEADLINE)
		<-time.After(time.Second)
		for _, n := range nodes {
			if len(n.pending) != 0 {
				t.Errorf("%d questions are left behind", len(n.pending))
			}
		}
	})
}
