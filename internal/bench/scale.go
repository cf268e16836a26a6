package bench

import (
	"context"
	"errors"
	"fmt"
)

// scale: the same number of active users, out of few or of many on disk. First
// those users once (each comes from disk), then again while they are in memory.
func scale(ctx context.Context, r *runner) (err error) {
	r.say("  founding stores of %d and %d users", r.Size.Few, r.Size.Many)
	few, err := r.startNode(ctx, r.Size.Few)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, few.stop()) }()
	many, err := r.startNode(ctx, r.Size.Many)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, many.stop()) }()
	active := r.Size.Active
	round := func(events int) (small, large took, err error) {
		if small, err = few.presence(ctx, events, active, max(1, r.Size.Few/active), 0); err == nil {
			large, err = many.presence(ctx, events, active, r.Size.Many/active, 0)
		}
		return small, large, err
	}
	coldFew, coldMany, err := round(active)
	if err != nil {
		return err
	}
	if err := errors.Join(r.record(few.child, "scale-few"), r.record(many.child, "scale-many")); err != nil {
		return err
	}
	var small, large, ratio []float64
	for range r.Size.Rounds {
		f, m, err := round(r.Size.Events)
		if err != nil {
			return err
		}
		small, large = append(small, micros(f.cpu)), append(large, micros(m.cpu))
		ratio = append(ratio, float64(m.cpu)/float64(max(f.cpu, 1)))
	}
	r.median("scale", fmt.Sprintf("CPU of an event, %d users on disk", r.Size.Few), small, "µs", nil)
	r.median("scale", fmt.Sprintf("CPU of an event, %d users on disk", r.Size.Many), large, "µs", nil)
	r.median("scale", "many ÷ few", ratio, "", within(0.85, 1.15))
	r.add("scale", fmt.Sprintf("CPU of the first event of a user, %d on disk", r.Size.Few), micros(coldFew.cpu), "µs", nil)
	r.add("scale", fmt.Sprintf("CPU of the first event of a user, %d on disk", r.Size.Many), micros(coldMany.cpu), "µs", nil)
	return nil
}

// memory: what a user with three devices costs while active.
func memory(ctx context.Context, r *runner) (err error) {
	users := r.Size.InMemory
	r.say("  founding a store of %d users", users)
	n, err := r.startNode(ctx, users)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.stop()) }()
	// A first part fills pools and buffers, which are there once for all users.
	const warm = 10
	if _, err := n.presence(ctx, users/warm, users/warm, warm, 0); err != nil {
		return err
	}
	var before, after int64
	if err := n.call("Heap", Nothing{}, &before); err != nil {
		return err
	}
	for first := 1; first < warm; first++ {
		if _, err := n.presence(ctx, users/warm, users/warm, warm, first); err != nil {
			return err
		}
	}
	if err := n.call("Heap", Nothing{}, &after); err != nil {
		return err
	}
	if err := r.record(n.child, "memory"); err != nil {
		return err
	}
	added := users / warm * (warm - 1)
	r.add("memory", fmt.Sprintf("heap of an active user with three devices, of %d", users), float64(after-before)/float64(added), "bytes", atMost(1200))
	r.add("memory", "of it, the record", float64(len(record(0))), "bytes", nil)
	return nil
}
