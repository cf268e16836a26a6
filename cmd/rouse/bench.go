package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"github.com/rouse-im/rouse/internal/bench"
)

type benchVerb struct {
	Workload []string `arg:"" optional:"" help:"What to measure: push, latency, coalesce, limit, delay, hang, intake, scale, memory, activation; cluster-rate, cluster-failover, cluster-drain, cluster-idle, cluster-catchup, or all of these: cluster. All by default."`
	Full     bool     `help:"Measure with a million users: 4 GiB of memory and of disk in the directory for temporary files, and some minutes."`
	JSON     bool     `name:"json" help:"Write the report as JSON."`
	Write    string   `help:"Refresh the table in this document, like docs/benchmarks.md." placeholder:"FILE"`
	Profile  string   `help:"Write CPU and allocation profiles of engine and rivals into this directory." placeholder:"DIR"`
	Role     string   `hidden:""` // of a child process
}

// Help teaches by example.
func (*benchVerb) Help() string {
	return `Engine, fake vendors and the bare apns2 loop that the engine is compared with run in processes of their own, over loopback, on a store in the directory for temporary files ($TMPDIR), which should be on the disk of interest. What is measured and what should be reached is in docs/benchmarks.md.

Examples:

    rouse bench
    rouse bench push --profile profiles
    rouse bench --full cluster --write docs/benchmarks.md
    rouse bench --full --write docs/benchmarks.md`
}

// Run measures, or plays a role for the process that does.
func (v *benchVerb) Run(c *call) error {
	if v.Role != "" {
		return bench.Child(v.Role, c.in, c.out)
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if v.Profile != "" {
		if err := os.MkdirAll(v.Profile, 0o755); err != nil {
			return err
		}
	}
	config := bench.Config{
		Child: func(role string) *exec.Cmd { return exec.Command(self, "bench", "--role", role) },
		Size:  bench.Usual(), Only: v.Workload, Profiles: v.Profile, Progress: c.errs,
	}
	if v.Full {
		config.Size = bench.Full()
	}
	report, err := bench.Run(c.ctx, config)
	if err != nil {
		return err
	}
	if v.Write != "" {
		if err := refresh(report, v.Write); err != nil {
			return err
		}
	}
	if v.JSON {
		text, err := json.MarshalIndent(report, "", "  ")
		if err != nil {
			return err
		}
		return c.say("%s", text)
	}
	return c.say("\n%s", strings.TrimSuffix(report.Markdown(), "\n"))
}

// refresh keeps the rest of the document.
func refresh(report *bench.Report, file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	fresh, err := report.Refresh(string(text))
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return os.WriteFile(file, []byte(fresh), 0o644)
}
