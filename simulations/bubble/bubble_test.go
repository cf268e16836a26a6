package bubble_test

import (
	"flag"
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rouse-im/rouse/simulations"
	"github.com/rouse-im/rouse/simulations/bubble"
	"github.com/rouse-im/rouse/simulations/scenarios"
	"github.com/rouse-im/rouse/simulations/world"
)

var (
	first   = flag.Uint64("sim.seed", 1, "first seed")
	count   = flag.Uint64("sim.seeds", 200, "how many seeds to play, one a subtest")
	jumps   = flag.Bool("sim.clocks", false, "have clocks jump in all seeds")
	which   = flag.String("sim.scenario", "brief", "scenario of the seeds: brief or harsh")
	keep    = flag.Bool("sim.keep", false, "keep the scripts of failed seeds in simulations/testdata")
	verbose = flag.Bool("sim.log", false, "show what the nodes log")
)

func TestMain(m *testing.M) {
	flag.Parse()
	debug.SetGCPercent(400) // many small worlds: memory is there, time is not
	os.Exit(m.Run())
}

// few vendors, so that many seeds are played: one push a request, one with
// access tokens, one with batches.
var few = []string{"apns", "fcm", "xiaomi"}

func load(t *testing.T, name string) *scenarios.Scenario {
	t.Helper()
	s, err := scenarios.Load(name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// play a script in a bubble.
func play(t *testing.T, o bubble.Options) (r *bubble.Result) {
	t.Helper()
	o.Dir = t.TempDir()
	if *verbose {
		o.Logger = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelInfo}))
	}
	synctest.Test(t, func(t *testing.T) {
		var err error
		if r, err = bubble.Run(o); err != nil {
			t.Fatal(err)
		}
	})
	return r
}

// named are the credentials of few that have a limit in harsh plans.
var named = []string{"ios", "android", "xiaomi"}

// script of a scenario and a seed.
func script(t *testing.T, scenario string, seed uint64) (bubble.Options, bubble.Plan) {
	t.Helper()
	return clocked(t, scenario, seed, *jumps)
}

// clocked is the script of a seed in which clocks may jump besides.
func clocked(t *testing.T, scenario string, seed uint64, jump bool) (bubble.Options, bubble.Plan) {
	t.Helper()
	s := load(t, scenario)
	settings, err := s.Settings()
	if err != nil {
		t.Fatal(err)
	}
	w, err := world.New(s, seed)
	if err != nil {
		t.Fatal(err)
	}
	o := bubble.Options{Seed: seed, Start: s.Start, Vendors: few, Settings: settings}
	p := bubble.NewPlan(seed, s.Warmup, s.Length, few)
	if scenario == "harsh" {
		p, o.Lease = bubble.NewHarshPlan(seed, few, named), bubble.HarshLease
	}
	if jump {
		p = p.WithClocks(seed, s.Warmup, s.Length)
	}
	o.Nodes, o.Grow, o.Limits = p.Nodes, p.Grow, p.Limits
	o.Steps = simulations.Merge(world.Disturb(s, seed, w.Events()), p.Faults)
	return o, p
}

// Whatever breaks, the invariants hold and every decision is one that the
// second implementation allows.
func TestSeeds(t *testing.T) {
	seeds := *count
	if testing.Short() {
		seeds = min(seeds, 8)
	}
	playSeeds(t, *which, seeds, *jumps)
}

// The same while clocks of nodes jump by minutes and hours, in some seeds of brief and harsh.
func TestClocks(t *testing.T) {
	for scenario, seeds := range map[string]uint64{"brief": 24, "harsh": 12} {
		seeds = min(*count, seeds)
		if testing.Short() {
			seeds = min(seeds, 4)
		}
		t.Run(scenario, func(t *testing.T) { playSeeds(t, scenario, seeds, true) })
	}
}

func playSeeds(t *testing.T, scenario string, seeds uint64, jump bool) {
	t.Helper()
	for seed := *first; seed < *first+seeds; seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			o, p := clocked(t, scenario, seed, jump)
			steps := slices.Collect(o.Steps)
			o.Steps = slices.Values(steps)
			r := play(t, o)
			if err := r.Err(); err != nil {
				t.Errorf("%d nodes, faults %+v: caught by %v: %v", p.Nodes, p.Faults, r.Caught(), err)
				t.Logf("play it again: %s", again(scenario, seed, jump))
				save(t, scenario, o, steps, r.Caught())
			}
			t.Logf("%v: %d nodes, %d events, %d outcomes, %d pushes, %d decisions compared, %d users lost", time.Since(began), p.Nodes, len(r.History.Events), len(r.History.Outcomes), len(r.History.Pushes), r.Examined, len(r.Lost))
		})
	}
}

// A cluster grows from one node to three while events come in, and loses the first.
func TestGrowAndKill(t *testing.T) {
	s := load(t, "small")
	s.Length, s.Warmup = 6*time.Minute, time.Minute
	w, err := world.New(s, 1)
	if err != nil {
		t.Fatal(err)
	}
	kill := simulations.Fault{N: 1, At: simulations.At(3 * time.Minute), Kind: simulations.Kill, Nodes: []int{0}, For: simulations.At(20 * time.Second)}
	r := play(t, bubble.Options{Seed: 1, Nodes: 3, Grow: true, Start: s.Start, Steps: simulations.Merge(world.Disturb(s, 1, w.Events()), []simulations.Fault{kill})})
	if err := r.Err(); err != nil {
		t.Errorf("caught by %v: %v", r.Caught(), err)
	}
}
