package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/rouse-im/rouse/simulations/bubble"
	"github.com/rouse-im/rouse/simulations/checker"
	"github.com/rouse-im/rouse/simulations/live"
)

const (
	// slowPace is that of the nodes in scripts longer than quickPlay.
	slowPace  = 5
	quickPlay = time.Hour
	// playGC is how much garbage there may be, in percent of what lives, while a
	// script is played: many short lives, for which memory is there and time is not.
	// Who judges makes much that lives to the end: with as much garbage it would be
	// twice what the script needs at most.
	playGC  = 300
	judgeGC = 100
	// verdictFile has what a run in fake time found.
	verdictFile = "verdict.json"
)

// verdict on one seed.
type verdict struct {
	Seed uint64 `json:"seed"`
	// Caught are those that found something; none = the seed has passed.
	Caught   []string `json:"caught,omitempty"`
	Findings []string `json:"findings,omitempty"`
	// Decisions compared with the rules, and users of whom nothing can be said.
	Decisions int           `json:"decisions"`
	Lost      int           `json:"lost_users"`
	Checks    []checked     `json:"checks"`
	Took      time.Duration `json:"took_ns"`
}

// checked is how much an invariant has looked at.
type checked struct {
	Number   int    `json:"number"`
	Name     string `json:"name"`
	Examined int    `json:"examined"`
	Breaches int    `json:"breaches"`
}

// simulate plays the plot against nodes in this process, in fake time, and reports.
func (v *simVerb) simulate(c *call, p *plot) error {
	defer debug.SetGCPercent(debug.SetGCPercent(playGC))
	began := time.Now()
	r, err := v.fake(c, p)
	if still, stands := errors.AsType[*standstill](err); stands {
		return errors.Join(err, v.keepVerdict(verdict{Seed: p.header.Seed, Caught: []string{"standstill"}, Findings: []string{still.Error()}, Took: time.Since(began)}), v.keepScript(c))
	}
	if err = errors.Join(err, p.ended()); err != nil {
		return err
	}
	d := judged(p.header.Seed, r)
	d.Took = time.Since(began)
	if err := v.keepVerdict(d); err != nil {
		return err
	}
	if err := c.say("%v in %v; %d decisions compared with the rules, %d users of whom nothing can be said", p.length, d.Took.Round(100*time.Millisecond), d.Decisions, d.Lost); err != nil {
		return err
	}
	run := p.run
	run.Engine, run.Nodes, run.History, run.Results, run.Wrong = "fake time", v.Nodes, r.History, r.Checks, r.Wrong
	if err := v.show(c, run); err != nil || len(d.Caught) == 0 {
		return err
	}
	for _, f := range d.Findings {
		if err := c.say("%s", f); err != nil {
			return err
		}
	}
	return errors.Join(fmt.Errorf("found by %s; see %s", strings.Join(d.Caught, ", "), filepath.Join(v.Out, "index.html")), v.keepScript(c))
}

func (v *simVerb) keepVerdict(d verdict) error {
	text, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(v.Out, verdictFile), append(text, '\n'), 0o644)
}

// fake plays, and shows how far it is. A run that has come to a standstill is left
// behind: nothing ends a bubble.
func (v *simVerb) fake(c *call, p *plot) (*bubble.Result, error) {
	profile, err := v.measured()
	if err != nil {
		return nil, err
	}
	pace := v.Pace
	if pace == 0 && p.length > quickPlay {
		pace = slowPace
	}
	o := bubble.Options{Seed: p.header.Seed, Nodes: v.Nodes, Start: p.header.Start, Steps: p.steps, Settings: p.app, Pace: pace, Progress: &bubble.Progress{}}
	ended := make(chan played, 1)
	go func() {
		r, err := bubble.Play(c.ctx, o)
		ended <- played{r, err}
	}()
	x := v.await(c, p, o.Progress, profile, ended)
	return x.r, errors.Join(x.err, profile.end())
}

// played is what Play answered.
type played struct {
	r   *bubble.Result
	err error
}

// await shows the progress until the run has ended or stands still.
func (v *simVerb) await(c *call, p *plot, progress *bubble.Progress, profile *profiles, ended <-chan played) played {
	show := newSimProgress(c, p)
	defer show.end()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	moves, moved := int64(-1), time.Now()
	for {
		select {
		case x := <-ended:
			return x
		case <-tick.C:
		}
		stage, at, events := progress.Now()
		show.step(live.Progress{Stage: stage, At: at, Events: events})
		if stage == "settling" {
			profile.heap()
			debug.SetGCPercent(judgeGC)
		}
		if n := progress.Moves(); n != moves {
			moves, moved = n, time.Now()
		} else if time.Since(moved) > v.Patience {
			return played{err: v.stands(p.run.Start.Add(at.Duration()), stage)}
		}
	}
}

// standstill is a run that did not get on.
type standstill struct{ text string }

// Error says where it stands.
func (s *standstill) Error() string { return s.text }

// stands writes down what each goroutine waits for.
func (v *simVerb) stands(at time.Time, stage string) error {
	path := filepath.Join(v.Out, "stacks.txt")
	stacks := make([]byte, maxStacks)
	stacks = stacks[:runtime.Stack(stacks, true)]
	s := &standstill{fmt.Sprintf("nothing has moved for %v at %s, %s; what each goroutine does is in %s", v.Patience, at.Format("Mon 15:04:05"), stage, path)}
	return errors.Join(s, os.WriteFile(path, stacks, 0o644))
}

// maxStacks bounds stacks.txt, bytes.
const maxStacks = 64 << 20

func judged(seed uint64, r *bubble.Result) verdict {
	d := verdict{Seed: seed, Caught: r.Caught(), Decisions: r.Examined, Lost: len(r.Lost)}
	if err := r.Err(); err != nil {
		d.Findings = strings.Split(err.Error(), "\n")
	}
	for _, x := range slices.SortedFunc(slices.Values(r.Checks), func(a, b checker.Result) int { return cmp.Compare(a.Number, b.Number) }) {
		d.Checks = append(d.Checks, checked{x.Number, x.Name, x.Examined, x.Breaches})
	}
	return d
}

// keepScript writes the steps of a failed run as a trace.
func (v *simVerb) keepScript(c *call) error {
	if v.Trace != "" {
		return nil
	}
	p, err := v.plot(c)
	if err != nil {
		return err
	}
	return v.record(c, p.header, p.steps)
}
