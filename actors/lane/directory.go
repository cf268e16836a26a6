package lane

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/rouse-im/rouse/actors/mailbox"
	"github.com/rouse-im/rouse/internal/quota"
	"github.com/rouse-im/rouse/vendors"
)

// Directory holds the lanes of this node. Reads take no lock. It is a
// prometheus.Collector of all its lanes.
type Directory struct {
	sys     *actor.ActorSystem
	log     *slog.Logger
	metrics *metrics
	lanes   atomic.Pointer[map[name]*Lane] // copied on write
	mu      sync.Mutex                     // for writers
	closed  bool
	mine    func(*Dispatch) bool // see Guard
	now     func() time.Time     // see Clock
}

type name struct{ app, notifier string }

// mailboxBound is for strangers: the lane's own messages are admitted otherwise.
const mailboxBound = 16

// NewDirectory makes an empty directory. Register it with a Prometheus registry
// to see its metrics.
func NewDirectory(sys *actor.ActorSystem, log *slog.Logger) *Directory {
	mailbox.RejectDeadLetters(sys)
	d := &Directory{sys: sys, log: log, metrics: newMetrics(), now: time.Now}
	d.lanes.Store(&map[name]*Lane{})
	return d
}

var _ prometheus.Collector = (*Directory)(nil)

// Guard sets what says whether a push is this node's to send, now: it is asked
// before each send, and must not block. What is not waits, and is asked about
// again, until its shard is forgotten. To be called before the first Put.
func (d *Directory) Guard(mine func(*Dispatch) bool) { d.mine = mine }

// Clock sets what tells the time, in place of time.Now. To be called before the
// first Put.
func (d *Directory) Clock(now func() time.Time) { d.now = now }

// Get returns nil when there is no such lane.
func (d *Directory) Get(app, notifier string) *Lane {
	return (*d.lanes.Load())[name{app, notifier}]
}

// All returns the lanes, in no order.
func (d *Directory) All() []*Lane {
	var all []*Lane
	for _, l := range *d.lanes.Load() {
		all = append(all, l)
	}
	return all
}

// Put makes a lane, or gives an existing one a new sender and new options: its
// pushes go on through the new sender at once, and the old one is closed when
// its sends have ended. The directory owns s, and closes it; s is used in one
// Put only. After Close s is closed at once.
func (d *Directory) Put(app, notifier string, s vendors.Sender, o Options) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		s.Close()
		return
	}
	o, f := o.withDefaults(), newFlight(s)
	if l := d.Get(app, notifier); l != nil {
		l.limit.Store(int64(o.QueueLimit))
		l.post(&replaceSender{o, f})
		return
	}
	l := d.spawn(app, notifier, o, f)
	d.write(func(m map[name]*Lane) { m[name{app, notifier}] = l })
}

func (d *Directory) spawn(app, notifier string, o Options, f *flight) *Lane {
	if o.Quota.Account == nil {
		o.Quota.Account = new(quota.Account)
	}
	l := &Lane{
		App: app, Notifier: notifier, sys: d.sys, now: d.now, done: make(chan struct{}),
		log:   d.log.With("app", app, "notifier", notifier),
		stats: Stats{App: app, Notifier: notifier, MaxInFlight: f.max, PerSecond: o.PerSecond},
	}
	l.limit.Store(int64(o.QueueLimit))
	a := &shell{lane: l, metrics: d.metrics.of(l), state: newState(o, f)}
	a.state.mine = d.mine
	a.state.quota = newDaily(o.Quota, d.now())
	l.stats.Quotas = a.state.quota.stats(d.now())
	l.pid = d.sys.Root.SpawnPrefix(actor.PropsFromProducer(
		func() actor.Actor { return a },
		actor.WithMailbox(mailbox.Producer(mailboxBound)),
	), "lane")
	l.post(sendDue{}) // it shall wake at the vendor's midnight
	return l
}

// Remove ends the lane: its queued pushes fail with REASON_NO_NOTIFIER, and so do
// those in flight that get no verdict. A lane that is not there is none to remove.
func (d *Directory) Remove(app, notifier string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	l := d.Get(app, notifier)
	if l == nil {
		return
	}
	d.write(func(m map[name]*Lane) { delete(m, name{app, notifier}) })
	l.removed.Store(true)
	l.post(removeLane{})
	d.metrics.forget(l)
}

// write changes a copy of the map and publishes it; under mu.
func (d *Directory) write(change func(map[name]*Lane)) {
	m := maps.Clone(*d.lanes.Load())
	change(m)
	d.lanes.Store(&m)
}

// abortGrace is how long Close waits for sends after it cut them off.
const abortGrace = 2 * time.Second

// Close stops sending, lets the sends in flight end until ctx does, and then cuts
// them off. Pushes without a verdict are kept without an end: they are in the
// outboxes of their users and are dispatched again by the next start. The error
// names the lanes whose senders ignored the cut.
func (d *Directory) Close(ctx context.Context) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	lanes := d.All()
	for _, l := range lanes {
		l.post(drainLane{})
	}
	if awaitAll(ctx, lanes) == nil {
		return nil
	}
	for _, l := range lanes {
		l.post(abortSends{})
	}
	rest, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortGrace)
	defer cancel()
	return awaitAll(rest, lanes)
}

// awaitAll waits for the lanes until ctx ends; nil = they have ended.
func awaitAll(ctx context.Context, lanes []*Lane) error {
	var errs []error
	for _, l := range lanes {
		select {
		case <-l.done:
		case <-ctx.Done():
			if !l.stopped() {
				errs = append(errs, fmt.Errorf("lane %s/%s: a send ignores its context; its push may be sent again after the restart", l.App, l.Notifier))
			}
		}
	}
	return errors.Join(errs...)
}
