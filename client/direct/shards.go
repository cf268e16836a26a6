package direct

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/cespare/xxhash/v2"

	"github.com/rouse-im/rouse/actors"
	"github.com/rouse-im/rouse/actors/route"
	actorv1 "github.com/rouse-im/rouse/api/rouse/actor/v1"
)

// The number of a cluster's shards never changes: the first command asks for it,
// one seed after the other, and all commands after that know it.

const (
	countName = "shards" // of the process that takes the number
	// seedTime is how long a seed may take to answer before the next one is asked.
	seedTime = 500 * time.Millisecond
)

// find is the router, which is made when the number of shards is known. It ends
// with ctx, or at the deadline.
func (c *Client) find(ctx context.Context, deadline time.Time) (*route.Router, error) {
	if r := c.router.Load(); r != nil {
		return r, nil
	}
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	select {
	case c.turn <- struct{}{}:
		defer func() { <-c.turn }()
	case <-ctx.Done():
		return nil, c.unfound(ctx)
	}
	if r := c.router.Load(); r != nil {
		return r, nil
	}
	shards, err := c.count(ctx)
	if err != nil {
		return nil, err
	}
	r, err := c.route(shards)
	if err == nil {
		c.router.Store(r)
	}
	return r, err
}

// count asks the seeds for the number of shards.
func (c *Client) count(ctx context.Context) (uint16, error) {
	self, err := c.sys.Root.SpawnNamed(actor.PropsFromFunc(func(m actor.Context) {
		if a, ok := m.Message().(*actorv1.Answer); ok && a.GetShards() > 0 {
			select {
			case c.counts <- uint16(a.GetShards()):
			default: // another seed has said the same
			}
		}
	}), countName)
	if err != nil {
		return 0, fmt.Errorf("direct: %w", err)
	}
	defer c.sys.Root.Stop(self)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for i := 0; ; {
		select {
		case n := <-c.counts:
			return n, nil
		case <-timer.C:
			to := actor.NewPID(c.o.Seeds[i%len(c.o.Seeds)], route.ShardName(1))
			c.sys.Root.RequestWithCustomSender(to, &actorv1.Ask{App: c.app, Shard: 1, Body: &actorv1.Ask_ShardCount{ShardCount: &actorv1.ShardCount{}}}, self)
			timer.Reset(seedTime)
			i++
		case <-ctx.Done():
			return 0, c.unfound(ctx)
		}
	}
}

func (c *Client) unfound(ctx context.Context) error {
	return fmt.Errorf("direct: none of the seeds %v has told the number of shards: %w", c.o.Seeds, context.Cause(ctx))
}

// route makes the router.
func (c *Client) route(shards uint16) (*route.Router, error) {
	var next atomic.Uint32
	return route.New(route.Options{
		System: c.sys, Name: processName, Shards: shards, Logger: c.o.Logger,
		ShardOf: func(app, user string) uint16 { return shardOf(app, user, shards) },
		Local:   func(uint16) bool { return false },
		Deliver: (*actors.Envelope).Reject, // never: no shard is here
		// Any node says who leads; what it says goes before this.
		Leader: func(uint16) (string, uint64, bool) {
			return c.o.Seeds[int(next.Add(1))%len(c.o.Seeds)], 0, true
		},
	})
}

// shardOf is the mapping of users to shards, which never changes.
func shardOf(app, user string, shards uint16) uint16 {
	var d xxhash.Digest
	d.Reset()
	_, _ = d.WriteString(app) // a digest accepts everything
	_, _ = d.Write([]byte{0})
	_, _ = d.WriteString(user)
	return 1 + uint16(d.Sum64()%uint64(shards))
}
