package main

import (
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/simulations"
	"github.com/rouse-im/rouse/simulations/checker"
	"github.com/rouse-im/rouse/simulations/report"
	"github.com/rouse-im/rouse/simulations/scenarios"
	"github.com/rouse-im/rouse/simulations/trace"
	"github.com/rouse-im/rouse/simulations/world"
)

type simVerb struct {
	Scenario   string        `help:"Name of a shipped scenario, or a file." default:"small" placeholder:"NAME"`
	Seed       uint64        `help:"The same scenario and seed make the same events." default:"1"`
	Users      int           `help:"Another number of users than the scenario's." placeholder:"N"`
	Days       float64       `help:"Another length than the scenario's." placeholder:"N"`
	Trace      string        `help:"Play this trace (JSONL) instead of a scenario." type:"existingfile" placeholder:"FILE"`
	Flash      string        `help:"Play the device states of this state_traces.json (FLASH) instead of a scenario." type:"existingfile" placeholder:"FILE"`
	Out        string        `help:"Directory for index.html, summary.json, the plots, the transcript and the log of the run." type:"path" placeholder:"DIR"`
	EventsOnly bool          `help:"Make the events and show them; no server takes part. Writes trace.jsonl."`
	Nodes      int           `help:"Servers of the cluster, 1-9." default:"3"`
	FakeTime   bool          `help:"Play against nodes within this program, in fake time: waiting takes none, and faults of networks, disks and clocks take part."`
	Seeds      int           `help:"With --fake-time: play so many seeds from --seed on, each in a process of its own, and sum up." default:"1" placeholder:"N"`
	Patience   time.Duration `help:"With --fake-time: give a run up in which nothing has moved for so long, and write stacks.txt." default:"5m"`
	Profile    bool          `help:"With --fake-time: write cpu.pprof, and heap.pprof as of the end of the script."`
	Pace       int           `help:"With --fake-time: how many times slower than real ones nodes gossip and count ticks; 0 = 1, or 5 if it lasts longer than an hour." placeholder:"N"`
	Speed      float64       `help:"How many times quicker than life events come. Servers' clocks, leases and retries stay as they are." default:"60"`
	Spaces     bool          `help:"Give each server a network of its own, so that faults can cut it (Linux, root, ip and nft)."`
	Measure    bool          `help:"Keep figures only and judge nothing, for millions of events."`
	Plan       bool          `help:"Play nothing: tell how many servers, and how much memory and disk, devices need."`
	Devices    []float64     `help:"Numbers of devices for --plan." default:"1e6,1e7,1e8,1e9" placeholder:"N,…"`
	Server     string        `help:"The roused to start; without it the one beside this program, or in PATH." type:"existingfile" placeholder:"FILE"`
}

// Help says what is made, and of what.
func (*simVerb) Help() string {
	return `Plays the days of a population of phones against real servers on this machine: logins, backgrounds, commutes, flights, re-installs, new tokens, messages, reads, recalls, IM nodes that die, repeat and reorder, servers that are killed, vendors that fail. Vendors are fakes on loopback. At the end every decision is compared with a second implementation of the rules, and invariants are checked; index.html shows the day.

Shipped scenarios: ` + strings.Join(scenarios.Names(), ", ") + `

Examples:

    rouse sim --scenario small --out small
    rouse sim --scenario city-day --seed 7 --users 1000 --nodes 3 --out city
    rouse sim --fake-time --scenario brief --seeds 20 --out seeds
    rouse sim --fake-time --scenario city-day --users 1000 --out day
    rouse sim --events-only --scenario city-day --seed 7 --out city
    rouse sim --plan --devices 5e6
    rouse sim --trace city/trace.jsonl --out again
    rouse sim --flash state_traces.json --speed 600 --out flash`
}

// Run plays, or makes the events only.
func (v *simVerb) Run(c *call) error {
	if v.Plan {
		return v.size(c)
	}
	if v.Out == "" {
		return errors.New("name a directory with --out")
	}
	if err := v.sane(); err != nil {
		return err
	}
	if err := os.MkdirAll(v.Out, 0o755); err != nil {
		return err
	}
	if v.Seeds > 1 {
		return v.seeds(c)
	}
	p, err := v.plot(c)
	if err != nil {
		return err
	}
	if v.EventsOnly {
		return v.preview(c, p)
	}
	if v.FakeTime {
		return v.simulate(c, p)
	}
	return v.play(c, p)
}

// sane refuses flags that contradict each other.
func (v *simVerb) sane() error {
	switch {
	case v.Seeds < 1 || v.Seeds > 1_000_000:
		return fmt.Errorf("--seeds: %d; 1 to 1,000,000", v.Seeds)
	case v.Pace < 0 || v.Pace > 100:
		return fmt.Errorf("--pace: %d; 0 to 100", v.Pace)
	case v.Patience < time.Second:
		return fmt.Errorf("--patience: %v; 1s or more", v.Patience)
	case v.Nodes < 1 || v.Nodes > 9:
		return fmt.Errorf("--nodes: %d; 1 to 9", v.Nodes)
	case v.Seeds > 1 && (!v.FakeTime || v.Trace != "" || v.Flash != ""):
		return errors.New("--seeds plays a scenario with --fake-time; a trace has no seed")
	case v.Profile && (!v.FakeTime || v.Seeds > 1):
		return errors.New("--profile is of one run with --fake-time")
	case v.Measure && v.FakeTime:
		return errors.New("--measure is about real servers; leave --fake-time out")
	}
	return nil
}

