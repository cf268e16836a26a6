package placement

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rouse-im/rouse/cluster/roster"
	"github.com/rouse-im/rouse/storage"
)

// A cluster grows from one node to four and loses one, on real replicas.
func TestGrowReplaceAndLeave(t *testing.T) {
	play(t, 8, func(w *world) {
		w.found()
		w.join(2)
		w.pass(20 * time.Second)
		if loads := w.loads(); loads[1] != 9 {
			t.Errorf("two nodes: %v", loads)
		}
		w.join(3)
		w.pass(60 * time.Second)
		w.settled(3)
		w.counted(3)
		w.join(4)
		w.pass(90 * time.Second)
		w.settled(3)
		w.stop(2)
		w.pass(4 * time.Minute)
		if p, _ := w.nodes[1].roster.View().Placement(0); !p.Has(2) {
			t.Error("a node dead for four minutes was replaced")
		}
		w.pass(4 * time.Minute)
		v := w.leader(MetaGroup).roster.View()
		for g := range w.shards {
			if p, _ := v.Placement(g + 1); slices.Contains(p.Voters, 2) || !p.Settled {
				t.Errorf("group %d: %+v", g+1, p)
			}
		}
		w.order(func(v *roster.View) ([]storage.Mutation, error) { return v.Remove(2) })
		w.pass(30 * time.Second)
		if v := w.leader(MetaGroup).roster.View(); !v.Removed(2) || len(v.Members()) != 3 {
			t.Errorf("members: %v", v.Members())
		}
		w.settled(3)
	})
}

// What little there is is soon on three nodes: each step follows the one before it, and
// none waits for the next look.
func TestGrowsAtOnce(t *testing.T) {
	play(t, 64, func(w *world) {
		w.far = 5 * time.Millisecond // with the disk
		w.found()
		began := time.Now()
		w.join(2, 3)
		for w.grown() <= int(w.shards) && time.Since(began) < time.Minute {
			w.pass(10 * time.Millisecond)
		}
		took := time.Since(began)
		t.Logf("%d groups have three voters after %v", w.grown(), took)
		if took > 3*time.Second {
			t.Errorf("growing took %v", took)
		}
	})
}

// grown counts the groups that have three voters.
func (w *world) grown() (n int) {
	for g := range w.shards + 1 {
		if s, err := w.nodes[1].engine.Status(g); err == nil && len(s.Voters) == 3 && len(s.Outgoing) == 0 {
			n++
		}
	}
	return n
}

// counted checks the metrics of a cluster that has grown to n nodes and is at rest:
// all groups moved and arrived, and each node leads what it shall.
func (w *world) counted(n int) {
	w.t.Helper()
	sum := make(map[string]float64)
	for _, node := range w.nodes {
		for name, value := range gathered(w.t, node.conductor) {
			sum[name] += value
		}
	}
	groups := float64(w.shards + 1)
	for name, want := range map[string]float64{
		"rouse_placement_moving_groups": 0, "rouse_placement_leaders_wanted": groups, "rouse_placement_leaders_held": groups,
	} {
		if sum[name] != want {
			w.t.Errorf("%s is %v, want %v", name, sum[name], want)
		}
	}
	// Each group got a learner from each node that came, and a change to three voters.
	if got := sum["rouse_placement_steps_total change done"]; got < groups*float64(n) {
		w.t.Errorf("%v changes of configurations are counted, there were at least %v", got, groups*float64(n))
	}
	if got := sum["rouse_placement_moves_total"]; got < groups {
		w.t.Errorf("%v groups are counted as arrived, %v did", got, groups)
	}
	if got := sum["rouse_placement_steps_total transfer done"]; got < 2*groups/float64(n)-1 {
		w.t.Errorf("%v transfers are counted; two of three groups are led elsewhere than at first", got)
	}
}

func gathered(t *testing.T, c prometheus.Collector) map[string]float64 {
	t.Helper()
	r := prometheus.NewPedanticRegistry()
	r.MustRegister(c)
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	values := make(map[string]float64)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name := f.GetName()
			for _, l := range slices.Backward(m.GetLabel()) { // step, then end
				name += " " + l.GetValue()
			}
			values[name] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	return values
}

// A node that is stopped gives all leaderships away first, and gets them back.
func TestDrainSelf(t *testing.T) {
	play(t, 64, func(w *world) {
		w.found()
		w.join(2, 3)
		w.pass(3 * time.Minute)
		w.settled(3)
		before := w.nodes[2].yields
		start, lefts := time.Now(), []int(nil)
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		had := w.loads()[2]
		w.ok(w.nodes[2].conductor.DrainSelf(ctx, func(left int) { lefts = append(lefts, left) }))
		took := time.Since(start)
		t.Logf("%d leaderships given away in %v: %v", had, took, lefts)
		if took > time.Second || w.loads()[2] != 0 || !slices.Equal(lefts, []int{0}) || w.nodes[2].yields-before != had {
			t.Errorf("%v, %d yields, led: %v", took, w.nodes[2].yields-before, w.loads())
		}
		w.pass(4 * time.Second)
		if w.loads()[2] != 0 {
			t.Errorf("given back to a node that stops: %v", w.loads())
		}
	})
}

func TestDrainSelfAlone(t *testing.T) {
	play(t, 4, func(w *world) {
		w.found()
		var left []int
		w.ok(w.nodes[1].conductor.DrainSelf(context.Background(), func(n int) { left = append(left, n) }))
		if !slices.Equal(left, []int{5}) {
			t.Errorf("left: %v", left)
		}
	})
}

// With its successors dead a node tells which groups it could not give away.
func TestDrainSelfWithoutSuccessors(t *testing.T) {
	play(t, 4, func(w *world) {
		w.found()
		w.join(2, 3)
		w.pass(time.Minute)
		w.settled(3)
		led := w.loads()[1]
		w.stop(2)
		w.stop(3)
		ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
		defer cancel()
		err := w.nodes[1].conductor.DrainSelf(ctx, nil)
		if err == nil || led == 0 {
			t.Errorf("%d led: %v", led, err)
		}
		w.pass(time.Second)
	})
}

// A drained node gives away at once; undrained it gets its share back slowly,
// or at once when that is ordered.
func TestDrainAndRebalance(t *testing.T) {
	play(t, 32, func(w *world) {
		w.three()
		share := w.loads()[3]
		w.order(func(v *roster.View) ([]storage.Mutation, error) { return v.Drain(3) })
		w.pass(4 * time.Second)
		if loads := w.loads(); loads[3] != 0 {
			t.Errorf("drained: %v", loads)
		}
		w.order(func(v *roster.View) ([]storage.Mutation, error) { return v.Undrain(3) })
		w.pass(4 * time.Second)
		if loads := w.loads(); loads[3] == 0 || loads[3] > share/2 {
			t.Errorf("after 4 s: %v", loads)
		}
		w.order(func(v *roster.View) ([]storage.Mutation, error) { return v.Rebalance(), nil })
		w.pass(3 * time.Second)
		w.settled(3)
	})
}
