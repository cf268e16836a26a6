package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

const (
	clusterDrain = "cluster-drain"
	clusterIdle  = "cluster-idle"
	// gentle is a rate that leaves most of two CPUs free.
	gentle = 500
)

// pace sends presence events at an even rate until it is ended, and notes how long
// each took from when it was due.
type pace struct {
	mu      sync.Mutex
	times   []time.Duration
	refused []error
	end     context.CancelFunc
	ended   chan struct{}
}

// begin starts a pace of the users 0 to users-1 in turn.
func (n *node) begin(ctx context.Context, perSecond, users int) *pace {
	ctx, cancel := context.WithCancel(ctx)
	p := &pace{end: cancel, ended: make(chan struct{})}
	base := uint64(time.Now().UnixNano()) // later than all sessions so far
	go func() {
		defer close(p.ended)
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		var open sync.WaitGroup
		defer open.Wait()
		start := time.Now()
		for i := 0; ; i++ {
			due := start.Add(time.Duration(i) * time.Second / time.Duration(perSecond))
			for time.Now().Before(due) && ctx.Err() == nil {
				<-tick.C
			}
			if ctx.Err() != nil {
				return
			}
			open.Add(1)
			event := presenceOf(i%users, base+uint64(i), rousev1.SessionState_SESSION_STATE_CONNECTED)
			if err := n.client.Send(ctx, event, func(res *rousev1.ItemResult) { p.note(time.Since(due), res); open.Done() }); err != nil {
				p.fail(err)
				open.Done()
				return
			}
		}
	}()
	return p
}

func (p *pace) note(took time.Duration, res *rousev1.ItemResult) {
	if s := res.GetStatus(); s != rousev1.ItemStatus_ITEM_STATUS_ACCEPTED && s != rousev1.ItemStatus_ITEM_STATUS_DUPLICATE {
		p.fail(fmt.Errorf("an event was answered %v: %s", s, res.GetError().GetMessage()))
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.times = append(p.times, took)
}

func (p *pace) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refused = append(p.refused, err)
}

// take answers the times since the last take.
func (p *pace) take() []time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	times := p.times
	p.times = nil
	return times
}

// stop ends the pace when all is answered, and says what was refused.
func (p *pace) stop() []error {
	p.end()
	<-p.ended
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.refused
}

// drains: a node ends in order while events come, and comes back.
func drains(ctx context.Context, r *runner) (err error) {
	t, err := r.startTrio(ctx, r.Size.Users)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.stop()) }()
	var slowest []float64
	var refused []error
	for round := range r.Size.Failures {
		status, err := t.spread(ctx)
		if err != nil {
			return err
		}
		victim := round % nodesOfTrio
		times, errs, err := t.drain(ctx, victim)
		if err != nil {
			return err
		}
		slowest, refused = append(slowest, millis(slices.Max(times))), append(refused, errs...)
		r.say("  %s led %d groups: slowest of %d events %v, %d refused", t.seats[victim].Name, leads(status, t.seats[victim].Name), len(times), slices.Max(times), len(errs))
		if err := t.restart(ctx, victim); err != nil {
			return err
		}
	}
	if len(refused) > 0 {
		r.say("  the first refusal: %v", refused[0])
	}
	what := fmt.Sprintf("a node ends in order, %d events/s: ", gentle)
	r.add(clusterDrain, what+"events refused", float64(len(refused)), "", atMost(0))
	r.median(clusterDrain, what+"slowest event of a round", slowest, "ms", nil)
	r.add(clusterDrain, what+"slowest event", slices.Max(slowest), "ms", atMost(500))
	return nil
}

// drain ends a node in order between two quiet times.
func (t *trio) drain(ctx context.Context, victim int) (times []time.Duration, refused []error, err error) {
	n, err := t.load(ctx, "bench")
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, n.hangUp()) }()
	p := n.begin(ctx, gentle, t.Size.Users)
	rest(ctx, t.Size.Quiet/4)
	err = t.leave(victim)
	rest(ctx, t.Size.Quiet/4)
	refused = p.stop()
	return p.take(), refused, err
}

// rest lets time pass.
func rest(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// idle: what three nodes burn for nothing.
func idle(ctx context.Context, r *runner) (err error) {
	t, err := r.startTrio(ctx, r.Size.Users)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.stop()) }()
	rest(ctx, r.Size.Quiet) // compactions of the replicas
	for i, n := range t.nodes {
		if err := r.record(n.child, "cluster-idle-"+t.seats[i].Name); err != nil {
			return err
		}
	}
	all := &node{child: t.nodes[0].child, others: []*child{t.nodes[1].child, t.nodes[2].child}}
	var cores []float64
	for range r.Size.Rounds {
		before, err := all.sum("CPU")
		if err != nil {
			return err
		}
		start := time.Now()
		rest(ctx, r.Size.Idle)
		after, err := all.sum("CPU")
		if err != nil {
			return err
		}
		cores = append(cores, float64(after-before)/float64(time.Since(start)))
	}
	r.median(clusterIdle, "three idle nodes, 65 groups: CPUs, all in all", cores, "", atMost(0.05))
	return nil
}
