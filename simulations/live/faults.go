package live

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/rouse-im/rouse/internal/demo"
	"github.com/rouse-im/rouse/internal/fleet"
	"github.com/rouse-im/rouse/simulations"
	"github.com/rouse-im/rouse/simulations/checker"
)

// faults carries out what breaks. Each runs by itself and ends by itself.
type faults struct {
	s       *stage
	rec     *recorder
	pace    pace
	work    sync.WaitGroup
	busy    []sync.Mutex // by node: one fault of a process at a time
	mu      sync.Mutex
	skipped []string
	cuts    []simulations.Fault // that last now
	errs    []error
}

func newFaults(s *stage, rec *recorder, p pace) *faults {
	return &faults{s: s, rec: rec, pace: p, busy: make([]sync.Mutex, len(s.fleet.Nodes()))}
}

// begin a fault; it does not wait.
func (x *faults) begin(ctx context.Context, life simulations.Fault) {
	f := x.pace.fault(life)
	f.At = x.rec.now()
	ending, why := x.plan(f)
	if ending == nil {
		x.mu.Lock()
		x.skipped = append(x.skipped, fmt.Sprintf("fault %d (%s at %v): %s", f.N, f.Kind, life.At, why))
		x.mu.Unlock()
		return
	}
	x.rec.add(checker.Entry{Fault: &f})
	x.work.Go(func() {
		if err := ending(ctx, f); err != nil && ctx.Err() == nil {
			x.mu.Lock()
			x.errs = append(x.errs, fmt.Errorf("live: fault %d (%s): %w", f.N, f.Kind, err))
			x.mu.Unlock()
		}
	})
}

// end waits for the end of all faults.
func (x *faults) end() error {
	x.work.Wait()
	return errors.Join(x.errs...)
}

type doing = func(context.Context, simulations.Fault) error

// plan says what a fault is here; nil and a reason if it cannot be.
func (x *faults) plan(f simulations.Fault) (doing, string) {
	switch f.Kind {
	case simulations.Kill:
		return x.eachNode(kill), ""
	case simulations.Pause:
		return x.eachNode(pause), ""
	case simulations.Drain:
		return x.eachNode(x.drain), ""
	case simulations.VendorDown, simulations.VendorThrottle, simulations.VendorSlow, simulations.VendorCut, simulations.VendorHang, simulations.VendorExpire:
		return x.vendor, ""
	case simulations.Partition, simulations.OneWay, simulations.Loss:
		if x.s.spaces == nil {
			return nil, "networks of loopback cannot be cut"
		}
		return x.network, ""
	}
	return nil, "only the engine in fake time does it"
}

// eachNode does something to the processes of a fault, at the same time.
func (x *faults) eachNode(do func(context.Context, simulations.Fault, *fleet.Node) error) doing {
	return func(ctx context.Context, f simulations.Fault) error {
		var all sync.WaitGroup
		errs := make([]error, len(f.Nodes))
		for i, n := range f.Nodes {
			n %= len(x.busy)
			all.Go(func() {
				x.busy[n].Lock()
				defer x.busy[n].Unlock()
				errs[i] = do(ctx, f, x.s.fleet.Node(n))
			})
		}
		all.Wait()
		return errors.Join(errs...)
	}
}

func kill(ctx context.Context, f simulations.Fault, n *fleet.Node) error {
	if err := n.Kill(); err != nil {
		return err
	}
	rest(ctx, f.For)
	return again(ctx, n)
}

// again starts a node, also when the run ends: it is asked to stop in order.
func again(ctx context.Context, n *fleet.Node) error {
	starting, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	return n.Start(starting)
}

func pause(ctx context.Context, f simulations.Fault, n *fleet.Node) error {
	if err := n.Freeze(); err != nil {
		return err
	}
	rest(ctx, f.For)
	return n.Thaw()
}

