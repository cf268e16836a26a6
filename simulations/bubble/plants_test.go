//go:build plant

package bubble_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// planted are the seeds of a scenario in which each fault on purpose may be noticed.
var planted = []struct {
	scenario string
	seeds    int
}{{"harsh", 10}, {"brief", 4}}

// enough faults are noticed by seeds.
const enough = 25

var caughtBy = regexp.MustCompile(`caught by \[([^\]]*)\]`)

// What is planted is noticed by playing seeds: the table says by what, and after
// how many. The faults that no seed shows have a test of their own, see
// internal/plant.
func TestPlants(t *testing.T) {
	text, err := os.ReadFile("../../internal/plant/plant.go")
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, m := range regexp.MustCompile(`Name = "([a-z-]+)"`).FindAllStringSubmatch(string(text), -1) {
		names = append(names, m[1])
	}
	played, noticed := 0, 0
	fmt.Println("| fault | seeds | noticed by |\n| --- | --- | --- |")
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			played++
			by, seeds := hunt(t, program, name)
			if by == "" {
				fmt.Printf("| `%s` | not within %d | |\n", name, seeds)
				return
			}
			noticed++
			fmt.Printf("| `%s` | %d | %s |\n", name, seeds, by)
		})
	}
	if played == len(names) && noticed < enough {
		t.Errorf("seeds notice %d of %d faults, want %d", noticed, played, enough)
	}
}

// hunt plays seeds one after the other until one shows the fault.
func hunt(t *testing.T, program, name string) (by string, seeds int) {
	t.Helper()
	for _, p := range planted {
		for seed := 1; seed <= p.seeds; seed++ {
			seeds++
			out, err := child(t, program, name, "-test.run=^TestSeeds$", "-sim.scenario="+p.scenario, fmt.Sprint("-sim.seed=", seed), "-sim.seeds=1", "-test.timeout=2m")
			if err == nil {
				continue
			}
			if m := caughtBy.FindStringSubmatch(out); m != nil {
				return m[1], seeds
			}
			for line := range strings.Lines(out) {
				if strings.HasPrefix(line, "panic:") || strings.Contains(line, "did not come to this") || strings.Contains(line, "voters") {
					return "the engine: " + strings.TrimSpace(line[:min(len(line), 120)]), seeds
				}
			}
			return "the engine", seeds
		}
	}
	return "", seeds
}

// child runs this program with a fault; without one if it has no name.
func child(t *testing.T, program, fault string, args ...string) (out string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, program, append([]string{"-test.timeout=9m"}, args...)...)
	c.Env = append(slices.Clone(os.Environ()), "ROUSE_PLANT="+fault)
	text, err := c.CombinedOutput()
	return string(text), err
}

// A seed that shows a fault leaves a script of a few steps. It fails as long as
// the fault is there, and no longer.
func TestPlantedScript(t *testing.T) {
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	out, err := child(t, program, "double-count", "-test.v", "-test.run=^TestSeeds$", "-sim.seed=1", "-sim.seeds=1", "-sim.keep", "-sim.scripts="+dir, "-sim.tries=400")
	files, _ := filepath.Glob(filepath.Join(dir, "*.jsonl"))
	if err == nil || len(files) != 1 {
		t.Fatalf("%v: %d scripts, want one:\n%s", err, len(files), out)
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	if lines := bytes.Count(text, []byte("\n")); lines > 12 {
		t.Errorf("the script has %d lines, want a handful:\n%s", lines, text)
	}
	t.Logf("%s", text)
	if out, err := child(t, program, "double-count", "-test.run=^TestReplay$", "-sim.scripts="+dir); err == nil || !strings.Contains(out, "caught by [model]") {
		t.Errorf("with the fault the script passes: %v\n%s", err, out)
	}
	if out, err := child(t, program, "", "-test.run=^TestReplay$", "-sim.scripts="+dir); err != nil {
		t.Errorf("without the fault the script fails: %v\n%s", err, out)
	}
}

// kept scripts, and the fault on purpose that each of them shows: the bug for
// which it was kept, made again.
var kept = map[string]string{
	"3-nodes-brief-1.jsonl":  "double-count",
	"3-nodes-harsh-54.jsonl": "withdrawal-forgotten",
}

// A kept script proves something as long as it fails with its bug. Not every run
// of a script fails: one of a few must.
func TestKeptScripts(t *testing.T) {
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for name, fault := range kept {
		t.Run(name, func(t *testing.T) {
			if _, err := os.Stat(filepath.Join(*scripts, name)); err != nil {
				t.Fatal(err)
			}
			const runs = 8
			for range runs {
				out, err := child(t, program, fault, "-test.run=^TestReplay$/^"+regexp.QuoteMeta(name)+"$")
				if m := caughtBy.FindStringSubmatch(out); err != nil && m != nil {
					t.Logf("%s: caught by %s", fault, m[1])
					return
				}
			}
			t.Errorf("with %s it passes %d times", fault, runs)
		})
	}
}
