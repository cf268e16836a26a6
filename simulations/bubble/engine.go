// Package bubble plays a script against whole nodes in one process and in fake
// time: engine, replicas, gossip, lanes and the vendors' clients run as they are,
// on one network and on disks in memory. It is called inside a bubble of
// testing/synctest, where an hour without work takes no time.
//
// A killed node leaves a crash clone of its disk; what still runs of it can
// reach nobody. The same seed plays the same script, but which of several ready
// goroutines goes first is not decided by it: a failure comes again in most
// runs of its seed, not in all.
package bubble

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/cluster/memnet"
	"github.com/rouse-im/rouse/internal/catalog"
	"github.com/rouse-im/rouse/simulations"
	"github.com/rouse-im/rouse/simulations/checker"
	"github.com/rouse-im/rouse/storage/seal"
)

const appID = "chat"

// Options of a run. Zero fields have the default that they name.
type Options struct {
	// Dir holds key files; it must exist.
	Dir  string
	Seed uint64
	// Nodes that the cluster has, 1; Grow: it begins with one, and the others
	// join while events come in.
	Nodes int
	Grow  bool
	// Shards that users are spread over; 4.
	Shards int
	// Start is the wall clock at the first step; it must not be in the past.
	Start time.Time
	Steps iter.Seq[simulations.Step]
	// Pace is how many times slower than real nodes these gossip, and count the
	// ticks of replicas; 1. Most of a quiet day is that.
	Pace int
	// Lease of IM nodes; 15 s. Latency of links; 500 µs.
	Lease, Latency time.Duration
	// Vendors that there are; none = all.
	Vendors  []string
	Settings *rousev1.AppSettings
	// Limits of credentials, by name; none = they bind nobody.
	Limits map[string]Limit
	// Drain is how long backlogs may take after the last fault; 2 min.
	Drain  time.Duration
	Logger *slog.Logger
	// Progress is kept up to date; nil = nobody looks.
	Progress *Progress
}

// Engine of one run.
type Engine struct {
	o         Options
	net       *memnet.Net
	machines  []*machine
	vendors   *outside
	clients   *clients
	random    *rand.Rand // of the goroutine that plays the steps
	fate      *fate      // of what disks have not synced
	work      sync.WaitGroup
	healing   sync.WaitGroup // faults that have not ended
	over      chan struct{}  // closed at the end
	leaders   leaders
	registers *registers
	secrets   *secrets

	mu     sync.Mutex
	faults []error
	cuts   map[*simulations.Fault]bool
	stops  []checker.Stop
	events []*simulations.Event
	broken []simulations.Fault
	until  simulations.Offset // when the last fault has ended
}

// Run plays the steps and judges what came of them.
func Run(o Options) (*Result, error) {
	o.Nodes, o.Shards, o.Pace = cmp.Or(o.Nodes, 1), cmp.Or(o.Shards, 4), cmp.Or(o.Pace, 1)
	o.Lease, o.Latency, o.Drain = cmp.Or(o.Lease, 15*time.Second), cmp.Or(o.Latency, 500*time.Microsecond), cmp.Or(o.Drain, 2*time.Minute)
	if o.Logger == nil {
		o.Logger = quiet()
	}
	if o.Settings == nil {
		o.Settings = &rousev1.AppSettings{}
	}
	if o.Progress == nil {
		o.Progress = &Progress{}
	}
	e := &Engine{
		o: o, net: memnet.New(memnet.Options{Seed: o.Seed, Latency: o.Latency, Jitter: o.Latency / 4}), random: rand.New(rand.NewPCG(o.Seed, 0xb0bb1e)),
		fate:    &fate{r: rand.New(rand.NewPCG(o.Seed, 0xd15c))},
		leaders: leaders{open: map[tenure]checker.Lead{}, dead: map[string]bool{}},
		secrets: newSecrets(),
		over:    make(chan struct{}), cuts: map[*simulations.Fault]bool{},
	}
	defer e.end()
	if err := e.found(); err != nil {
		return nil, err
	}
	o.Progress.enter("playing")
	e.registers = e.openRegisters()
	e.play()
	o.Progress.enter("settling")
	return e.judge()
}

// found starts the first node, or all, and makes the app.
func (e *Engine) found() (err error) {
	if err := seal.Generate(filepath.Join(e.o.Dir, "seal.key")); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	e.clients = newClients(e)
	for i := range e.o.Nodes {
		m := &machine{e: e, name: nodeName(i), disk: newDisk()}
		if err := os.MkdirAll(filepath.Join(e.o.Dir, m.name), 0o700); err != nil {
			return err
		}
		e.machines = append(e.machines, m)
	}
	if e.vendors, err = openVendors(e); err != nil {
		return err
	}
	if !e.pauseUntil(e.o.Start.Add(-beforehand)) {
		return fmt.Errorf("the start, %v, is not after the clock, %v", e.o.Start, time.Now())
	}
	p := e.machines[0].start()
	if err := e.await("the first node serves", func() bool { return p.serving() && p.node.Leads(0) }); err != nil {
		return err
	}
	if err := e.makeApp(p.node.Catalog()); err != nil {
		return err
	}
	if !e.o.Grow {
		if err := e.grow(); err != nil {
			return err
		}
	}
	e.pauseUntil(e.o.Start)
	return nil
}

