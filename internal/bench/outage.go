package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"syscall"
	"time"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/storage"
)

const (
	probeEvery  = 20 * time.Millisecond
	probeMost   = 15 * time.Second // for one answer
	probeBefore = 25               // probes before the harm is done
	failover    = "cluster-failover"
)

// witnesses are one user of every shard.
func witnesses() []int {
	users := make([]int, 0, storage.DefaultShards)
	seen := map[uint16]bool{}
	for u := 0; len(users) < int(storage.DefaultShards); u++ {
		if shard := storage.ShardOf(appID, userID(u), storage.DefaultShards); !seen[shard] {
			seen[shard] = true
			users = append(users, u)
		}
	}
	return users
}

// probe is one call with an event for a user of every shard.
type probe struct {
	began, ended time.Time
	err          error // of the call, or that of the first event which was refused
}

// probeVia sends one probe through a node.
func probeVia(ctx context.Context, n *node, users []int, session uint64) (p probe) {
	ctx, cancel := context.WithTimeout(n.caller(ctx), probeMost)
	defer cancel()
	events := make([]*rousev1.Event, len(users))
	for i, u := range users {
		events[i] = presenceOf(u, session, rousev1.SessionState_SESSION_STATE_CONNECTED)
	}
	p.began = time.Now()
	answer, err := rousev1.NewIntakeServiceClient(n.conn).IngestBatch(ctx, &rousev1.IngestBatchRequest{Events: events})
	p.ended, p.err = time.Now(), err
	for _, res := range answer.GetItems() {
		if res.GetStatus() == rousev1.ItemStatus_ITEM_STATUS_REFUSED {
			p.err = fmt.Errorf("refused: %s", res.GetError().GetMessage())
		}
	}
	return p
}

// outage is what users noticed.
type outage struct {
	served  time.Duration // from the harm until all were served again
	slowest time.Duration // of all calls
	refused int           // calls that were not accepted as a whole
}

// outage asks for all users through the nodes that stay, every probeEvery, while
// harm is done: until a call that began after it was answered for all of them, and
// all calls are.
func (t *trio) outage(ctx context.Context, victim int, session *uint64, harm func() error) (o outage, err error) {
	var through []*node
	for i, n := range t.nodes {
		if i != victim {
			through = append(through, n)
		}
	}
	users := witnesses()
	answers := make(chan probe, 4096)
	var open sync.WaitGroup
	tick := time.NewTicker(probeEvery)
	defer tick.Stop()
	var harmed time.Time
	var probes []probe
	served := func() bool {
		for len(answers) > 0 {
			probes = append(probes, <-answers)
		}
		return !harmed.IsZero() && slices.ContainsFunc(probes, func(p probe) bool { return p.err == nil && p.began.After(harmed) })
	}
	for i := 0; !served() && i < int(2*probeMost/probeEvery) && ctx.Err() == nil; i++ {
		if i == probeBefore {
			harmed = time.Now()
			if err := harm(); err != nil {
				return o, err
			}
		}
		*session++
		n, s := through[i%len(through)], *session
		open.Go(func() { answers <- probeVia(ctx, n, users, s) })
		<-tick.C
	}
	open.Wait()
	if !served() {
		return o, fmt.Errorf("users were not served again: %w", errors.Join(ctx.Err(), probes[len(probes)-1].err))
	}
	return judge(probes, harmed), nil
}

// judge sums up the calls of one outage; one of them was answered after it.
func judge(probes []probe, harmed time.Time) (o outage) {
	for _, p := range probes {
		took := p.ended.Sub(p.began)
		o.slowest = max(o.slowest, took)
		switch {
		case p.err != nil:
			o.refused++
		case p.began.After(harmed) && (o.served == 0 || p.ended.Sub(harmed) < o.served):
			o.served = p.ended.Sub(harmed)
		}
	}
	return o
}

// failovers: how long users wait when a node dies, and when one stands still.
func failovers(ctx context.Context, r *runner) (err error) {
	t, err := r.startTrio(ctx, r.Size.Users)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.stop()) }()
	var session uint64 = 1
	if err := t.harm(ctx, "kill -9 of a node", 500, func(victim int) (outage, error) {
		o, err := t.outage(ctx, victim, &session, t.nodes[victim].proc.Kill)
		if err = errors.Join(err, t.bury(victim)); err != nil {
			return o, err
		}
		return o, t.restart(ctx, victim)
	}); err != nil {
		return err
	}
	return t.harm(ctx, "a node is frozen", 2500, func(victim int) (outage, error) {
		proc := t.nodes[victim].proc
		o, err := t.outage(ctx, victim, &session, func() error { return proc.Signal(syscall.SIGSTOP) })
		err = errors.Join(err, proc.Signal(syscall.SIGCONT))
		rest(ctx, 3*time.Second) // until it knows what it missed
		return o, err
	})
}

// harm does the same to each node in turn, again and again, and reports.
func (t *trio) harm(ctx context.Context, what string, mostMillis float64, once func(victim int) (outage, error)) error {
	var served []time.Duration
	var led []float64
	var slowest time.Duration
	refused := 0
	for round := range t.Size.Failures {
		status, err := t.spread(ctx)
		if err != nil {
			return err
		}
		victim := round % nodesOfTrio
		led = append(led, float64(leads(status, t.seats[victim].Name)))
		o, err := once(victim)
		if err != nil {
			return err
		}
		served, slowest, refused = append(served, o.served), max(slowest, o.slowest), refused+o.refused
		t.say("  %s led %.0f groups: served again after %v, slowest call %v, %d refused", t.seats[victim].Name, led[len(led)-1], o.served, o.slowest, o.refused)
	}
	rounds := make([]float64, len(served))
	for i, d := range served {
		rounds[i] = millis(d)
	}
	t.median(failover, what+": groups that it led", led, "", nil)
	t.waits(what, served, rounds, mostMillis)
	t.add(failover, what+": slowest call", millis(slowest), "ms", nil)
	t.add(failover, what+": calls for users of all shards that were refused", float64(refused), "", nil)
	return nil
}

// waits reports how long users waited.
func (t *trio) waits(what string, times []time.Duration, rounds []float64, most float64) {
	t.runner.whole(failover, what+": all users served again, p50", millis(percentile(times, 50)), rounds, "ms")
	t.add(failover, what+": all users served again, p99", millis(percentile(times, 99)), "ms", atMost(most))
	t.add(failover, what+": all users served again, slowest", millis(slices.Max(times)), "ms", nil)
}
