package bench

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const catchUp = "cluster-catchup"

// catchesUp: a node that holds many users serves events while a second one gets a
// replica of all of them.
func catchesUp(ctx context.Context, r *runner) (err error) {
	r.say("  founding a store of %d users", r.Size.Moved)
	t, err := r.layTrio(ctx, r.Size.Moved)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.stop()) }()
	n, err := t.load(ctx, "bench")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.hangUp()) }()
	if err := n.call("Settled", Nothing{}, new(time.Duration)); err != nil {
		return err
	}
	p := n.begin(ctx, gentle, r.Size.Users)
	rest(ctx, r.Size.Quiet) // the users of the load come from disk
	p.take()
	rest(ctx, 2*r.Size.Quiet)
	before := p.take()
	if err := r.record(n.child, "cluster-catchup"); err != nil {
		return err
	}
	start := time.Now()
	if err := t.start(ctx, 1, t.seats[1]); err != nil {
		return err
	}
	_, err = t.whole(ctx, 2)
	took, during := time.Since(start), p.take()
	refused := p.stop()
	if err = errors.Join(append(refused, err)...); err != nil {
		return err
	}
	var received int64
	if err := t.nodes[1].call("Received", Nothing{}, &received); err != nil {
		return err
	}
	what := fmt.Sprintf("%d users go to a second node, %d events/s: ", r.Size.Moved, gentle)
	r.add(catchUp, what+"time until no group is behind", took.Seconds(), "s", nil)
	r.add(catchUp, what+"received", float64(received)/(1<<20)/took.Seconds(), "MiB/s", nil)
	r.add(catchUp, what+"p99 of an event before", millis(percentile(before, 99)), "ms", nil)
	r.add(catchUp, what+"p99 of an event meanwhile", millis(percentile(during, 99)), "ms", nil)
	r.add(catchUp, what+"p99, meanwhile ÷ before", float64(percentile(during, 99))/float64(percentile(before, 99)), "", atMost(2))
	return nil
}
