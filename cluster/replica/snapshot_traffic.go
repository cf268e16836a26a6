package replica

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/rouse-im/rouse/storage"
)

const (
	// lanes bounds the groups that a node sends at once, and those that it
	// receives.
	lanes = 2
	// resumeFor is how long both ends keep what they have of a broken stream.
	resumeFor = 30 * time.Second
	// idleFor ends a connection on which nothing moves.
	idleFor = 30 * time.Second
	// busyPause lies between attempts at a receiver that has no room.
	busyPause = 500 * time.Millisecond
	// burstBytes is what moves at once, without a pause for others on the same
	// CPUs and disks: about a millisecond of a CPU.
	burstBytes = 64 << 10
)

// traffic is the groups that move between this node and others.
type traffic struct {
	e     *Engine
	ctx   context.Context // ends with close
	stop  context.CancelFunc
	sends *rate.Limiter
	takes *rate.Limiter
	moved atomic.Uint64 // bytes since the speed was decided last
	out   chan struct{} // a place for each of those that are sent
	given chan struct{} // a place for each of those that others fetch

	mu        sync.Mutex
	closed    bool
	receivers sync.WaitGroup
	arriving  map[uint16]*arrival // by group, at most lanes
	arrived   map[*storage.Ingest]bool
	leaving   map[*departure]bool
	speed     speed         // of sends and takes
	tally     tally         // of commits since it was decided by them last
	decided   time.Duration // when that was, on the engine's clock
	few       int           // decisions since then that the tally was too small for
}

func newTraffic(e *Engine) *traffic {
	t := &traffic{
		e: e, out: make(chan struct{}, lanes), given: make(chan struct{}, maxGiven),
		sends: rate.NewLimiter(0, burstBytes), takes: rate.NewLimiter(0, burstBytes), speed: newSpeed(float64(e.o.SnapshotRate)),
		arriving: map[uint16]*arrival{}, arrived: map[*storage.Ingest]bool{}, leaving: map[*departure]bool{},
	}
	t.ctx, t.stop = context.WithCancel(context.Background())
	t.limit()
	return t
}

// limit keeps to the speed.
func (t *traffic) limit() {
	if t.sends.Limit() == rate.Limit(t.speed.now) {
		return
	}
	t.sends.SetLimit(rate.Limit(t.speed.now))
	t.takes.SetLimit(rate.Limit(t.speed.now))
	t.e.metrics.snapshotLimit.Set(t.speed.now)
}

// decide sets the speed anew from time to time. The loop calls it.
func (t *traffic) decide(now time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if now-t.decided < speedEvery {
		return
	}
	t.decided = now
	t.e.commits.take(&t.tally)
	copied := t.moved.Swap(0) > 0
	t.few++
	switch {
	case t.tally.n >= fewCommits && copied:
		t.speed.copied(t.tally.most())
	case t.tally.n >= fewCommits:
		t.speed.rest(t.tally.most())
	case copied && (t.few >= fewFor || t.tally.n == 0):
		t.speed.free()
	case t.few < fewFor:
		return // they are counted on
	default:
		t.speed.now = t.speed.least
	}
	t.few, t.tally = 0, tally{}
	t.limit()
}

// wait lets so many bytes move, of those that a limiter is of.
func (t *traffic) wait(ctx context.Context, l *rate.Limiter, bytes int) error {
	t.moved.Add(uint64(bytes))
	for bytes > 0 {
		part := min(bytes, burstBytes)
		if err := l.WaitN(ctx, part); err != nil {
			return err
		}
		bytes -= part
	}
	return nil
}

// close ends all streams and gives up what was not installed, when loop and
// writer have ended.
func (t *traffic) close() error {
	t.stop()
	t.mu.Lock()
	t.closed = true
	parked := t.arriving
	t.arriving = map[uint16]*arrival{}
	t.mu.Unlock()
	t.receivers.Wait()
	var errs []error
	for _, a := range parked {
		errs = append(errs, a.abort())
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for ingest := range t.arrived {
		errs = append(errs, ingest.Abort())
	}
	return errors.Join(errs...)
}

// progress counts what has moved of a group; others may read it.
type progress struct{ keys, bytes atomic.Uint64 }

func (p *progress) set(keys, bytes uint64) { p.keys.Store(keys); p.bytes.Store(bytes) }

// Transfer is a group on its way as a whole, from or to a node.
type Transfer struct {
	Peer        uint64
	Keys, Bytes uint64 // that have moved
}

// moving returns what is on its way of a group.
func (t *traffic) moving(group uint16) (sending []Transfer, receiving *Transfer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for d := range t.leaving {
		if d.o.group == group {
			sending = append(sending, Transfer{Peer: d.o.to, Keys: d.keys.Load(), Bytes: d.bytes.Load()})
		}
	}
	slices.SortFunc(sending, func(a, b Transfer) int { return cmp.Compare(a.Peer, b.Peer) })
	if a := t.arriving[group]; a != nil {
		receiving = &Transfer{Peer: a.from, Keys: a.keys.Load(), Bytes: a.bytes.Load()}
	}
	return sending, receiving
}

// pause waits, unless ctx ends before.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
