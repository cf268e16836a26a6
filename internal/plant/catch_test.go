//go:build plant

package plant_test

import (
	"bytes"
	"context"
	"flag"
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

var only = flag.String("fault", "", "the one fault to make; empty = all")

// limit of one run: a fault may also make a test wait for ever.
const limit = 90 * time.Second

// tests are those of a package that must find some faults. run is what go test
// takes as -run.
type tests struct {
	dir, run string
	faults   []string
}

// TestEachFaultIsCaught wants tests to pass without a fault and to fail with
// each, and prints what has found it.
func TestEachFaultIsCaught(t *testing.T) {
	bin, covered := t.TempDir(), map[string]bool{}
	breaks := map[string]string{}
	for _, f := range faults(t) {
		breaks[f.name] = f.breaks
	}
	for _, x := range catches {
		for _, f := range x.faults {
			if breaks[f] == "" {
				t.Errorf("there is no fault %q", f)
			}
			covered[f] = true
		}
		if *only != "" && !slices.Contains(x.faults, *only) {
			continue
		}
		program := filepath.Join(bin, strings.ReplaceAll(x.dir, "/", "-"))
		if _, err := os.Stat(program); err != nil {
			build := exec.Command("go", "test", "-c", "-tags", "plant", "-o", program, "./"+x.dir)
			build.Dir = root
			if out, err := build.CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
		}
		if found, out, _ := x.play(t, program, ""); found != "" {
			t.Errorf("%s: %s fails without a fault:\n%s", x.dir, found, out)
			continue
		}
		for _, f := range x.faults {
			if *only != "" && *only != f {
				continue
			}
			found, _, took := x.play(t, program, f)
			if found == "" {
				t.Errorf("%s is not caught by %s -run '%s'", f, x.dir, x.run)
				found = "nothing"
			}
			fmt.Printf("| `%s` | %s | %s, `%s` | %.1f s |\n", f, breaks[f], x.dir, found, took.Seconds())
		}
	}
	for f := range breaks {
		if !covered[f] {
			t.Errorf("no test is named that catches %s", f)
		}
	}
}

var failed = regexp.MustCompile(`(?m)^\s*--- FAIL: (\S+)|^\s*(?:panic: test timed out|running tests:)\s+(Test\S+)|^=== RUN\s+(\S+)`)

// play runs the tests with a fault, and tells which one found it: the first that
// fails, or the one under way when the program ended.
func (x tests) play(t *testing.T, program, fault string) (found, output string, took time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*limit)
	defer cancel()
	args := []string{"-test.short", "-test.v", "-test.failfast", "-test.timeout", limit.String(), "-test.run", x.run}
	if usage, _ := exec.CommandContext(ctx, program, "-help").CombinedOutput(); bytes.Contains(usage, []byte("-rapid.nofailfile")) {
		args = append(args, "-rapid.nofailfile") // they would be played again without the fault
	}
	run := exec.CommandContext(ctx, program, args...)
	run.Dir, run.Env = filepath.Join(root, x.dir), append(os.Environ(), "ROUSE_PLANT="+fault)
	began := time.Now()
	out, err := run.CombinedOutput()
	took = time.Since(began)
	if err == nil {
		if !bytes.Contains(out, []byte("--- PASS")) {
			t.Fatalf("%s -run '%s' runs no test", x.dir, x.run)
		}
		return "", "", took
	}
	under := "no test"
	for _, m := range failed.FindAllStringSubmatch(string(out), -1) {
		if m[1] != "" {
			return m[1], string(out), took
		}
		under = m[2] + m[3]
	}
	return under, string(out), took
}

// A server as it is shipped knows no fault: the compiler left out all sites, with
// the names.
func TestServersHaveNone(t *testing.T) {
	program := filepath.Join(t.TempDir(), "roused")
	build := exec.Command("go", "build", "-o", program, "./cmd/roused")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	text, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range faults(t) {
		if bytes.Contains(text, []byte(f.name)) {
			t.Errorf("the server holds the text %q", f.name)
		}
	}
}
