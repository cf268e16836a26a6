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

// save the script of a failed run as small as it gets, and say how to play it again.
func save(t *testing.T, o bubble.Options, steps []simulations.Step, caught []string) {
	t.Helper()
	t.Logf("play it again: go test ./simulations/bubble -run 'TestSeeds' -sim.scenario %s -sim.seed %d -sim.seeds 1 -sim.log", *which, o.Seed)
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
	f, err := os.Create(filepath.Join(*scripts, fmt.Sprintf("%d-nodes-%s-%d.jsonl", o.Nodes, *which, o.Seed)))
	if err != nil {
		t.Fatal(err)
	}
	commit, _ := exec.CommandContext(ctx, "git", "rev-parse", "HEAD").Output() // without git nobody knows
	w, err := trace.NewWriter(f, trace.Header{Scenario: *which, Seed: o.Seed, Start: o.Start, Commit: strings.TrimSpace(string(commit))})
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
