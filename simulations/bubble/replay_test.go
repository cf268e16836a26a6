package bubble_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rouse-im/rouse/simulations"
	"github.com/rouse-im/rouse/simulations/bubble"
	"github.com/rouse-im/rouse/simulations/shrink"
	"github.com/rouse-im/rouse/simulations/trace"
)

// Scripts of runs that failed once are replayed for ever after. The name of a
// file begins with the number of nodes; its first line says of which scenario
// and seed it is.
var (
	scripts = flag.String("sim.scripts", "../testdata", "where the scripts of failed seeds are kept and replayed from")
	tries   = flag.Int("sim.tries", 300, "how many runs a script may take to be made small")
	within  = flag.Duration("sim.within", 10*time.Minute, "how long a script may take to be made small")
)

// again is the command that plays a seed as it was played.
func again(scenario string, seed uint64, jump bool) string {
	command := fmt.Sprintf("go test ./simulations/bubble -run ^TestSeeds$ -sim.scenario %s -sim.seed %d -sim.seeds 1 -sim.log", scenario, seed)
	if jump {
		command += " -sim.clocks"
	}
	return command
}

// save the script of a failed run as small as it gets.
func save(t *testing.T, scenario string, o bubble.Options, steps []simulations.Step, caught []string) {
	t.Helper()
	if !*keep {
		return
	}
	ctx, cancel := context.WithTimeout(t.Context(), *within)
	defer cancel()
	o.Dir = t.TempDir()
	var small shrink.Result
	for range 3 { // not every run of a seed fails
		small = shrink.Script(ctx, steps, func(steps []simulations.Step) bool {
			o.Steps = slices.Values(steps)
			r, err := bubble.Play(ctx, o)
			return err == nil && slices.ContainsFunc(r.Caught(), func(by string) bool { return slices.Contains(caught, by) })
		}, shrink.Options{Tries: *tries})
		if !small.Flaky {
			break
		}
	}
	t.Logf("%d of %d steps fail, too, after %d tries; none of them can be left out: %v; did not fail again: %v", len(small.Steps), len(steps), small.Tries, small.Minimal, small.Flaky)
	if err := os.MkdirAll(*scripts, 0o750); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(*scripts, fmt.Sprintf("%d-nodes-%s-%d.jsonl", o.Nodes, scenario, o.Seed)))
	if err != nil {
		t.Fatal(err)
	}
	commit, _ := exec.CommandContext(ctx, "git", "rev-parse", "HEAD").Output() // without git nobody knows
	w, err := trace.NewWriter(f, trace.Header{Scenario: scenario, Seed: o.Seed, Start: o.Start, Commit: strings.TrimSpace(string(commit))})
	for _, s := range small.Steps {
		err = errors.Join(err, w.Write(s))
	}
	if err = errors.Join(err, w.Flush(), f.Close()); err != nil {
		t.Fatal(err)
	}
	t.Logf("the script is in %s; it is replayed by TestReplay while it is there", f.Name())
}

// What failed once does not fail again.
func TestReplay(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(*scripts, "*-nodes-*.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Skip("no script of a failed run is kept")
	}
	for _, name := range files {
		t.Run(filepath.Base(name), func(t *testing.T) {
			t.Parallel()
			o := saved(t, name)
			if r := play(t, o); r.Err() != nil {
				t.Errorf("caught by %v: %v", r.Caught(), r.Err())
			}
		})
	}
}

// saved script: the setting is that of its scenario and seed, the steps its own.
func saved(t *testing.T, name string) bubble.Options {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := trace.NewReader(f, trace.Options{Strict: true})
	if err != nil {
		t.Fatal(err)
	}
	o, _ := script(t, r.Header.Scenario, r.Header.Seed)
	o.Start = r.Header.Start
	if _, err := fmt.Sscanf(filepath.Base(name), "%d-nodes-", &o.Nodes); err != nil {
		t.Fatalf("%s: the name does not begin with the number of nodes: %v", name, err)
	}
	var steps []simulations.Step
	for {
		s, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		steps = append(steps, s)
	}
	o.Steps = slices.Values(steps)
	return o
}

// What a failure prints plays the same script, whatever test it was found by.
func TestAgain(t *testing.T) {
	type played struct {
		run, scenario string
		seed, seeds   uint64
		jump          bool
	}
	for _, want := range []played{{scenario: "brief"}, {scenario: "brief", jump: true}, {scenario: "harsh"}, {scenario: "harsh", jump: true}} {
		want.run, want.seed, want.seeds = "^TestSeeds$", 7, 1
		command := again(want.scenario, want.seed, want.jump)
		args, ok := strings.CutPrefix(command, "go test ./simulations/bubble ")
		flags, got := flag.NewFlagSet("again", flag.ContinueOnError), played{}
		flags.StringVar(&got.run, "run", "", "")
		flags.StringVar(&got.scenario, "sim.scenario", "brief", "")
		flags.Uint64Var(&got.seed, "sim.seed", 1, "")
		flags.Uint64Var(&got.seeds, "sim.seeds", 200, "")
		flags.BoolVar(&got.jump, "sim.clocks", false, "")
		flags.Bool("sim.log", false, "")
		if err := flags.Parse(strings.Fields(args)); err != nil || !ok || got != want {
			t.Errorf("%q plays %+v, want %+v (%v)", command, got, want, err)
		}
	}
}