func (x *faults) drain(ctx context.Context, f simulations.Fault, n *fleet.Node) error {
	stop := checker.Stop{Node: n.Name, Asked: x.rec.now(), Deadline: simulations.At(stopDeadline)}
	waiting, cancel := context.WithTimeout(ctx, 2*stopDeadline)
	defer cancel()
	if err := n.Stop(waiting); err != nil {
		return err
	}
	stop.Done = x.rec.now()
	x.rec.add(checker.Entry{Stop: &stop})
	rest(ctx, f.For)
	return again(ctx, n)
}

// network breaks links between servers, together with what else breaks them now.
func (x *faults) network(ctx context.Context, f simulations.Fault) error {
	if err := x.change(func() { x.cuts = append(x.cuts, f) }); err != nil {
		return err
	}
	rest(ctx, f.For)
	return x.change(func() {
		x.cuts = slices.DeleteFunc(x.cuts, func(c simulations.Fault) bool { return c.N == f.N })
	})
}

func (x *faults) change(what func()) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	what()
	return x.s.spaces.Break(links(x.cuts, len(x.busy)))
}

// links that some faults break, each with the most that is lost.
func links(cuts []simulations.Fault, nodes int) (all []fleet.Link) {
	for from := range nodes {
		for to := range nodes {
			loss := 0.0
			for _, f := range cuts {
				in, out := among(f, from, nodes), !among(f, to, nodes)
				switch {
				case f.Kind == simulations.Partition && in == out, f.Kind == simulations.OneWay && in && out:
					loss = 1
				case f.Kind == simulations.Loss && (in || !out):
					loss = max(loss, f.Rate)
				}
			}
			if from != to && loss > 0 {
				all = append(all, fleet.Link{From: from, To: to, Loss: loss})
			}
		}
	}
	return all
}

func among(f simulations.Fault, node, nodes int) bool {
	return slices.ContainsFunc(f.Nodes, func(n int) bool { return n%nodes == node })
}

func (x *faults) vendor(ctx context.Context, f simulations.Fault) error {
	d := demo.Disturbance{Vendor: f.Vendor, RetryAfter: f.Delay.Duration(), Delay: f.Delay.Duration()}
	switch f.Kind {
	case simulations.VendorDown:
		d.Fault, d.RetryAfter, d.Delay = demo.Down, 0, 0
	case simulations.VendorThrottle:
		d.Fault, d.Delay = demo.Throttle, 0
	case simulations.VendorSlow:
		d.Fault, d.RetryAfter = "slow", 0
	case simulations.VendorHang:
		d.Fault = demo.Silent
	case simulations.VendorExpire:
		d.Fault = demo.Expired
	case simulations.VendorCut:
		return x.cut(ctx, f)
	}
	if err := x.s.fakes.Disturb(d); err != nil {
		return err
	}
	rest(ctx, f.For)
	if f.Kind == simulations.VendorExpire {
		return nil
	}
	return x.s.fakes.Heal(f.Vendor)
}

// cut leaves a share of the pushes without an answer: as many as that share of
// those that came in each tenth of a second.
func (x *faults) cut(ctx context.Context, f simulations.Fault) error {
	const every = 100 * time.Millisecond
	tick := time.NewTicker(every)
	defer tick.Stop()
	seen, owed := x.rec.takenBy(f.Vendor), f.Rate
	for end := x.rec.now() + f.For; x.rec.now() < end && ctx.Err() == nil; {
		if owed >= 1 {
			n := int(owed)
			owed -= float64(n)
			if err := x.s.fakes.Disturb(demo.Disturbance{Vendor: f.Vendor, Fault: demo.Unanswered, Times: n}); err != nil {
				return err
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
		now := x.rec.takenBy(f.Vendor)
		owed += float64(now-seen) * f.Rate
		seen = now
	}
	return x.s.fakes.Heal(f.Vendor)
}

func rest(ctx context.Context, o simulations.Offset) {
	t := time.NewTimer(o.Duration())
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
