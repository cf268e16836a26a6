package shard

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/rouse-im/rouse/actors"
	"github.com/rouse-im/rouse/actors/mailbox"
	"github.com/rouse-im/rouse/actors/user"
	"github.com/rouse-im/rouse/storage"
)

// Set is all shards of one node.
type Set struct {
	sys  *actor.ActorSystem
	o    Options
	pids []*actor.PID // pids[k-1] is shard k
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

// Start runs the shards and returns when each has taken up what it owed when
// it last stopped. It fails when the store cannot be read.
func Start(sys *actor.ActorSystem, o Options) (*Set, error) {
	if o.IdleAfter == 0 {
		o.IdleAfter = 10 * time.Minute
	}
	if o.Metrics == nil {
		o.Metrics = NewMetrics(nil)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := &Set{sys: sys, o: o, stop: cancel, pids: make([]*actor.PID, o.User.Store.Shards()), erased: make(chan []storage.Mutation, maxErased)}
	props := user.Props(o.User)
	for i := range s.pids {
		id := uint16(i + 1)
		s.pids[i] = sys.Root.Spawn(actor.PropsFromProducer(func() actor.Actor {
			return newActor(&s.o, id, props, s)
		}, actor.WithMailbox(mailbox.Producer(cmp.Or(o.Mailbox, defaultMailbox)))))
	}
	ready := make(chan error, len(s.pids))
	for _, pid := range s.pids { // only now, for a shard may send to any other
		sys.Root.Send(pid, begin{ready})
	}
	var errs []error
	for range s.pids {
		errs = append(errs, <-ready)
	}
	s.done.Go(func() { s.tick(ctx) })
	s.done.Go(func() { s.compact(ctx) })
	if err := errors.Join(errs...); err != nil {
		s.Stop()
		return nil, fmt.Errorf("shards: %w", err)
	}
	return s, nil
}

func (s *Set) send(shard uint16, msg any) { s.sys.Root.Send(s.pids[shard-1], msg) }

// Route brings an envelope to the shard of its user.
func (s *Set) Route(e *actors.Envelope) { s.send(s.o.User.Store.ShardOf(e.App, e.User), e) }

// Report brings a receipt to the shard of its token. It never blocks.
func (s *Set) Report(r *user.Reported) {
	s.send(s.o.User.Store.ShardOfToken(storage.Sum(r.Sum)), r)
}

// tick tells all shards once a second that time has passed.
func (s *Set) tick(ctx context.Context) {
	t := time.NewTicker(tickEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			for _, pid := range s.pids {
				s.sys.Root.Send(pid, tick{})
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
		s.send(uint16(i+1), &drain{done})
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
