package shrink

import (
	"context"
	"slices"
	"testing"

	"github.com/rouse-im/rouse/simulations"
	"github.com/rouse-im/rouse/simulations/scenarios"
	"github.com/rouse-im/rouse/simulations/world"
)

func script(t *testing.T) []simulations.Step {
	t.Helper()
	s, err := scenarios.Load("small")
	if err != nil {
		t.Fatal(err)
	}
	w, err := world.New(s, 3)
	if err != nil {
		t.Fatal(err)
	}
	faults, err := s.Schedule()
	if err != nil {
		t.Fatal(err)
	}
	return slices.Collect(simulations.Merge(world.Disturb(s, 3, w.Events()), faults))
}

func kindOf(s simulations.Step) string {
	if s.Fault != nil {
		return string(s.Fault.Kind)
	}
	return string(s.Delivery.Event.Kind) + " " + string(s.Delivery.Event.State)
}

// A bug that needs a bind, then a partition, then a message to that user in a
// group, is found among thousands of steps.
func TestFindsTheNeedles(t *testing.T) {
	all := script(t)
	fails := func(steps []simulations.Step) bool {
		bound, cut := map[string]bool{}, false
		for _, s := range steps {
			switch {
			case s.Fault != nil:
				cut = cut || s.Fault.Kind == simulations.Partition
			case s.Delivery.Event.Kind == simulations.Bind:
				bound[s.Delivery.Event.User] = true
			case cut && s.Delivery.Event.Kind == simulations.Message && s.Delivery.Event.Group != "":
				for _, u := range s.Delivery.Event.To {
					if bound[u] {
						return true
					}
				}
			}
		}
		return false
	}
	told := 0
	r := Script(context.Background(), all, fails, Options{Progress: func(int, int) { told++ }})
	var kinds []string
	for _, s := range r.Steps {
		kinds = append(kinds, kindOf(s))
	}
	slices.Sort(kinds)
	if !slices.Equal(kinds, []string{"bind ", "message ", "partition"}) || !r.Minimal || r.Flaky {
		t.Errorf("%d of %d steps are left: %v; minimal %v", len(r.Steps), len(all), kinds, r.Minimal)
	}
	if to := r.Steps[len(r.Steps)-1].Delivery.Event.To; len(to) != 1 {
		t.Errorf("%d recipients are left", len(to))
	}
	if told == 0 {
		t.Error("nobody was told of progress")
	}
	t.Logf("%d steps to %d in %d tries", len(all), len(r.Steps), r.Tries)
	for _, s := range all {
		if s.Delivery != nil && s.Delivery.Event.Group != "" && s.Delivery.Event.Kind == simulations.Message && len(s.Delivery.Event.To) == 1 {
			t.Error("the script that was given has changed")
		}
	}
}

// Two steps that only fail together, far from each other.
func TestKeepsBothOfAPair(t *testing.T) {
	all := script(t)
	a, b := all[10], all[len(all)-10]
	fails := func(steps []simulations.Step) bool {
		has := func(x simulations.Step) bool {
			return slices.ContainsFunc(steps, func(s simulations.Step) bool {
				return s.Delivery != nil && x.Delivery != nil && s.Delivery.Event.N == x.Delivery.Event.N && s.Delivery.Copy == x.Delivery.Copy
			})
		}
		return has(a) && has(b)
	}
	r := Script(context.Background(), all, fails, Options{})
	if len(r.Steps) != 2 || !r.Minimal {
		t.Errorf("%d steps are left, want 2", len(r.Steps))
	}
}

func TestBounds(t *testing.T) {
	all := script(t)
	if r := Script(context.Background(), all, func([]simulations.Step) bool { return false }, Options{}); !r.Flaky || len(r.Steps) != len(all) || r.Tries != 1 {
		t.Errorf("what does not fail again: flaky %v, %d tries", r.Flaky, r.Tries)
	}
	needle := func(s []simulations.Step) bool { return len(s) > 100 }
	if r := Script(context.Background(), all, needle, Options{Tries: 5}); r.Tries != 5 || r.Minimal || len(r.Steps) <= 100 {
		t.Errorf("%d tries, want 5; minimal %v", r.Tries, r.Minimal)
	}
	ctx, cancel := context.WithCancel(context.Background())
	n := 0
	r := Script(ctx, all, func([]simulations.Step) bool {
		if n++; n == 3 {
			cancel()
		}
		return true
	}, Options{})
	if r.Minimal || r.Tries > 3 {
		t.Errorf("after its context ended: %d tries, minimal %v", r.Tries, r.Minimal)
	}
}
