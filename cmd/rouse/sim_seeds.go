package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
)

// seeds plays one seed after the other, each in a process of its own: what
// panics is one failed seed. As many run at a time as there are CPUs.
func (v *simVerb) seeds(c *call) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	var (
		work sync.WaitGroup
		t    = &tally{of: v.Seeds, running: map[uint64]*lastLine{}, looked: map[int]*checked{}, began: time.Now()}
		next = make(chan uint64)
	)
	for range min(v.Seeds, runtime.NumCPU()) {
		work.Go(func() {
			for seed := range next {
				t.ended(v.seed(c, self, seed, t))
			}
		})
	}
	stop := t.show(c)
	for seed := v.Seed; seed < v.Seed+uint64(v.Seeds) && c.ctx.Err() == nil; seed++ {
		next <- seed
	}
	close(next)
	work.Wait()
	stop()
	if err := c.ctx.Err(); err != nil {
		return err
	}
	return v.sum(c, t)
}

// seed plays one and reads what it found. Only the directories of failed seeds stay.
func (v *simVerb) seed(c *call, self string, seed uint64, t *tally) verdict {
	dir := filepath.Join(v.Out, fmt.Sprintf("seed-%d", seed))
	args := []string{"sim", "--fake-time", "--scenario", v.Scenario, "--seed", fmt.Sprint(seed), "--nodes", fmt.Sprint(v.Nodes), "--pace", fmt.Sprint(v.Pace), "--out", dir}
	if v.Users > 0 {
		args = append(args, "--users", fmt.Sprint(v.Users))
	}
	if v.Days > 0 {
		args = append(args, "--days", fmt.Sprint(v.Days))
	}
	cmd := exec.CommandContext(c.ctx, self, args...)
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1") // seeds share the CPUs
	said := &lastLine{}
	cmd.Stderr = said
	t.begun(seed, said)
	failed := cmd.Run()
	d := verdict{Seed: seed}
	text, err := os.ReadFile(filepath.Join(dir, verdictFile))
	if err == nil {
		err = json.Unmarshal(text, &d)
	}
	switch {
	case c.ctx.Err() != nil:
	case err != nil:
		d.Caught, d.Findings = []string{"crash"}, []string{fmt.Sprintf("it ended without a verdict (%v); see stderr.txt", failed)}
		again := *v
		again.Seed, again.Out = seed, dir
		quiet := *c
		quiet.out = &bytes.Buffer{}
		err = errors.Join(os.MkdirAll(dir, 0o755), os.WriteFile(filepath.Join(dir, "stderr.txt"), said.all(), 0o644), again.keepScript(&quiet))
	case len(d.Caught) == 0:
		err = os.RemoveAll(dir)
	}
	if err != nil {
		d.Findings = append(d.Findings, err.Error())
	}
	return d
}

// sum says what all seeds have shown.
func (v *simVerb) sum(c *call, t *tally) error {
	rows := [][]string{}
	for number := range 64 {
		if x := t.looked[number]; x != nil {
			rows = append(rows, []string{fmt.Sprint(x.Number), x.Name, fmt.Sprint(x.Examined), fmt.Sprint(x.Breaches)})
		}
	}
	if err := c.table([]string{"", "INVARIANT", "EXAMINED", "BROKEN"}, rows); err != nil {
		return err
	}
	if err := c.say("%d of %d seeds passed in %v; %d decisions compared with the rules, of %d users nothing can be said", t.done-len(t.failed), t.done, time.Since(t.began).Round(time.Second), t.decisions, t.lost); err != nil {
		return err
	}
	if len(t.failed) == 0 {
		return nil
	}
	slices.SortFunc(t.failed, func(a, b verdict) int { return int(a.Seed) - int(b.Seed) })
	for _, d := range t.failed {
		first := ""
		if len(d.Findings) > 0 {
			first = d.Findings[0]
		}
		if err := c.say("seed %d: found by %s: %s; the script is %s", d.Seed, strings.Join(d.Caught, ", "), first, filepath.Join(v.Out, fmt.Sprintf("seed-%d", d.Seed), "trace.jsonl")); err != nil {
			return err
		}
	}
	return fmt.Errorf("%d seeds failed", len(t.failed))
}

// tally of the seeds that have ended, and what those that run said last.
type tally struct {
	of    int
	began time.Time

	mu              sync.Mutex
	done            int
	decisions, lost int
	failed          []verdict
	looked          map[int]*checked
	running         map[uint64]*lastLine
}

func (t *tally) begun(seed uint64, said *lastLine) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.running[seed] = said
}

func (t *tally) ended(d verdict) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.running, d.Seed)
	t.done++
	t.decisions += d.Decisions
	t.lost += d.Lost
	for _, x := range d.Checks {
		sum := t.looked[x.Number]
		if sum == nil {
			sum = &checked{Number: x.Number, Name: x.Name}
			t.looked[x.Number] = sum
		}
		sum.Examined += x.Examined
		sum.Breaches += x.Breaches
	}
	if len(d.Caught) > 0 {
		t.failed = append(t.failed, d)
	}
}

// show tells now and then how far the seeds are.
func (t *tally) show(c *call) (stop func()) {
	over, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(tellEvery)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				fmt.Fprintln(c.errs, t.line())
			case <-over:
				return
			}
		}
	}()
	return func() { close(over); <-ended }
}

func (t *tally) line() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var text strings.Builder
	fmt.Fprintf(&text, "%d of %d seeds, %d failed", t.done, t.of, len(t.failed))
	for seed, said := range t.running {
		fmt.Fprintf(&text, "; seed %d: %s", seed, said.last())
	}
	return text.String()
}

// lastLine keeps the end of what a process says, at most maxSaid bytes.
type lastLine struct {
	mu  sync.Mutex
	end []byte
}

const maxSaid = 1 << 20

// Write keeps.
func (l *lastLine) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.end = append(l.end, p...); len(l.end) > maxSaid {
		l.end = bytes.Clone(l.end[len(l.end)-maxSaid:])
	}
	return len(p), nil
}

func (l *lastLine) all() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return bytes.Clone(l.end)
}

func (l *lastLine) last() string {
	text := bytes.TrimRight(l.all(), "\n")
	return string(text[bytes.LastIndexByte(text, '\n')+1:])
}
