package lane

import (
	"cmp"
	"runtime/debug"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/internal/plant"
	"github.com/rouse-im/rouse/vendors"
)

// shell joins the pure state with the world: clock, timer, sends, messages.
type shell struct {
	lane     *Lane
	metrics  *laneMetrics
	state    *state
	retired  []*flight  // replaced senders with pushes in flight
	partings []*parting // shards that wait for their sends in flight
	timer    *time.Timer
	armed    time.Time // when the timer goes off at the latest, counted from now on; zero = it does not
	breaker  Breaker   // as logged last
}

// Receive works on one message. A panic costs that message and not the queue.
func (a *shell) Receive(c actor.Context) {
	defer func() {
		if r := recover(); r != nil {
			a.lane.log.Error("lane panicked; this is a bug", "panic", r, "stack", string(debug.Stack()))
		}
	}()
	now := a.lane.now()
	if part := a.lane.share.Load(); part != nil && *part != a.state.pace.part {
		a.state.pace.use(*part, now)
	}
	switch m := c.Message().(type) {
	case enter:
		a.state.dispatch(m.p, now)
	case withdraw:
		a.state.withdraw(m.c, now)
	case landed:
		a.metrics.latency.Observe(m.p.took.Seconds())
		for p := range m.p.all() {
			a.metrics.answer(&p.answer)
			a.landedOf(p)
			if plant.On(plant.TokenLogged) && p.answer.res.Outcome == vendors.TokenInvalid {
				a.lane.log.Info("token is invalid", "token", p.d.N.Token)
			}
		}
		a.state.land(m.p, now)
	case sendDue:
		a.armed = time.Time{}
	case shareChanged: // taken in above
	case *replaceSender:
		a.replace(m, now)
	case removeLane:
		a.state.remove(now)
	case granted:
		a.granted(&m, now)
	case forget:
		a.forget(&m, now)
	case drainLane:
		a.state.drain()
	case abortSends:
		a.abort()
	case *actor.Stopped:
		a.stopped()
		return
	default:
		return
	}
	a.arm(a.state.settle(now), now)
	a.carryOut()
	a.part()
	a.retire()
	a.report(now)
	if a.state.mode != running && a.state.flight.n == 0 && len(a.retired) == 0 {
		c.Stop(c.Self())
	}
}

// carryOut does what the state decided.
func (a *shell) carryOut() {
	e := &a.state.effects
	for _, p := range e.sends {
		p.flight.start(p)
	}
	for _, end := range e.ends {
		a.metrics.end(end.e.Status, end.e.Reason)
		if end.d.To != nil {
			a.lane.sys.Root.Send(end.d.To, end.e)
		}
	}
	a.account()
	a.lane.reserved.Add(int64(-e.releases))
	if e.retries > 0 {
		a.metrics.retries.Add(float64(e.retries))
	}
	e.reset()
}

// arm sees to it that a turn comes at due. The one timer is never set later: one
// that goes off too early costs a turn, setting it for each push costs more. Nor
// does it trust the wall clock, which may be set before the timer goes off.
func (a *shell) arm(due, now time.Time) {
	if due.IsZero() {
		return
	}
	due = from(now, due)
	if !a.armed.IsZero() && !due.Before(a.armed) {
		return
	}
	a.armed = due
	if a.timer == nil {
		a.timer = time.AfterFunc(due.Sub(now), func() { a.lane.post(sendDue{}) })
		return
	}
	a.timer.Reset(due.Sub(now))
}

// from is when what is left until then by the wall clock of now will have passed,
// whatever becomes of that clock.
func from(now, then time.Time) time.Time { return now.Add(then.Sub(now)) }

func (a *shell) replace(m *replaceSender, now time.Time) {
	if a.state.mode != running {
		m.f.close()
		return
	}
	a.retired = append(a.retired, a.state.flight)
	m.o.Quota.Account = cmp.Or(m.o.Quota.Account, a.state.o.Quota.Account)
	if m.o.Quota.Account != a.state.o.Quota.Account {
		a.leave(func() {})
		a.state.quota = newDaily(m.o.Quota, now)
	}
	a.state.replace(m.o, m.f, now)
}

// retire closes replaced senders whose last push has its answer.
func (a *shell) retire() {
	kept := a.retired[:0]
	for _, f := range a.retired {
		if f.n > 0 {
			kept = append(kept, f)
		} else {
			go f.close()
		}
	}
	clear(a.retired[len(kept):])
	a.retired = kept
}

// abort makes the sends in flight end without an answer.
func (a *shell) abort() {
	a.state.flight.cancel()
	for _, f := range a.retired {
		f.cancel()
	}
}

func (a *shell) stopped() {
	if a.timer != nil {
		a.timer.Stop()
	}
	a.abort()
	for _, p := range a.partings {
		p.done()
	}
	left := make(chan struct{})
	a.leave(func() { close(left) })
	go func() {
		a.state.flight.close()
		<-left
		close(a.lane.done)
	}()
}

// report publishes the state for Stats and logs when the breaker changed.
func (a *shell) report(now time.Time) {
	s := a.state
	stats := Stats{
		App: a.lane.App, Notifier: a.lane.Notifier, Queued: s.queue.counts,
		InFlight: s.flight.n, MaxInFlight: s.flight.max, Worked: s.worked,
		Breaker: s.breaker.state(), Obstacle: s.breaker.why.reason, Code: s.breaker.why.code,
		ProbeAt: s.breaker.until, PausedUntil: s.pace.until, Quotas: s.quota.stats(now),
	}
	for _, f := range a.retired {
		stats.InFlight += f.n
	}
	stats.PerSecond, stats.NoShare = s.pace.perSecond(s.o.PerSecond), s.pace.closed(now)
	stats.at, stats.taken = now, float64(s.pace.taken.perSecond(now))
	if !s.o.PerPush {
		stats.batch = s.flight.batch
	}
	a.lane.mu.Lock()
	a.lane.stats = stats
	a.lane.mu.Unlock()
	if stats.Breaker != a.breaker {
		a.logBreaker(&stats)
	}
}

func (a *shell) logBreaker(s *Stats) {
	a.breaker = s.Breaker
	switch {
	case s.Breaker == BreakerClosed:
		a.lane.log.Info("vendor answers again; sending goes on")
	case s.Breaker == BreakerOpen && s.Obstacle == rousev1.Reason_REASON_CREDENTIAL_REJECTED:
		a.lane.log.Warn("vendor refuses the credential; pushes wait until it is replaced or they expire",
			"code", s.Code, "probe_at", s.ProbeAt)
	case s.Breaker == BreakerOpen:
		a.lane.log.Warn("vendor does not answer; pushes wait", "reason", s.Obstacle, "code", s.Code, "probe_at", s.ProbeAt)
	}
}