// plot is what is played.
type plot struct {
	header trace.Header
	run    report.Run
	length time.Duration
	app    *rousev1.AppSettings
	quota  uint64 // of each vendor's day; 0 = none
	steps  iter.Seq[simulations.Step]
	// events anew, for previews of worlds too large to keep; nil = those of steps.
	events func() iter.Seq[simulations.Event]
	ended  func() error // what was wrong with the file of the steps
}

func (v *simVerb) plot(c *call) (*plot, error) {
	switch {
	case v.Trace != "":
		return v.recorded(c)
	case v.Flash != "":
		return v.flash(c)
	}
	s, err := v.scenario()
	if err != nil {
		return nil, err
	}
	faults, err := s.Schedule()
	if err != nil {
		return nil, err
	}
	settings, err := s.Settings()
	if err != nil {
		return nil, err
	}
	w, err := world.New(s, v.Seed)
	if err != nil {
		return nil, err
	}
	return &plot{
		header: trace.Header{Scenario: s.Name, Seed: v.Seed, Commit: version(), Start: s.Start},
		run: report.Run{
			Scenario: s.Name, About: s.About, Seed: v.Seed, Start: s.Start, Length: s.Length, History: &checker.History{Faults: faults},
			Replay: fmt.Sprintf("rouse sim --scenario %s --seed %d%s", v.Scenario, v.Seed, v.flags()),
		},
		length: s.Length, app: settings, quota: uint64(s.Users) * quotaPerUser, steps: simulations.Merge(world.Disturb(s, v.Seed, w.Events()), faults),
		events: func() iter.Seq[simulations.Event] {
			again, err := world.New(s, v.Seed) // it was made before
			if err != nil {
				return func(func(simulations.Event) bool) {}
			}
			return again.Events()
		},
		ended: func() error { return nil },
	}, nil
}

// quotaPerUser is more pushes of one vendor than people get in a week, on average.
const quotaPerUser = 100

// flags that change what happens.
func (v *simVerb) flags() string {
	text := ""
	if v.Users > 0 {
		text += fmt.Sprintf(" --users %d", v.Users)
	}
	if v.Days > 0 {
		text += fmt.Sprintf(" --days %g", v.Days)
	}
	if v.EventsOnly {
		return text + " --events-only --out DIR"
	}
	if v.FakeTime {
		if v.Pace > 0 {
			text += fmt.Sprintf(" --pace %d", v.Pace)
		}
		return text + fmt.Sprintf(" --fake-time --nodes %d --out DIR", v.Nodes)
	}
	return text + fmt.Sprintf(" --nodes %d --speed %g --out DIR", v.Nodes, v.Speed)
}

func (v *simVerb) scenario() (*scenarios.Scenario, error) {
	s, err := v.load()
	if err != nil || v.Users == 0 && v.Days == 0 {
		return s, err
	}
	if v.Users != 0 {
		s.About += fmt.Sprintf(" Here with %d people.", v.Users)
		s.Users = v.Users
		for i := range s.Groups.Large {
			s.Groups.Large[i].Size = min(s.Groups.Large[i].Size, s.Users)
		}
	}
	if v.Days != 0 {
		s.Length = time.Duration(v.Days * 24 * float64(time.Hour))
		for i := range s.Groups.Large {
			l := &s.Groups.Large[i]
			l.At = slices.DeleteFunc(l.At, func(at time.Duration) bool { return at >= s.Length })
		}
		s.IM.Outages = slices.DeleteFunc(s.IM.Outages, func(o scenarios.Outage) bool { return o.At >= s.Length })
		s.Faults = slices.DeleteFunc(s.Faults, func(f scenarios.Plan) bool { return f.At >= s.Length })
	}
	return s, s.Validate()
}

func (v *simVerb) load() (*scenarios.Scenario, error) {
	if filepath.Ext(v.Scenario) == "" {
		return scenarios.Load(v.Scenario)
	}
	text, err := os.ReadFile(v.Scenario)
	if err != nil {
		return nil, err
	}
	return scenarios.Parse(v.Scenario, text)
}

// preview shows the events.
func (v *simVerb) preview(c *call, p *plot) error {
	if p.events == nil {
		return errors.New("a trace is played against servers; leave --events-only out")
	}
	if err := v.record(c, p.header, p.steps); err != nil {
		return err
	}
	p.run.Engine, p.run.Events = "events only", p.events
	return v.show(c, p.run)
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
	return c.say("%d steps in %s", n, path)
}

func (v *simVerb) show(c *call, r report.Run) error {
	r.Commit = version()
	s, err := report.Write(v.Out, r)
	if err != nil {
		return err
	}
	for _, f := range s.Figures {
		if err := c.say("%10.0f %s", f.Value, f.Name.EN); err != nil {
			return err
		}
	}
	return c.say("%s", filepath.Join(v.Out, "index.html"))
}
