package fleet

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// program is the server under test, built once; empty with -short.
var program string

func TestMain(m *testing.M) {
	if os.Getenv(envSick) == "" { // its flags are not those of tests
		_ = flag.Set("test.parallel", "6") // they wait most of the time, for each other too; the command line goes before
		flag.Parse()
	}
	if order := os.Getenv(envIMNode); order != "" {
		fmt.Fprintln(os.Stderr, serveIMNode(order))
		os.Exit(1)
	}
	if file := os.Getenv(envSick); file != "" {
		if err := serveSick(file, os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(func() int {
		if testing.Short() {
			return m.Run()
		}
		dir, err := os.MkdirTemp("", "rouse-fleet-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		program = filepath.Join(dir, "roused")
		if out, err := exec.Command("go", "build", "-ldflags=-s -w", "-o", program, "../../cmd/roused").CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "building roused: %v\n%s", err, out)
			return 1
		}
		code := m.Run()
		if err := closeShared(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = max(code, 1)
		}
		return code
	}())
}

// needsProcesses skips tests that start servers.
func needsProcesses(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("starts and kills processes")
	}
}

// rounds is how often a test repeats its fault: few by default, more by
// ROUSE_FAULT_ROUNDS.
func rounds(usual int) int {
	if n, err := strconv.Atoi(os.Getenv("ROUSE_FAULT_ROUNDS")); err == nil && n > 0 {
		return n
	}
	return usual
}

// thorough tells that time does not matter: leaderships are spread before each
// fault, and all kinds of faults are tried.
func thorough() bool { return os.Getenv("ROUSE_FAULT_ROUNDS") != "" }

// rare skips tests that take long for what they find.
func rare(t *testing.T) {
	t.Helper()
	needsProcesses(t)
	if os.Getenv("ROUSE_FAULT_LONG") == "" {
		t.Skip("takes long; set ROUSE_FAULT_LONG")
	}
}

// until asks again and again whether something is as it shall be.
func until(t testing.TB, most time.Duration, what string, ask func() error) {
	t.Helper()
	if err := within(most, ask); err != nil {
		t.Fatalf("%s: not within %s: %v", what, most, err)
	}
}

// within is nil when ask answered nil in time, else what it answered last.
func within(most time.Duration, ask func() error) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(most); ; <-tick.C {
		err := ask()
		if err == nil || time.Now().After(deadline) {
			return err
		}
	}
}

var errNotYet = errors.New("not yet")
