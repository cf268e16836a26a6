//go:build plant

package bubble_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// planted is how many seeds each fault on purpose is given to be noticed.
const planted = 12

// enough faults are noticed by seeds; the first five seeds notice twelve.
const enough = 10

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
	rows := make([]string, len(names))
	noticed := 0
	for i, name := range names {
		by, seeds := hunt(t, program, name)
		if by == "" {
			rows[i] = fmt.Sprintf("| `%s` | not within %d | |", name, planted)
			continue
		}
		noticed++
		rows[i] = fmt.Sprintf("| `%s` | %d | %s |", name, seeds, by)
		t.Log(rows[i])
	}
	fmt.Printf("| fault | seeds | noticed by |\n| --- | --- | --- |\n%s\n", strings.Join(rows, "\n"))
	if noticed < enough {
		t.Errorf("seeds notice %d of %d faults, want %d", noticed, len(names), enough)
	}
}

// hunt plays seeds one after the other until one shows the fault.
func hunt(t *testing.T, program, name string) (by string, seeds int) {
	t.Helper()
	for seed := 1; seed <= planted; seed++ {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		c := exec.CommandContext(ctx, program, "-test.run=^TestSeeds$", fmt.Sprint("-sim.seed=", seed), "-sim.seeds=1", "-test.timeout=90s")
		c.Env = append(slices.Clone(os.Environ()), "ROUSE_PLANT="+name)
		out, err := c.CombinedOutput()
		cancel()
		if err == nil {
			continue
		}
		if m := caughtBy.FindStringSubmatch(string(out)); m != nil {
			return m[1], seed
		}
		for line := range strings.Lines(string(out)) {
			if strings.HasPrefix(line, "panic:") || strings.Contains(line, "did not come to this") || strings.Contains(line, "voters") {
				return "the engine: " + strings.TrimSpace(line[:min(len(line), 120)]), seed
			}
		}
		return "the engine", seed
	}
	return "", planted
}
