package bubble_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/rouse-im/rouse/simulations"
	"github.com/rouse-im/rouse/simulations/bubble"
	"github.com/rouse-im/rouse/simulations/scenarios"
	"github.com/rouse-im/rouse/simulations/world"
)

// short is a small world that is over soon.
func short(t *testing.T) *scenarios.Scenario {
	t.Helper()
	s, err := scenarios.Load("small")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func play(t *testing.T, seed uint64, s *scenarios.Scenario, faults []simulations.Fault, set func(*bubble.Options)) {
	t.Helper()
	w, err := world.New(s, seed)
	if err != nil {
		t.Fatal(err)
	}
	o := bubble.Options{
		Dir: t.TempDir(), Seed: seed, Nodes: 3, Start: s.Start,
		Steps: simulations.Merge(world.Disturb(s, seed, w.Events()), faults),
	}
	if set != nil {
		set(&o)
	}
	synctest.Test(t, func(t *testing.T) {
		r, err := bubble.Run(o)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Err(); err != nil {
			t.Errorf("caught by %v: %v", r.Caught(), err)
		}
		t.Logf("%d events, %d outcomes, %d pushes, %d decisions compared, %d users lost", len(r.History.Events), len(r.History.Outcomes), len(r.History.Pushes), r.Examined, len(r.Lost))
	})
}

func TestGrowAndKill(t *testing.T) {
	s := short(t)
	s.Length, s.Warmup = 6*time.Minute, time.Minute
	faults := []simulations.Fault{{N: 1, At: simulations.At(3 * time.Minute), Kind: simulations.Kill, Nodes: []int{0}, For: simulations.At(20 * time.Second)}}
	play(t, 1, s, faults, func(o *bubble.Options) { o.Grow = true })
}
