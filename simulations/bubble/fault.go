package bubble

import (
	"fmt"

	"github.com/rouse-im/rouse/simulations"
)

// fault begins; what lasts ends by itself.
func (e *Engine) begin(f *simulations.Fault) {
	if f.Vendor != "" {
		if err := e.vendors.fault(f); err != nil {
			e.fault("fault %d cannot be made: %v", f.N, err)
		}
		return
	}
	for _, m := range e.hit(f) {
		switch f.Kind {
		case simulations.Kill:
			e.restart(m, 100, f)
		case simulations.PowerLoss:
			e.restart(m, e.random.IntN(101), f)
		case simulations.Drain:
			e.healing.Go(func() {
				m.leave()
				if e.pause(f.For.Duration()) {
					m.start()
				}
			})
		case simulations.Pause:
			m.frozen.Store(true)
			e.net.Freeze(m.name)
			e.after(f.For, func() {
				m.frozen.Store(false)
				e.net.Thaw(m.name)
			})
		case simulations.ClockJump:
			m.ahead.Add(int64(f.Delay.Duration()))
		case simulations.DiskSlow:
			m.slow.Store(int64(f.Delay.Duration()))
			e.after(f.For, func() { m.slow.Store(0) })
		case simulations.DiskError:
			m.failing.Store(true)
			e.after(f.For, func() {
				m.failing.Store(false)
				m.start() // unless nothing was synced, or a stop came first
			})
		}
	}
	switch f.Kind {
	case simulations.Partition, simulations.OneWay, simulations.Bridge, simulations.Clog, simulations.Latency, simulations.Loss:
		e.links(func() { e.cuts[f] = true })
		e.after(f.For, func() { e.links(func() { delete(e.cuts, f) }) })
	}
}

// hit are the machines that a fault names.
func (e *Engine) hit(f *simulations.Fault) (all []*machine) {
	seen := map[int]bool{}
	for _, n := range f.Nodes {
		if i := n % len(e.machines); !seen[i] {
			seen[i] = true
			all = append(all, e.machines[i])
		}
	}
	return all
}

func (e *Engine) restart(m *machine, percent int, f *simulations.Fault) {
	if m.leaving.Load() {
		return
	}
	m.kill(percent)
	e.after(f.For, func() { m.start() })
}

// links puts all links between nodes into the state that the open faults ask for.
func (e *Engine) links(change func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	change()
	for _, a := range e.machines {
		for _, b := range e.machines {
			if a == b {
				continue
			}
			e.net.Mend(a.name, b.name)
			latency, loss := e.o.Latency, 0.0
			for f := range e.cuts {
				in, out := e.among(f, a), !e.among(f, b)
				switch {
				case f.Kind == simulations.Partition && in == out, f.Kind == simulations.OneWay && in && out, f.Kind == simulations.Bridge && in && !out:
					e.net.Cut(a.name, b.name)
				case f.Kind == simulations.Clog && (in || !out):
					e.net.Clog(a.name, b.name)
				case f.Kind == simulations.Latency && (in || !out):
					latency += f.Delay.Duration()
				case f.Kind == simulations.Loss && (in || !out):
					loss = max(loss, f.Rate)
				}
			}
			e.net.Latency(a.name, b.name, latency, latency/4)
			e.net.Loss(a.name, b.name, loss)
		}
	}
}

func (e *Engine) among(f *simulations.Fault, m *machine) bool {
	for _, n := range f.Nodes {
		if e.machines[n%len(e.machines)] == m {
			return true
		}
	}
	return false
}

// fault of the run itself, or of the engine under test.
func (e *Engine) fault(format string, args ...any) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.faults) < maxFaults {
		e.faults = append(e.faults, fmt.Errorf("%v: "+format, append([]any{e.now()}, args...)...))
	}
}

// maxFaults are told of one run.
const maxFaults = 20
