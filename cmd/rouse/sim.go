package main

import (
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/rouse-im/rouse/simulations"
	"github.com/rouse-im/rouse/simulations/checker"
	"github.com/rouse-im/rouse/simulations/report"
	"github.com/rouse-im/rouse/simulations/scenarios"
	"github.com/rouse-im/rouse/simulations/trace"
	"github.com/rouse-im/rouse/simulations/world"
)

type simVerb struct {
	Scenario   string `help:"Name of a shipped scenario, or a file." default:"small" placeholder:"NAME"`
	Seed       uint64 `help:"The same scenario and seed make the same events." default:"1"`
	Flash      string `help:"Take the device states of this state_traces.json (FLASH) instead." type:"existingfile" placeholder:"FILE"`
	Out        string `help:"Directory for trace.jsonl, index.html, summary.json and the plots." required:"" type:"path" placeholder:"DIR"`
	EventsOnly bool   `help:"Make the events and show them; no engine takes part." required:""`
}

// Help says what is made, and of what.
func (*simVerb) Help() string {
	return `The events of a scenario: logins, backgrounds, commutes, flights, re-installs, new tokens, messages, reads, recalls, and IM nodes that die, repeat and reorder. trace.jsonl has what the IM nodes tell, and the faults; index.html shows the day.

Shipped scenarios: ` + strings.Join(scenarios.Names(), ", ") + `

Examples:

    rouse sim --events-only --scenario city-day --seed 7 --out city
    rouse sim --events-only --flash state_traces.json --out flash`
}

// Run makes the files.
func (v *simVerb) Run(c *call) error {
	if err := os.MkdirAll(v.Out, 0o755); err != nil {
		return err
	}
	if v.Flash != "" {
		return v.flash(c)
	}
	s, err := v.scenario()
	if err != nil {
		return err
	}
	faults, err := s.Schedule()
	if err != nil {
		return err
	}
	w, err := world.New(s, v.Seed)
	if err != nil {
		return err
	}
	h := trace.Header{Scenario: s.Name, Seed: v.Seed, Commit: version(), Start: s.Start}
	if err := v.record(c, h, simulations.Merge(world.Disturb(s, v.Seed, w.Events()), faults)); err != nil {
		return err
	}
	events := func() iter.Seq[simulations.Event] {
		again, err := world.New(s, v.Seed) // it was made before
		if err != nil {
			return func(func(simulations.Event) bool) {}
		}
		return again.Events()
	}
	return v.show(c, report.Run{
		Scenario: s.Name, About: s.About, Seed: v.Seed, Start: s.Start, Length: s.Length, Events: events, History: &checker.History{Faults: faults},
		Replay: fmt.Sprintf("rouse sim --events-only --scenario %s --seed %d --out DIR", v.Scenario, v.Seed),
	})
}

func (v *simVerb) scenario() (*scenarios.Scenario, error) {
	if filepath.Ext(v.Scenario) == "" {
		return scenarios.Load(v.Scenario)
	}
	text, err := os.ReadFile(v.Scenario)
	if err != nil {
		return nil, err
	}
	return scenarios.Parse(v.Scenario, text)
}

func (v *simVerb) flash(c *call) error {
	file, err := os.Open(v.Flash)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // it was read
	f, err := trace.ReadFlash(file, trace.FlashOptions{})
	if err != nil {
		return fmt.Errorf("%s: %w", v.Flash, err)
	}
	for _, b := range f.Bad {
		if err := c.say("device %.40q, %v\n", b.Device, b.Bad); err != nil {
			return err
		}
	}
	if err := c.say("%d devices, %d lines, %d of them skipped\n", f.Devices, f.Lines, f.Skipped); err != nil {
		return err
	}
	if len(f.Events) == 0 {
		return fmt.Errorf("%s: no device changes its presence", v.Flash)
	}
	events := func(yield func(simulations.Event) bool) {
		for _, e := range f.Events {
			if !yield(e) {
				return
			}
		}
	}
	h := trace.Header{Scenario: "flash", Commit: version(), Start: f.Start}
	if err := v.record(c, h, simulations.Merge(simulations.Plain(events), nil)); err != nil {
		return err
	}
	return v.show(c, report.Run{
		Scenario: "flash", About: "Device states of " + filepath.Base(v.Flash), Start: f.Start, Length: f.Events[len(f.Events)-1].At.Duration() + time.Minute,
		Events: func() iter.Seq[simulations.Event] { return events }, History: &checker.History{},
	})
}

// record the steps as a trace.
func (v *simVerb) record(c *call, h trace.Header, steps iter.Seq[simulations.Step]) (err error) {
	path := filepath.Join(v.Out, "trace.jsonl")
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	t, err := trace.NewWriter(file, h)
	if err != nil {
		return err
	}
	n := 0
	for s := range steps {
		if err := c.ctx.Err(); err != nil {
			return fmt.Errorf("%s is not complete: %w", path, err)
		}
		if err := t.Write(s); err != nil {
			return err
		}
		n++
	}
	if err := t.Flush(); err != nil {
		return err
	}
	return c.say("%d steps in %s\n", n, path)
}

func (v *simVerb) show(c *call, r report.Run) error {
	r.Commit, r.Engine = version(), "events only"
	s, err := report.Write(v.Out, r)
	if err != nil {
		return err
	}
	for _, f := range s.Figures[:4] {
		if err := c.say("%10.0f %s\n", f.Value, f.Name.EN); err != nil {
			return err
		}
	}
	return c.say("%s\n", filepath.Join(v.Out, "index.html"))
}
