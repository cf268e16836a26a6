package lane

import (
	"cmp"
	"slices"
	"time"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/internal/plant"
)

// state is the pure core of a lane. Each command changes it at once; the shell
// then calls settle and carries out effects.
type state struct {
	o       Options
	mode    mode
	pushes  map[string]*push // queued or in flight, by push id
	peak    int              // of len(pushes) since the map was made
	queue   queue
	seq     uint64
	breaker breaker
	pace    pace
	quota   daily
	// lingerEnd is when the pushes that linger may go; past = none does.
	lingerEnd time.Time
	// flight is the sender in use; answers to another one are of the past and
	// tell nothing about rate and credential.
	flight *flight
	// mine says whether a push may be sent from here now; nil = all may.
	mine func(*Dispatch) bool
	// worked: the vendor took a push, or refused it for its own sake.
	worked bool
	effects
}

type mode uint8

const (
	running mode = iota
	// draining: nothing more is sent, what has no verdict is kept without one.
	draining
	// removed: whatever has no verdict fails, as there is no credential.
	removed
)

// effects are what the shell has to do after a command.
type effects struct {
	sends    []*push // each leads a request
	ends     []ending
	releases int // reservations of repeated or dropped dispatches
	retries  int
}

// reset keeps the slices for the next turn, but nothing in them.
func (e *effects) reset() {
	clear(e.sends)
	clear(e.ends)
	*e = effects{sends: e.sends[:0], ends: e.ends[:0]}
	if cap(e.ends) > keptCap {
		e.ends = nil
	}
}

type ending struct {
	d *Dispatch
	e *Ended
}

func newState(o Options, f *flight) *state {
	s := &state{o: o, pushes: map[string]*push{}, queue: newQueue(), pace: newPace(o), flight: f}
	s.breaker.o = &s.o
	s.quota.set(o.Quota, time.Time{})
	return s
}

// dispatch takes a push in.
func (s *state) dispatch(p *push, now time.Time) {
	if old := s.pushes[p.d.PushID]; old != nil {
		old.d.To, old.forgotten = p.d.To, false
		s.releases++
		return
	}
	switch {
	case s.mode == draining:
		s.releases++
		return
	case s.mode == removed:
		s.end(p, rousev1.OutcomeStatus_OUTCOME_STATUS_FAILED, obstacle{reason: rousev1.Reason_REASON_NO_NOTIFIER}, now)
		return
	case !now.Before(p.d.N.Expires):
		s.end(p, rousev1.OutcomeStatus_OUTCOME_STATUS_EXPIRED, obstacle{reason: rousev1.Reason_REASON_TTL}, now)
		return
	}
	p.d.N.Expires = p.d.ends(now)
	s.seq++
	p.level, p.seq, p.since = levelOf(p.d.N), s.seq, s.seq
	s.pushes[p.d.PushID] = p
	s.peak = max(s.peak, len(s.pushes))
	old := s.queue.sameCollapse(p)
	s.linger(p, old, now)
	if old != nil && !plant.On(plant.CollapseKeepsBoth) {
		p.since = old.since
		s.supersede(old, now)
	}
	s.queue.add(p, now)
}

// ends is when what is left of a push's life will have passed, counted from now on:
// that the wall clock is set meanwhile neither ends it nor keeps it waiting.
func (d *Dispatch) ends(now time.Time) time.Time {
	left := d.N.Expires.Sub(now)
	if d.Life > 0 {
		left = min(left, d.Life)
	}
	return now.Add(left)
}

func (s *state) supersede(p *push, now time.Time) {
	s.dequeue(p, now)
	s.end(p, rousev1.OutcomeStatus_OUTCOME_STATUS_SUPERSEDED, obstacle{rousev1.Reason_REASON_COLLAPSED, p.why.code}, now)
}

