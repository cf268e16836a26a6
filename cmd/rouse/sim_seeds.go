package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
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
	args := []string{"sim", "--fake-time", "--scenario", v.Scenario, "--seed", fmt.Sprint(seed), "--nodes", fmt.Sprint(v.Nodes), "--pace", fmt.Sprint(v.Pace), "--patience", v.Patience.String(), "--out", dir}
	if v.Users > 0 {
		args = append(args, "--users", fmt.Sprint(v.Users))
	}
	if v.Days > 0 {
		args = append(args, "--days", fmt.Sprint(v.Days))
	}
	ctx, cancel := context.WithCancel(c.ctx)
	defer cancel()
	cmd := exec.CommandContext(ctx, self, args...)
	cmd.Cancel = func() error {
		if c.ctx.Err() != nil {
			return cmd.Process.Kill()
		}
		return cmd.Process.Signal(syscall.SIGQUIT) // it shows its stacks
	}
	cmd.WaitDelay = lastWords
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1") // seeds share the CPUs
	said := &lastLine{at: time.Now()}
	cmd.Stderr = said
	t.begun(seed, said)
	go said.silence(ctx, 2*v.Patience, cancel)
	failed := cmd.Run()
	t.spent(cmd.ProcessState)
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

// lastWords is how long a process may take to show its stacks.
const lastWords = 20 * time.Second

// silence calls a process that says nothing any more: it has to say each few
// seconds how far it is, and that it stands still when it does.
func (l *lastLine) silence(ctx context.Context, patience time.Duration, call func()) {
	tick := time.NewTicker(patience / 20)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		l.mu.Lock()
		silent := time.Since(l.at)
		l.mu.Unlock()
		if silent > patience {
			call()
			return
		}
	}
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
	if err := c.say("%d of %d seeds passed in %v and %v of CPU; %d decisions compared with the rules, of %d users nothing can be said", t.done-len(t.failed), t.done, time.Since(t.began).Round(time.Second), t.cpu.Round(time.Second), t.decisions, t.lost); err != nil {
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
	cpu             time.Duration
	failed          []verdict
	looked          map[int]*checked
	running         map[uint64]*lastLine
}

func (t *tally) begun(seed uint64, said *lastLine) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.running[seed] = said
}

// spent adds what a process took; nil = it did not start.
func (t *tally) spent(s *os.ProcessState) {
	if s == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.cpu += s.UserTime() + s.SystemTime()
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

// line says how far the seeds are, and when they will have ended if they go on so.
func (t *tally) line() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var text strings.Builder
	far := float64(t.done)
	for _, seed := range slices.Sorted(maps.Keys(t.running)) {
		said := t.running[seed].last()
		fmt.Fprintf(&text, "; seed %d: %s", seed, said)
		far += part(said)
	}
	end := ""
	if far > 0 {
		end = ", done at about " + t.began.Add(time.Duration(float64(time.Since(t.began))*float64(t.of)/far)).Format("15:04")
	}
	return fmt.Sprintf("%d of %d seeds, %d failed%s%s", t.done, t.of, len(t.failed), end, text.String())
}

// part of a run that is over, by what it said of itself.
func part(said string) float64 {
	if said == "settling" || said == "judging" {
		return 1
	}
	percent := 0
	if _, err := fmt.Sscanf(said, "%d %%", &percent); err != nil {
		return 0
	}
	return float64(min(percent, 100)) / 100
}

// lastLine keeps the end of what a process says, at most maxSaid bytes.
type lastLine struct {
	mu  sync.Mutex
	end []byte
	at  time.Time // of the last word
}

const maxSaid = 1 << 20

// Write keeps.
func (l *lastLine) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.at = time.Now()
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
