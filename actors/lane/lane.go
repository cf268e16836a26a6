package lane

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/internal/quota"
	"github.com/rouse-im/rouse/vendors"
)

// Lane is the way to one credential's actor. Its methods may be called from
// anywhere and never block.
type Lane struct {
	App, Notifier string

	sys      *actor.ActorSystem
	log      *slog.Logger
	now      func() time.Time
	pid      *actor.PID
	reserved atomic.Int64
	limit    atomic.Int64 // Options.QueueLimit
	removed  atomic.Bool  // by Remove; else a stopped lane was drained
	share    atomic.Pointer[share]
	done     chan struct{} // closed when the actor has stopped

	mu    sync.Mutex
	stats Stats
}

// Stats is a lane at the end of its last turn.
type Stats struct {
	App, Notifier string
	// Reserved counts the pushes admitted and not yet ended, at most QueueLimit
	// but for those recovered after a restart.
	Reserved, QueueLimit int
	// Queued by level: call, im, badge, system, marketing.
	Queued [levels]int
	// Worked: since it got its sender, the vendor took a push or refused one for
	// the push's own sake.
	Worked bool
	// Requests in flight.
	InFlight, MaxInFlight int
	Breaker               Breaker
	// Obstacle is why an open breaker opened, with the vendor's code.
	Obstacle rousev1.Reason
	Code     string
	// ProbeAt is when an open breaker tries again, PausedUntil when a throttled
	// lane does; zero or past = not waiting.
	ProbeAt, PausedUntil time.Time
	// PerSecond is the rate in force; 0 = unlimited.
	PerSecond float64
	// NoShare: the rate is shared with other nodes, and this one has no part of it.
	NoShare bool
	// Quotas of the day by class: call, IM, system, marketing.
	Quotas [quota.Classes]QuotaUse

	at    time.Time // of the turn
	taken float64   // by the vendor in a second
	batch int       // pushes that may count as one
}

// QuotaUse is how the quota of a class stands.
type QuotaUse struct {
	Class vendors.Class
	// Used of the day, blocks that a crash lost among it; Limit 0 = no bound.
	Used, Limit uint64
	// ResetsAt is the vendor's next midnight.
	ResetsAt time.Time
	// ExhaustedUntil is when pushes go again, zero = they go. Reason is
	// NOTIFIER_OUT_OF_QUOTA for the bound, VENDOR_QUOTA for the vendor's word with
	// its code.
	ExhaustedUntil time.Time
	Reason         rousev1.Reason
	Code           string
}

// Breaker is the state of a lane's breaker.
type Breaker uint8

// States of a breaker.
const (
	BreakerClosed  Breaker = iota
	BreakerOpen            // waits for ProbeAt
	BreakerProbing         // one push is out to probe
)

// String names a state for people; the set is closed.
func (b Breaker) String() string {
	return [...]string{"closed", "open", "probing"}[b]
}

// Reserve admits one push if there is room; false = the lane is full. It is
// called before the push is committed, and given back by Release when that fails,
// else by the lane when the push ends.
func (l *Lane) Reserve() bool {
	for {
		n := l.reserved.Load()
		if n >= l.limit.Load() {
			return false
		}
		if l.reserved.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// ForceReserve admits a push that was committed before a restart, full or not.
func (l *Lane) ForceReserve() { l.reserved.Add(1) }

// Release gives back a reservation whose push is not dispatched.
func (l *Lane) Release() { l.reserved.Add(-1) }

// Dispatch hands a reserved push over. It ends exactly once with an Ended to
// d.To, unless this node stops before.
func (l *Lane) Dispatch(d *Dispatch) { l.post(enter{&push{d: d, lane: l}}) }

// Cancel withdraws a push that was dispatched.
func (l *Lane) Cancel(c *Cancel) { l.post(withdraw{c}) }

// Stats tells how the lane is.
func (l *Lane) Stats() Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.stats
	s.Reserved, s.QueueLimit = int(l.reserved.Load()), int(l.limit.Load())
	return s
}

func (l *Lane) stopped() bool {
	select {
	case <-l.done:
		return true
	default:
		return false
	}
}

func (l *Lane) post(m any) { l.sys.Root.Send(l.pid, m) }

// Messages to the actor. All are admitted to a full mailbox: dispatches and
// cancels by the reservation, the rest because there is one per push in flight,
// per timer or per change of the configuration.
type (
	enter         struct{ p *push }
	withdraw      struct{ c *Cancel }
	landed        struct{ p *push }
	sendDue       struct{}
	replaceSender struct {
		o Options
		f *flight
	}
	granted struct {
		account *quota.Account
		b       block
		err     error
	}
	forget struct {
		to *actor.PID
		// done is called once: in a turn of the lane, or when it has stopped.
		done func()
	}
	removeLane struct{}
	drainLane  struct{}
	abortSends struct{}
)

func (enter) Owed()          {}
func (withdraw) Owed()       {}
func (landed) Owed()         {}
func (sendDue) Owed()        {}
func (*replaceSender) Owed() {}
func (granted) Owed()        {}
func (forget) Owed()         {}
func (removeLane) Owed()     {}
func (drainLane) Owed()      {}
func (abortSends) Owed()     {}

// What a message carries is not for the log of dead letters.

func (enter) IgnoreDeadLetterLogging()          {}
func (withdraw) IgnoreDeadLetterLogging()       {}
func (landed) IgnoreDeadLetterLogging()         {}
func (*replaceSender) IgnoreDeadLetterLogging() {}

// Reject ends a push that came after its lane had stopped: it has no credential
// any more, or stays in the outbox of its user until the next start.
func (m enter) Reject() {
	l, d := m.p.lane, m.p.d
	l.Release()
	if !l.removed.Load() || d.To == nil {
		return
	}
	l.sys.Root.Send(d.To, &Ended{
		Ref: d.Ref, PushID: d.PushID, TokenSum: d.TokenSum, At: l.now(),
		Status: rousev1.OutcomeStatus_OUTCOME_STATUS_FAILED,
		Reason: rousev1.Reason_REASON_NO_NOTIFIER,
	})
}

// Reject closes a sender that came after its lane had stopped.
func (m *replaceSender) Reject() { m.f.close() }

// Reject gives a block back that came after its lane had stopped.
func (m granted) Reject() { m.account.Return(int(m.b.class), m.b.n, m.b.end, func() {}) }

// Reject: a lane that has stopped holds no push.
func (m forget) Reject() { m.done() }

// Nothing is left to do for the others after the stop.

func (withdraw) Reject()   {}
func (landed) Reject()     {}
func (sendDue) Reject()    {}
func (removeLane) Reject() {}
func (drainLane) Reject()  {}
func (abortSends) Reject() {}