// withdraw carries out a Cancel.
func (s *state) withdraw(c *Cancel, now time.Time) {
	p := s.pushes[c.PushID]
	switch {
	case p == nil || plant.On(plant.LostCancel):
	case p.inFlight:
		p.cancel = c
	default:
		s.dequeue(p, now)
		s.end(p, c.Status, obstacle{c.Reason, p.why.code}, now)
	}
}

// replace goes on with a new sender and new options: what the vendor said about
// the old credential is forgotten, but not what it said about a quota: that is
// the account's, and the shell changes quota when the account is another one.
func (s *state) replace(o Options, f *flight, now time.Time) {
	s.o, s.flight, s.worked = o, f, false
	s.breaker = breaker{o: &s.o}
	s.pace.configure(o, now)
	s.quota.set(o.Quota, now)
	for _, b := range s.queue.bindings {
		s.queue.rank(b, now)
	}
}

// forget drops the pushes of a shard that is led elsewhere from now on, without
// an end: its new leader has them. Those in flight, which are returned, end with
// the vendor's verdict or are dropped.
func (s *state) forget(of func(*Dispatch) bool, now time.Time) (inFlight []*push) {
	for _, p := range s.pushes {
		switch {
		case !of(p.d) || plant.On(plant.HandOverKeepsPushing):
		case p.inFlight:
			p.forgotten = true
			inFlight = append(inFlight, p)
		default:
			s.dequeue(p, now)
			s.drop(p)
		}
	}
	return inFlight
}

// drop gives up a push that is out of the queue, without an end.
func (s *state) drop(p *push) {
	delete(s.pushes, p.d.PushID)
	s.releases++
}

// drain stops sending; what is queued stays without an end.
func (s *state) drain() { s.mode = draining }

// remove ends all that is queued, in the order of dispatch.
func (s *state) remove(now time.Time) {
	s.mode = removed
	queued := make([]*push, 0, len(s.pushes))
	for _, p := range s.pushes {
		if !p.inFlight {
			queued = append(queued, p)
		}
	}
	slices.SortFunc(queued, func(a, b *push) int { return cmp.Compare(a.seq, b.seq) })
	for _, p := range queued {
		s.dequeue(p, now)
		s.end(p, rousev1.OutcomeStatus_OUTCOME_STATUS_FAILED, obstacle{rousev1.Reason_REASON_NO_NOTIFIER, p.why.code}, now)
	}
}

// dequeue takes a queued push out of the queue.
func (s *state) dequeue(p *push, now time.Time) {
	s.queue.remove(p)
	s.queue.rank(p.b, now)
}

// end gives a push that is out of the queue its verdict.
func (s *state) end(p *push, status rousev1.OutcomeStatus, why obstacle, now time.Time) *Ended {
	delete(s.pushes, p.d.PushID)
	e := &Ended{
		Ref: p.d.Ref, PushID: p.d.PushID, TokenSum: p.d.TokenSum,
		Status: status, Reason: why.reason, VendorCode: why.code,
		At: now, Attempts: p.attempts,
		InDoubt: (p.doubt || p.d.Again) && status != rousev1.OutcomeStatus_OUTCOME_STATUS_ACCEPTED,
	}
	s.ends = append(s.ends, ending{p.d, e})
	s.releases++
	return e
}

// settle ends what expired, sends what may go, and returns when to call it
// again if nothing happens before; zero = never.
func (s *state) settle(now time.Time) (due time.Time) {
	if s.mode != running {
		return time.Time{}
	}
	s.day(now)
	s.admit(now)
	s.queue.wake(now)
	s.expire(now)
	s.pump(now)
	s.shrink()
	return earlier(s.due(now), s.quota.end)
}

// day begins a new day of the quota, or goes back into one of before when the clock
// was: of that the account knows.
func (s *state) day(now time.Time) {
	if !s.quota.setBack(now) {
		s.quota.roll(now)
		return
	}
	s.quota.giveUpAll()
	fresh := newDaily(s.o.Quota, now)
	fresh.blockEffects = s.quota.blockEffects
	s.quota = fresh
}

