package shard

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/rouse-im/rouse/actors"
	"github.com/rouse-im/rouse/actors/mailbox"
	"github.com/rouse-im/rouse/actors/route"
	"github.com/rouse-im/rouse/actors/user"
	"github.com/rouse-im/rouse/storage"
)

// Set is all shards of one node.
type Set struct {
	sys   *actor.ActorSystem
	o     Options
	pids  []*actor.PID   // pids[k-1] is shard k
	leads []atomic.Bool  // leads[k-1]: shard k takes new work here
	works []atomic.Bool  // works[k-1]: shard k works under a term here; the others need no clock
	rests []atomic.Int32 // rests[k-1]: so many ticks mean nothing to shard k unless it hears of something
	// erased are deletions to be made good on disk; over the bound they wait
	// for the store's own compactions.
	erased chan []storage.Mutation
	stop   context.CancelFunc
	done   sync.WaitGroup
}

const maxErased = 64

// Metrics of the shards.
type Metrics struct {
	active prometheus.Gauge
	batch  prometheus.Histogram
}

// NewMetrics registers the metrics; r may be nil.
func NewMetrics(r prometheus.Registerer) *Metrics {
	m := &Metrics{
		active: prometheus.NewGauge(prometheus.GaugeOpts{Name: "rouse_users_active", Help: "Users whose actor is in memory."}),
		batch: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "rouse_shard_batch_records",
			Help: "Mutations in one commit of one shard.", Buckets: []float64{1, 2, 4, 8, 16, 32, 64, 128},
		}),
	}
	if r != nil {
		r.MustRegister(m.active, m.batch)
	}
	return m
}

// Start makes the shards, which do nothing before Lead. It fails when the system
// has actors of their names.
func Start(sys *actor.ActorSystem, o Options) (*Set, error) {
	if o.IdleAfter == 0 {
		o.IdleAfter = 10 * time.Minute
	}
	if o.Metrics == nil {
		o.Metrics = NewMetrics(nil)
	}
	ctx, cancel := context.WithCancel(context.Background())
	n := o.User.Store.Shards()
	s := &Set{sys: sys, o: o, stop: cancel, leads: make([]atomic.Bool, n), works: make([]atomic.Bool, n), rests: make([]atomic.Int32, n), erased: make(chan []storage.Mutation, maxErased)}
	props := user.Props(o.User)
	for id := uint16(1); id <= n; id++ {
		pid, err := sys.Root.SpawnNamed(actor.PropsFromProducer(func() actor.Actor {
			return newActor(&s.o, id, props, s)
		}, actor.WithMailbox(mailbox.Producer(cmp.Or(o.Mailbox, defaultMailbox)))), route.ShardName(id))
		if err != nil {
			s.Stop()
			return nil, fmt.Errorf("shard %d: %w", id, err)
		}
		s.pids = append(s.pids, pid)
	}
	s.done.Go(func() { s.tick(ctx) })
	s.done.Go(func() { s.compact(ctx) })
	return s, nil
}

// Lead has a shard work under a leadership of this node; all entries of earlier
// ones have been applied. It does not wait: the channel tells once, with the error
// that keeps the store from being read, if any; the shard then tries again every
// second. Under the term that the shard works under already, Lead ends a hand-over
// that did not come about.
func (s *Set) Lead(shard uint16, term uint64) <-chan error {
	ready := make(chan error, 1)
	s.sys.Root.Send(s.pids[shard-1], &lead{term: term, ready: ready})
	return ready
}

// Lose ends the work of a shard: this node's leadership of that term is over.
// What is not durable goes back to its callers' router or is answered as
// UNAVAILABLE, and the lanes forget the shard's pushes. It does not wait.
func (s *Set) Lose(shard uint16, term uint64) { s.sys.Root.Send(s.pids[shard-1], &lose{term: term}) }

// Leads tells whether the shard works here.
func (s *Set) Leads(shard uint16) bool { return s.leads[shard-1].Load() }

// Yield makes a shard ready for its leadership to be given away: nothing new is
// taken on, queued pushes are left to the next leader. It returns when all that
// was taken on is durable and no push is with a vendor, or with an error when ctx
// ends before: a push may then be sent twice, under the same push id. Without Lose
// or Lead the shard works on after 5 s.
func (s *Set) Yield(ctx context.Context, shard uint16) error {
	done := make(chan struct{})
	s.sys.Root.Send(s.pids[shard-1], &yield{done: done})
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("shard %d: something is still under way: %w", shard, ctx.Err())
	}
}

// LeadAll has all shards work under the first term of a store that is not
// replicated, and returns when they do. It fails when the store cannot be read.
func (s *Set) LeadAll() error {
	var ready []<-chan error
	for i := range s.pids {
		ready = append(ready, s.Lead(uint16(i+1), 1))
	}
	var errs []error
	for _, r := range ready {
		errs = append(errs, <-r)
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("shards: %w", err)
	}
	return nil
}

// here sends to a shard's actor on this node, whether it leads or not.
func (s *Set) here(shard uint16, msg any) { s.sys.Root.Send(s.pids[shard-1], msg) }

// Route brings an envelope to the shard of its user on this node. If that does not
// lead it, it gives the envelope back (Envelope.Back).
func (s *Set) Route(e *actors.Envelope) { s.here(s.o.User.Store.ShardOf(e.App, e.User), e) }

// Report brings a receipt to the shard of its token. It never blocks.
func (s *Set) Report(r *user.Reported) {
	s.send(s.o.User.Store.ShardOfToken(storage.Sum(r.Sum)), r)
}

// tick tells the shards that work here, and may have something to do, once a second
// that time has passed.
func (s *Set) tick(ctx context.Context) {
	t := time.NewTicker(tickEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			for i, pid := range s.pids {
				rest := &s.rests[i]
				if left := rest.Load(); left > 0 {
					rest.CompareAndSwap(left, left-1)
				} else if s.works[i].Load() {
					s.sys.Root.Send(pid, tick{})
				}
			}
		}
	}
}

// wipe has what was deleted leave the disk soon, so that an erased user does
// not live on in old tables. It never blocks.
func (s *Set) wipe(deleted []storage.Mutation) {
	select {
	case s.erased <- deleted:
	default:
	}
}

// compact does that, one erased user at a time.
func (s *Set) compact(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case deleted := <-s.erased:
			if err := s.o.User.Store.Compact(ctx, deleted); err != nil && ctx.Err() == nil {
				s.o.Logger.Error("an erased user's bytes stay on disk until the next compaction", "error", err)
			}
		}
	}
}

// Drain refuses further envelopes and returns when all that was accepted is
// durable, or when ctx ends.
func (s *Set) Drain(ctx context.Context) error {
	for i := range s.pids {
		done := make(chan struct{})
		s.here(uint16(i+1), &drain{done})
		select {
		case <-done:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// Stop ends the shards. What is owed is in the store.
func (s *Set) Stop() {
	s.stop()
	s.done.Wait()
	for _, pid := range s.pids {
		_ = s.sys.Root.StopFuture(pid).Wait()
	}
}
