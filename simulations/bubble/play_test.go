package bubble_test

import (
	"context"
	"errors"
	"flag"
	"slices"
	"testing"
	"time"

	"github.com/rouse-im/rouse/simulations"
	"github.com/rouse-im/rouse/simulations/bubble"
	"github.com/rouse-im/rouse/simulations/checker"
)

// Programs play without a test: the clock is fake, the verdict is returned, and
// no flag of tests is added.
func TestPlay(t *testing.T) {
	flags := 0
	flag.VisitAll(func(*flag.Flag) { flags++ })
	o, _ := script(t, "brief", *first)
	o.Dir, o.Nodes, o.Grow, o.Progress = t.TempDir(), 1, false, &bubble.Progress{}
	steps := slices.Collect(o.Steps)
	last := steps[len(steps)-1].At
	o.Steps = slices.Values(slices.DeleteFunc(steps, func(s simulations.Step) bool { return s.Fault != nil }))
	began := time.Now()
	r, err := bubble.Play(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Err(); err != nil || r.Examined == 0 {
		t.Errorf("%d decisions compared: %v", r.Examined, err)
	}
	if !slices.ContainsFunc(r.History.Outcomes, func(o checker.Outcome) bool { return o.Delayed }) {
		t.Error("no push is said to have waited by decision")
	}
	if took := time.Since(began); took > last.Duration() {
		t.Errorf("%v took %v", last, took)
	}
	if stage, at, events := o.Progress.Now(); stage != "judging" || at == 0 || events == 0 {
		t.Errorf("at the end: stage %q at %v, %d events", stage, at, events)
	}
	after := 0
	flag.VisitAll(func(*flag.Flag) { after++ })
	if after != flags {
		t.Errorf("%d flags before, %d after", flags, after)
	}
}

// A run is given up between two steps.
func TestPlayIsStopped(t *testing.T) {
	enough := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	o, _ := script(t, "brief", *first)
	all, played := o.Steps, 0
	o.Dir, o.Nodes, o.Grow = t.TempDir(), 1, false
	o.Steps = func(yield func(simulations.Step) bool) {
		for s := range all {
			if played++; played == 3 {
				cancel(enough)
			}
			if !yield(s) {
				return
			}
		}
	}
	if _, err := bubble.Play(ctx, o); !errors.Is(err, enough) || played > 3 {
		t.Errorf("%v after %d steps", err, played)
	}
}
