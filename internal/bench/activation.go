package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/rouse-im/rouse/actors"
	"github.com/rouse-im/rouse/actors/lane"
	"github.com/rouse-im/rouse/actors/shard"
	"github.com/rouse-im/rouse/actors/user"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/storage"
	"github.com/rouse-im/rouse/storage/seal"
	"github.com/rouse-im/rouse/vendors"
)

// core is shards and a store in this process, without edges and vendors.
type core struct {
	dir   string
	store *storage.Store
	deps  user.Deps
}

func openCore(users int) (_ *core, err error) {
	dir, err := os.MkdirTemp("", "rouse-bench-core-")
	if err != nil {
		return nil, err
	}
	c := &core{dir: dir}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.close())
		}
	}()
	quiet := slog.New(slog.DiscardHandler)
	if c.store, err = storage.Open(filepath.Join(dir, "data"), storage.Options{CacheBytes: 1 << 30, Logger: quiet}); err != nil {
		return c, err
	}
	keys := filepath.Join(dir, "seal.key")
	if err := seal.Generate(keys); err != nil {
		return c, err
	}
	ring, err := seal.Load(keys)
	if err != nil {
		return c, err
	}
	c.deps = user.Deps{Store: c.store, Ring: ring, Logger: quiet, Live: func(string, string, uint64, time.Time) bool { return true }}
	return c, seedInto(c.store, users)
}

func (c *core) close() error {
	var err error
	if c.store != nil {
		err = c.store.Close()
	}
	return errors.Join(err, os.RemoveAll(c.dir))
}

// start runs shards, in whose memory is no user. Pushes, if any, go to v; stop
// waits for their outcomes.
func (c *core) start(v vendors.Sender) (route actors.Router, stop func() error, err error) {
	sys := actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return c.deps.Logger }))
	deps := c.deps
	deps.Lanes = lane.NewDirectory(sys, c.deps.Logger)
	app := user.NewApp(nil, nil)
	if v != nil {
		deps.Lanes.Put(appID, notifier, v, lane.Options{})
		app = user.NewApp(nil, []*rousev1.Credential{{Name: notifier}})
	}
	deps.App = func(string) *user.App { return app }
	set, err := shard.Start(sys, shard.Options{User: &deps, Logger: c.deps.Logger, Propose: func(shard uint16, _ uint64, ms []storage.Mutation, done func(error)) {
		c.store.Propose(shard, ms, done)
	}})
	if err == nil {
		if err = set.LeadAll(); err != nil {
			set.Stop()
		}
	}
	if err != nil {
		sys.Shutdown()
		return nil, nil, err
	}
	return set.Route, func() error {
		ctx, cancel := context.WithTimeout(context.Background(), stopGrace)
		defer cancel()
		for _, l := range deps.Lanes.All() {
			for l.Stats().Reserved > 0 && ctx.Err() == nil {
				<-time.After(time.Millisecond)
			}
		}
		err := errors.Join(set.Drain(ctx), deps.Lanes.Close(ctx), set.Drain(ctx))
		set.Stop()
		sys.Shutdown()
		return err
	}, nil
}

// ask waits for the answer to a question that writes nothing.
func ask(route actors.Router, n int) error {
	answer := make(chan actors.Reply, 1)
	route(&actors.Envelope{App: appID, User: userID(n), Command: &rousev1.GetOfflineCountRequest{}, Done: func(r actors.Reply) { answer <- r }})
	if r := <-answer; r.Err != nil {
		return errors.New(r.Err.GetMessage())
	}
	return nil
}

// activation: the time from a question to a user who is on disk to the answer.
func activation(ctx context.Context, r *runner) (err error) {
	users := r.Size.Activation
	c, err := openCore(users)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	var times []time.Duration
	for range 2 { // the first pass warms the cache of blocks
		route, stop, err := c.start(nil)
		if err != nil {
			return err
		}
		times, err = askAll(ctx, route, users)
		if err = errors.Join(err, stop()); err != nil {
			return err
		}
	}
	route, stop, err := c.start(nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	if _, err := askAll(ctx, route, users); err != nil {
		return err
	}
	again, err := askAll(ctx, route, users)
	if err != nil {
		return err
	}
	r.add("activation", fmt.Sprintf("p50 of %d users from disk, blocks cached", users), micros(percentile(times, 50)), "µs", nil)
	r.add("activation", "p99", micros(percentile(times, 99)), "µs", atMost(1000))
	r.add("activation", "p50 of the same question to users in memory", micros(percentile(again, 50)), "µs", nil)
	return nil
}

func askAll(ctx context.Context, route actors.Router, users int) ([]time.Duration, error) {
	times := make([]time.Duration, users)
	for n := range users {
		start := time.Now()
		if err := ask(route, n); err != nil {
			return nil, err
		}
		times[n] = time.Since(start)
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
	return times, nil
}

func percentile(times []time.Duration, p int) time.Duration {
	slices.SortFunc(times, cmp.Compare[time.Duration])
	return times[len(times)*p/100]
}