// admit tells the queue which levels the quota holds back. Those that it lets go
// need not have waited until the time that was foreseen: the clock may have been set.
func (s *state) admit(now time.Time) {
	opened := false
	for l := range levels {
		until, why := s.quota.closed(classOf[l], now)
		opened = opened || until.Before(s.queue.paused[l])
		s.queue.paused[l], s.queue.quota[l] = until, why
	}
	if !opened {
		return
	}
	for _, b := range s.queue.bindings {
		s.queue.rank(b, now)
	}
}

func (s *state) expire(now time.Time) {
	for e := &s.queue.expiry; e.len() > 0 && !plant.On(plant.RetryAfterTTL) && !now.Before(e.top().d.N.Expires); {
		p := e.top()
		why := s.obstacleTo(p, now)
		s.dequeue(p, now)
		s.end(p, rousev1.OutcomeStatus_OUTCOME_STATUS_EXPIRED, why, now)
	}
}

// obstacleTo is the last reason why a queued push is not with the vendor: the
// lane's, its own, or that of its binding.
func (s *state) obstacleTo(p *push, now time.Time) obstacle {
	switch {
	case s.breaker.open:
		return s.breaker.why
	case s.pace.closed(now):
		return shareObstacle
	case now.Before(s.pace.until):
		return s.pace.why
	case now.Before(s.queue.paused[p.level]):
		return s.queue.quota[p.level]
	case p.why.reason != 0:
		return p.why
	}
	return p.b.obstacle(now)
}

// pump sends what may go now.
func (s *state) pump(now time.Time) {
	for s.flight.n < s.flight.max && s.breaker.allows(now) {
		p := s.queue.next(now)
		if p == nil {
			return
		}
		if s.foreign(p, now) {
			continue
		}
		if !s.quota.open(classOf[p.level], now) {
			s.admit(now)
			continue
		}
		if !s.pace.take(now, s.company(p, now)) {
			return
		}
		s.flight.n++
		p.probe = s.breaker.send()
		s.launch(p, now)
		s.join(p, now)
		s.sends = append(s.sends, p)
	}
}

// foreign puts off a push of which it is not certain that this node is to send it.
func (s *state) foreign(p *push, now time.Time) bool {
	if s.mine == nil || s.mine(p.d) {
		return false
	}
	p.notBefore = now.Add(askAgain)
	s.queue.rank(p.b, now)
	return true
}

// askAgain is when it is looked at again whose a push is.
const askAgain = 100 * time.Millisecond

// launch takes a push out of the queue into flight.
func (s *state) launch(p *push, now time.Time) {
	s.queue.remove(p)
	p.b.inFlight = p
	s.queue.rank(p.b, now)
	p.flight, p.inFlight = s.flight, true
	p.attempts++
	p.sentAt = now
	s.quota.spend(classOf[p.level], now)
	p.deadline = now.Add(s.o.SendTimeout)
	if grace := p.d.N.Expires.Add(sendGrace); grace.Before(p.deadline) {
		p.deadline = grace
	}
}

func (s *state) due(now time.Time) time.Time {
	var due time.Time
	if s.queue.expiry.len() > 0 && !plant.On(plant.RetryAfterTTL) {
		due = s.queue.expiry.top().d.N.Expires
	}
	if s.queue.held.len() > 0 {
		due = earlier(due, s.queue.held.top().wake)
	}
	if s.queue.ready.len() == 0 || s.flight.n >= s.flight.max {
		return due
	}
	if s.breaker.allows(now) {
		return earlier(due, s.pace.next(now))
	}
	if at, known := s.breaker.next(); known {
		return earlier(due, at)
	}
	return due
}

// shrink gives back the memory of a long queue when it is empty.
func (s *state) shrink() {
	if len(s.pushes) > 0 || s.peak <= keptCap {
		return
	}
	s.pushes, s.peak = map[string]*push{}, 0
	s.queue.shrink()
}
