package placement

import (
	"context"
	"fmt"
	"sync"
	"time"
)

const drainAgain = 100 * time.Millisecond // while a successor is missing

// DrainSelf gives all leaderships of this node away, because it stops. Groups
// without a successor are tried again until ctx ends; those of which this node is
// the only voter stay. told, if not nil, gets the number of leaderships left,
// each time that some have gone; it must not block. From its call on, the
// Conductor gives nothing away for other reasons, and takes no steps.
func (c *Conductor) DrainSelf(ctx context.Context, told func(left int)) error {
	c.mu.Lock()
	c.going = true
	c.mu.Unlock()
	again := time.NewTimer(0)
	defer again.Stop()
	before := -1
	for {
		left, sole := c.drainOnce(ctx)
		if told != nil && left+sole != before {
			before = left + sole
			told(before)
		}
		if left == 0 {
			return nil
		}
		again.Reset(drainAgain)
		select {
		case <-ctx.Done():
			return fmt.Errorf("placement: %d groups are still led here, no other voter of theirs is alive and has caught up: %w", left, context.Cause(ctx))
		case <-again.C:
		}
	}
}

// drainOnce gives away what can be given. left are those that could not, sole
// those without another voter.
func (c *Conductor) drainOnce(ctx context.Context) (left, sole int) {
	var mu sync.Mutex
	var calls sync.WaitGroup
	for _, group := range c.led() {
		if ctx.Err() != nil {
			break
		}
		c.slots <- struct{}{}
		calls.Go(func() {
			alone := c.drainGroup(ctx, group)
			<-c.slots
			if _, leads := c.Leads(group); leads {
				mu.Lock()
				defer mu.Unlock()
				if alone {
					sole++
				} else {
					left++
				}
			}
		})
	}
	calls.Wait()
	if left == 0 && ctx.Err() != nil {
		left = len(c.led()) - sole
	}
	return left, sole
}

// drainGroup gives one leadership away; alone = there is nobody to get it.
func (c *Conductor) drainGroup(ctx context.Context, group uint16) (alone bool) {
	term, leads := c.Leads(group)
	if !leads {
		return false
	}
	status, err := c.Status(group)
	if err != nil {
		return false
	}
	if len(status.Conf.Voters) < 2 {
		return true
	}
	record, _ := c.Roster.View().Placement(group)
	to := Successor(c.Self, group, &status, record, c.Fit)
	if to == 0 { // better one without room than nobody
		to = Successor(c.Self, group, &status, record, c.Alive)
	}
	if to == 0 {
		return false
	}
	if err := c.give(ctx, group, term, to); err != nil {
		c.Logger.Debug("placement: leadership was not taken over; it is tried again", "group", group, "error", err)
	}
	return false
}
