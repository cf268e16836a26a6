package bubble_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/rouse-im/rouse/simulations"
	"github.com/rouse-im/rouse/simulations/bubble"
	"github.com/rouse-im/rouse/simulations/trace"
)

// scripts of runs that failed once are replayed for ever after; the name of a
// file begins with the number of nodes.
const scripts = "../testdata"

// save the script of a failed run, and say how to play it again.
func save(t *testing.T, o bubble.Options, steps []simulations.Step) {
	t.Helper()
	t.Logf("play it again: go test ./simulations/bubble -run 'TestSeeds' -sim.scenario %s -sim.seed %d -sim.seeds 1 -sim.log", *which, o.Seed)
	if !*keep {
		return
	}
	if err := os.MkdirAll(scripts, 0o750); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(scripts, fmt.Sprintf("%d-nodes-seed-%d.jsonl", o.Nodes, o.Seed)))
	if err != nil {
		t.Fatal(err)
	}
	w, err := trace.NewWriter(f, trace.Header{Scenario: *which, Seed: o.Seed, Start: o.Start})
	for _, s := range steps {
		err = errors.Join(err, w.Write(s))
	}
	if err = errors.Join(err, w.Flush(), f.Close()); err != nil {
		t.Fatal(err)
	}
	t.Logf("the script is in %s; it is replayed by TestReplay while it is there", f.Name())
}

// What failed once does not fail again.
func TestReplay(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(scripts, "*-nodes-*.jsonl"))
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

func saved(t *testing.T, name string) bubble.Options {
	t.Helper()
	o := bubble.Options{Vendors: few}
	if _, err := fmt.Sscanf(filepath.Base(name), "%d-nodes-seed-%d", &o.Nodes, &o.Seed); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := trace.NewReader(f, trace.Options{Strict: true})
	if err != nil {
		t.Fatal(err)
	}
	o.Start = r.Header.Start
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
