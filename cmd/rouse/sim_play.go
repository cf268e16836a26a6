package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/rouse-im/rouse/simulations"
	"github.com/rouse-im/rouse/simulations/live"
)

// play the plot against servers, and report.
func (v *simVerb) play(c *call, p *plot) (err error) {
	server, err := v.server()
	if err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(v.Out, "log.jsonl"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	lines := bufio.NewWriterSize(log, 1<<20)
	show := newSimProgress(c, p)
	r, err := live.Run(c.ctx, live.Options{
		Steps: p.steps, Length: p.length, Speed: v.Speed, Settings: p.app, Quota: p.quota, Nodes: v.Nodes, Measure: v.Measure, Spaces: v.Spaces, Log: lines,
		Server:   func(flags ...string) *exec.Cmd { return exec.Command(server, flags...) },
		Progress: show.step,
	})
	show.end()
	if err = errors.Join(err, p.ended(), lines.Flush()); err != nil {
		return err
	}
	for _, s := range r.Skipped {
		if err := c.say("left out: %s", s); err != nil {
			return err
		}
	}
	if err := v.figures(c, r.Figures); err != nil || v.Measure {
		return err
	}
	run := p.run
	run.Engine, run.Nodes, run.Speed, run.History, run.Results, run.Wrong = "real time", v.Nodes, v.Speed, r.History, r.Results, r.Wrong
	if err := c.say("%d decisions compared with the rules, %d of which nothing can be said", r.Judged, r.Unsure); err != nil {
		return err
	}
	if err := v.show(c, run); err != nil {
		return err
	}
	broken := 0
	for _, x := range r.Results {
		if x.Breaches > 0 {
			broken++
			if err := c.say("broken: %d %s, %d times: events %v: %s", x.Number, x.Name, x.Breaches, x.Findings[0].Events, x.Findings[0].Text); err != nil {
				return err
			}
		}
	}
	if broken+len(r.Wrong) > 0 {
		return fmt.Errorf("%d invariants do not hold, %d decisions are wrong; see %s", broken, len(r.Wrong), filepath.Join(v.Out, "index.html"))
	}
	return nil
}

// figures as a file, and the most telling ones as a table.
func (v *simVerb) figures(c *call, f live.Figures) error {
	text, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(v.Out, "figures.json"), append(text, '\n'), 0o644); err != nil {
		return err
	}
	if err := c.say("%d events in %v, at most %v behind; answers %v; pushes %v", f.Events, f.Took.Round(time.Second), f.Behind.Round(time.Millisecond), f.Answers, f.Pushes); err != nil {
		return err
	}
	rows := [][]string{}
	for _, t := range append(f.Times, f.ToVendor) {
		if t.N > 0 {
			rows = append(rows, []string{t.Kind, fmt.Sprint(t.N), short(t.P50), short(t.P99), short(t.Most)})
		}
	}
	if err := c.table([]string{"EVENT", "ANSWERS", "P50", "P99", "LONGEST"}, rows); err != nil {
		return err
	}
	rows = rows[:0]
	for _, n := range f.Nodes {
		rows = append(rows, []string{n.Node, fmt.Sprintf("%.1f s", n.CPUSeconds), fmt.Sprintf("%.0f MiB", n.Memory/(1<<20)), fmt.Sprintf("%.0f MiB", n.Disk/(1<<20))})
	}
	if f.Moved > 0 {
		if err := c.say("leaderships were lost %d times and not handed over: by faults, or because the machine had no time for a server", f.Moved); err != nil {
			return err
		}
	}
	return c.table([]string{"NODE", "CPU", "MEMORY", "DISK"}, rows)
}

func short(d time.Duration) string {
	if d >= time.Second {
		return d.Round(10 * time.Millisecond).String()
	}
	return d.Round(10 * time.Microsecond).String()
}

// server finds roused.
func (v *simVerb) server() (string, error) {
	if v.Server != "" {
		return filepath.Abs(v.Server)
	}
	if self, err := os.Executable(); err == nil {
		beside := filepath.Join(filepath.Dir(self), "roused")
		if info, err := os.Stat(beside); err == nil && !info.IsDir() {
			return beside, nil
		}
	}
	found, err := exec.LookPath("roused")
	if err != nil {
		return "", errors.New("there is no roused beside this program nor in PATH; build it with go build ./cmd/roused, and name it with --server")
	}
	return filepath.Abs(found)
}

// simProgress is a bar with the scenario's clock; without a terminal a line now
// and then.
type simProgress struct {
	c     *call
	p     *plot
	bar   *progressbar.ProgressBar
	stage string
	told  time.Time
}

func newSimProgress(c *call, p *plot) *simProgress {
	s := &simProgress{c: c, p: p}
	if isTerminal(c.errs) {
		s.bar = progressbar.NewOptions64(max(1, int64(simulations.At(p.length))), progressbar.OptionSetWriter(c.errs), progressbar.OptionSetPredictTime(true),
			progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionSetWidth(30), progressbar.OptionClearOnFinish())
	}
	return s
}

func (s *simProgress) step(x live.Progress) {
	text := x.Stage
	if x.Stage == "playing" {
		text = fmt.Sprintf("%d %%  %s  %d events", 100*x.At/max(1, simulations.At(s.p.length)), s.p.run.Start.Add(x.At.Duration()).Format("Mon 15:04:05"), x.Events)
		if x.Behind > time.Second {
			text += fmt.Sprintf("  %v behind", x.Behind.Round(time.Second))
		}
	}
	switch {
	case s.bar != nil:
		s.bar.Describe(text)
		_ = s.bar.Set64(min(int64(x.At), s.bar.GetMax64()-1)) // a bar that cannot be drawn is no loss
	case s.stage != x.Stage || time.Since(s.told) >= tellEvery:
		s.told = time.Now()
		fmt.Fprintln(s.c.errs, text)
	}
	s.stage = x.Stage
}

func (s *simProgress) end() {
	if s.bar != nil {
		_ = s.bar.Clear()
	}
}