// beforehand is the time in which a cluster comes together before the first step.
const beforehand = 20 * time.Second

func (e *Engine) makeApp(c *catalog.Catalog) error {
	if _, err := c.CreateApp(appID, "Chat", e.o.Settings, time.Now()); err != nil {
		return err
	}
	for _, credential := range e.vendors.fakes.Credentials() {
		e.o.Limits[credential.GetName()].set(credential)
		if err := c.PutCredential(appID, credential, catalog.Put{}); err != nil {
			return err
		}
	}
	return nil
}

// grow has the other nodes join, and waits until they hold replicas.
func (e *Engine) grow() error {
	for _, m := range e.machines[1:] {
		m.start()
	}
	voters := 1
	if len(e.machines) >= 3 {
		voters = 3
	}
	return e.await(fmt.Sprintf("each shard has %d voters", voters), func() bool {
		for group := range uint16(e.o.Shards + 1) {
			if !slices.ContainsFunc(e.machines, func(m *machine) bool {
				p := m.run.Load()
				return p.serving() && p.node.Voters(group) >= voters
			}) {
				return false
			}
		}
		return true
	})
}

// await looks every 100 ms whether something has come, for two minutes.
func (e *Engine) await(what string, is func() bool) error {
	for range 1200 {
		if is() {
			return nil
		}
		if !e.pause(100 * time.Millisecond) {
			break
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return errors.Join(append([]error{fmt.Errorf("%v: it did not come to this: %s", e.now(), what)}, e.faults...)...)
}

func (e *Engine) play() {
	if e.o.Grow {
		e.work.Go(func() {
			if err := e.grow(); err != nil {
				e.fault("growing: %v", err)
			}
		})
	}
	for step := range e.o.Steps {
		e.pauseUntil(e.o.Start.Add(step.At.Duration()))
		e.o.Progress.at.Store(int64(step.At))
		if f := step.Fault; f != nil {
			e.broken = append(e.broken, *f)
			e.registers.disturbed(f)
			e.until = max(e.until, f.At+f.For)
			e.begin(f)
			continue
		}
		if step.Delivery.Copy == 0 {
			e.events = append(e.events, step.Delivery.Event)
			e.secrets.keep(step.Delivery.Event)
		}
		e.o.Progress.events.Add(1)
		e.clients.deliver(step.Delivery, e.random)
	}
	e.pauseUntil(e.o.Start.Add(e.until.Duration()))
}

// some node that serves; nil = none does.
func (e *Engine) some(r *rand.Rand) *process {
	first := r.IntN(len(e.machines))
	for i := range e.machines {
		if p := e.machines[(first+i)%len(e.machines)].run.Load(); p.serving() {
			return p
		}
	}
	return nil
}

// end kills all that runs, so that the bubble can end.
func (e *Engine) end() {
	close(e.over)
	e.net.Heal()
	for _, m := range e.machines {
		m.slow.Store(0)
		e.net.Thaw(m.name)
		if m.run.Load() != nil {
			m.kill(100)
		}
	}
	if e.vendors != nil && e.vendors.fakes != nil {
		e.vendors.fakes.Close()
	}
	e.healing.Wait()
	e.work.Wait()
	<-time.After(time.Minute) // gossip's last timers
}

func (e *Engine) now() simulations.Offset { return e.offset(time.Now()) }

func (e *Engine) offset(t time.Time) simulations.Offset { return simulations.At(t.Sub(e.o.Start)) }

// pause waits; false when the run is over.
func (e *Engine) pause(d time.Duration) bool {
	e.o.Progress.moves.Add(1)
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-e.over:
		return false
	}
}

func (e *Engine) pauseUntil(t time.Time) bool {
	if d := time.Until(t); d > 0 {
		return e.pause(d)
	}
	return time.Now().Equal(t)
}

// after a time does something, unless the run is over.
func (e *Engine) after(d simulations.Offset, do func()) {
	e.healing.Go(func() {
		if e.pause(d.Duration()) {
			do()
		}
	})
}

func (e *Engine) stopped(node string, asked time.Time, err error) {
	s := checker.Stop{Node: node, Asked: e.offset(asked), Done: e.now(), Deadline: simulations.At(20 * time.Second)}
	if errors.Is(err, context.DeadlineExceeded) {
		s.Done = s.Asked + s.Deadline + 1
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.stops = append(e.stops, s)
}
