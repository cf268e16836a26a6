package lane

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/internal/quota"
	"github.com/rouse-im/rouse/vendors"
)

// rig drives a state in made-up time and holds what must be true of it in terms
// of its commands and effects alone.
type rig struct {
	t        rapid.TB
	s        *state
	o        Options
	now, due time.Time
	live     []*push     // dispatched and not ended, in order
	flying   []*push     // each leads a request
	sentAt   []time.Time // requests, or pushes where they count
	entered  map[*push]time.Time
	ended    map[string]*Ended
	reserved int
	paused   [levels]time.Time // quota, as the vendor said it
	until    time.Time         // throttled, as the vendor said it

	// Quota: blocks are answered at once, or by commit when the disk is slow.
	account  quota.Account
	slowDisk bool
	blocks   []block
	counted  [classes]map[attempt]bool // of today, by the vendor's count
	day      time.Time                 // today's end
}

type attempt struct {
	p *push
	n int
}

func newRig(t rapid.TB, o Options, maxInFlight int) *rig {
	o = o.withDefaults()
	r := &rig{
		t: t, o: o, s: newState(o, &flight{max: maxInFlight}),
		now: time.Unix(1e9, 0), ended: map[string]*Ended{}, entered: map[*push]time.Time{},
	}
	r.turnDay()
	return r
}

// turnDay begins the vendor's count anew at its midnight.
func (r *rig) turnDay() {
	if r.now.Before(r.day) {
		return
	}
	r.day = midnight(r.now, r.o.Quota.Zone)
	for c := range r.counted {
		r.counted[c] = map[attempt]bool{}
	}
}

// commit makes the oldest block durable, or lets its write fail.
func (r *rig) commit(fails bool) {
	b, err := r.blocks[0], error(nil)
	r.blocks = r.blocks[1:]
	if fails {
		b.n, err = 0, errors.New("disk")
	} else {
		r.account.Take(int(b.class), b.n, b.limit, b.end, r.now, func(n uint64, _ error) { b.n = n })
	}
	r.s.quota.granted(b, err, r.now)
	r.settle()
}

// keepAccount carries out what the state decided about blocks.
func (r *rig) keepAccount() {
	q := &r.s.quota
	r.blocks = append(r.blocks, q.takes...)
	for _, b := range q.returns {
		r.account.Return(int(b.class), b.n, b.end, func() {})
	}
	q.blockEffects.reset()
	for len(r.blocks) > 0 && !r.slowDisk {
		r.commit(false)
	}
}

// count notes a push that goes out as used.
func (r *rig) count(p *push) {
	c := classOf[p.level]
	r.counted[c][attempt{p, p.attempts}] = true
	if limit := r.o.Quota.Limits[c]; limit > 0 && uint64(len(r.counted[c])) > limit {
		r.t.Fatalf("%s is push %d of its class today, at most %d may be", p.d.PushID, len(r.counted[c]), limit)
	}
}

// coalesce lets requests carry up to n pushes, of which the titles are the same.
func (r *rig) coalesce(n int) *rig {
	r.s.flight.batch = n
	r.s.flight.same = func(a, b *vendors.Notification) bool { return a.Title == b.Title }
	return r
}

func (r *rig) notification(class vendors.Class, ttl time.Duration) *vendors.Notification {
	return &vendors.Notification{Class: class, Channel: vendors.ChannelAlert, Expires: r.now.Add(ttl)}
}

func (r *rig) dispatch(id string, order uint64, n *vendors.Notification) *push {
	return r.enter(&push{d: &Dispatch{PushID: id, Order: order, N: n}})
}

// shared dispatches a push that others are likely to equal, to a token of its own.
func (r *rig) shared(id string, order uint64, n *vendors.Notification) *push {
	n.Token = "token of " + id
	return r.enter(&push{d: &Dispatch{PushID: id, Order: order, N: n, Shared: true}})
}

func (r *rig) enter(p *push) *push {
	id := p.d.PushID
	p.d.N.PushID = id
	r.reserved++
	known := slices.ContainsFunc(r.live, func(q *push) bool { return q.d.PushID == id })
	if !known && r.ended[id] == nil {
		r.live = append(r.live, p)
		r.entered[p] = r.now
	}
	r.s.dispatch(p, r.now)
	r.settle()
	return p
}

func (r *rig) cancel(id string) {
	r.s.withdraw(&Cancel{id, rousev1.OutcomeStatus_OUTCOME_STATUS_CANCELLED, rousev1.Reason_REASON_READ}, r.now)
	r.settle()
}

// answer gives the oldest request in flight its answer, or the i-th: all its
// pushes the same.
func (r *rig) answer(i int, a answer) *push {
	return r.answerEach(i, func() answer { return a })
}

// answerEach asks for the answer of each push; the first one's kind is of all.
func (r *rig) answerEach(i int, draw func() answer) *push {
	p := r.flying[i]
	r.flying = slices.Delete(r.flying, i, i+1)
	fresh := p.flight == r.s.flight
	for q := range p.all() {
		q.answer = draw()
		q.answer.kind = p.answer.kind
		if q.answer.kind == answered && unused(&q.answer.res) {
			delete(r.counted[classOf[q.level]], attempt{q, q.attempts})
		}
		if fresh {
			r.hear(q)
		}
	}
	r.s.land(p, r.now)
	r.settle()
	return p
}

// hear notes the pauses that the vendor asks for.
func (r *rig) hear(p *push) {
	res := &p.answer.res
	switch {
	case p.answer.kind != answered:
	case res.Outcome == vendors.QuotaExhausted:
		end := r.now.Add(clampRetryAfter(res.RetryAfter, r.s.quota.end.Sub(r.now), quotaPauseMax))
		for l := range r.paused {
			if classOf[l] == classOf[p.level] && end.After(r.paused[l]) {
				r.paused[l] = end
			}
		}
	case res.Outcome == vendors.Throttled && res.Scope == vendors.ScopeCredential && res.RetryAfter > 0:
		if end := r.now.Add(min(res.RetryAfter, retryAfterMax)); end.After(r.until) {
			r.until = end
		}
	}
}

func (r *rig) replace(maxInFlight int) {
	r.until = time.Time{}
	r.s.replace(r.o, &flight{max: maxInFlight, batch: r.s.flight.batch, same: r.s.flight.same}, r.now)
	r.settle()
}

func (r *rig) advance(d time.Duration) {
	r.now = r.now.Add(d)
	r.settle()
}

func (r *rig) settle() {
	r.turnDay()
	r.due = r.s.settle(r.now)
	for _, end := range r.s.ends {
		id := end.d.PushID
		if r.ended[id] != nil {
			r.t.Fatalf("push %s ended twice", id)
		}
		r.ended[id] = end.e
		r.live = slices.DeleteFunc(r.live, func(p *push) bool { return p.d.PushID == id })
	}
	for _, p := range r.s.sends {
		r.checkRequest(p)
		r.flying = append(r.flying, p)
		r.sentAt = append(r.sentAt, r.now)
		for range p.rest {
			if r.o.PerPush {
				r.sentAt = append(r.sentAt, r.now)
			}
		}
	}
	r.reserved -= r.s.releases
	r.s.effects.reset()
	r.check()
	r.keepAccount()
}

// checkRequest looks at the pushes that go out now in one request.
func (r *rig) checkRequest(p *push) {
	orders, tokens := map[uint64]bool{}, map[string]bool{}
	for q := range p.all() {
		r.checkSend(q)
		orders[q.d.Order], tokens[q.d.N.Token] = true, true
		if q != p && (!q.d.Shared || q.panics > 0 || p.probe || q.level != p.level || !p.flight.same(p.d.N, q.d.N)) {
			r.t.Fatalf("%s goes with %s, want it alone", q.d.PushID, p.d.PushID)
		}
		if p.deadline.After(q.d.N.Expires.Add(sendGrace)) || p.deadline.After(r.now.Add(r.o.SendTimeout)) {
			r.t.Fatalf("%s has the deadline %v", q.d.PushID, p.deadline)
		}
	}
	if n := 1 + len(p.rest); len(orders) != n || n > 1 && (len(tokens) != n || n > p.flight.batch) {
		r.t.Fatalf("%d pushes in one request, to %d bindings and %d tokens; at most %d may be", n, len(orders), len(tokens), p.flight.batch)
	}
}

// checkSend looks at a push that goes out now.
func (r *rig) checkSend(p *push) {
	for _, first := range r.flying {
		for q := range first.all() {
			if q.d.Order == p.d.Order {
				r.t.Fatalf("%s sent while %s of the same binding is in flight", p.d.PushID, q.d.PushID)
			}
		}
	}
	for _, q := range r.live {
		if q == p {
			break
		}
		sameStream := (q.level == levelCall) == (p.level == levelCall)
		steppedAside := r.now.Before(r.paused[q.level]) || r.now.Before(r.s.queue.paused[q.level])
		if q.d.Order == p.d.Order && sameStream && !steppedAside {
			r.t.Fatalf("%s sent before the older %s of the same binding", p.d.PushID, q.d.PushID)
		}
	}
	r.count(p)
	if !r.now.Before(p.d.N.Expires) {
		r.t.Fatalf("%s sent after it expired", p.d.PushID)
	}
	if r.now.Before(r.paused[p.level]) && r.o.Quota.Probe == 0 || r.now.Before(r.until) {
		r.t.Fatalf("%s sent within a pause that the vendor asked for", p.d.PushID)
	}
}

// checkWaits wants a push that could go at once to have gone, but for linger.
func (r *rig) checkWaits() {
	s := r.s
	if s.mode != running || s.flight.n >= s.flight.max || s.breaker.open || r.o.PerSecond > 0 || s.pace.ceiling > 0 {
		return
	}
	for _, p := range r.live {
		waits := r.now.Sub(r.entered[p])
		if p.inFlight || p.attempts > 0 || p.b.inFlight != nil || r.now.Before(p.b.hold) || r.now.Before(r.paused[p.level]) || r.now.Before(r.until) ||
			r.now.Before(r.s.queue.paused[p.level]) || s.mine != nil {
			continue
		}
		may := time.Duration(0)
		if p.d.Shared && s.flight.batch > 1 && p.level != levelCall {
			may = linger
		}
		if p.b.alone() && (may == 0 || waits >= may) && !r.now.Before(s.pace.until) {
			r.t.Fatalf("%s waits for %v", p.d.PushID, waits)
		}
	}
}

// alone: the binding has one push, which no other holds back.
func (b *binding) alone() bool {
	n := 0
	for _, l := range b.lists {
		for q := l.first; q != nil; q = q.next {
			n++
		}
	}
	return n == 1
}

// check looks at the whole after a command.
func (r *rig) check() {
	flying, pushes := 0, 0
	for _, p := range r.flying {
		pushes += 1 + len(p.rest)
		if p.flight == r.s.flight {
			flying++
		}
	}
	r.checkWaits()
	if n := r.s.flight.n; n != flying || n > r.s.flight.max {
		r.t.Fatalf("%d in flight, the lane counts %d, at most %d may be", flying, n, r.s.flight.max)
	}
	if len(r.live) != len(r.s.pushes) || r.reserved != len(r.live) {
		r.t.Fatalf("%d live, lane holds %d, %d reserved", len(r.live), len(r.s.pushes), r.reserved)
	}
	queued := 0
	for _, n := range r.s.queue.counts {
		queued += n
	}
	if queued != len(r.live)-pushes || queued != r.s.queue.expiry.len() {
		r.t.Fatalf("%d queued by level, %d by expiry, want %d", queued, r.s.queue.expiry.len(), len(r.live)-pushes)
	}
	if r.s.mode != running {
		return
	}
	if queued > 0 && !r.due.After(r.now) {
		r.t.Fatalf("%d queued, but the next turn is due at %v, now is %v", queued, r.due, r.now)
	}
	if len(r.live) == 0 && len(r.s.queue.bindings) != r.s.queue.held.len() {
		r.t.Fatalf("%d bindings are left without pushes", len(r.s.queue.bindings))
	}
	for _, p := range r.live {
		if !p.inFlight && !r.now.Before(p.d.N.Expires) {
			r.t.Fatalf("%s outlived its time in the queue", p.d.PushID)
		}
	}
}

// checkRate compares all pairs of sends with the token bucket's promise.
func (r *rig) checkRate() {
	if r.o.PerSecond == 0 {
		return
	}
	for i := range r.sentAt {
		for j := i; j < len(r.sentAt); j++ {
			most := float64(r.o.Burst) + r.o.PerSecond*r.sentAt[j].Sub(r.sentAt[i]).Seconds()
			if float64(j-i+1) > most+1e-3 {
				r.t.Fatalf("%d sends within %v, want at most %g", j-i+1, r.sentAt[j].Sub(r.sentAt[i]), most)
			}
		}
	}
}

// Values are sampled, not drawn from ranges: ranges favour their ends, and then
// all expires at once.
var (
	ttls     = rapid.SampledFrom([]time.Duration{0, time.Second, 10 * time.Second, time.Minute, time.Hour, 3 * time.Hour})
	waits    = rapid.SampledFrom([]time.Duration{0, time.Millisecond, linger, 100 * time.Millisecond, 3 * time.Second, 40 * time.Second})
	pauses   = rapid.SampledFrom([]time.Duration{-time.Second, 0, time.Nanosecond, time.Second, 20 * time.Second, 2 * time.Hour})
	outcomes = rapid.SampledFrom([]vendors.Outcome{
		vendors.Accepted, vendors.Accepted, vendors.Accepted, vendors.TokenInvalid, vendors.TokenReplaced, vendors.Throttled,
		vendors.QuotaExhausted, vendors.Transient, vendors.Transient, vendors.Rejected, vendors.CredentialBad, 0, 99,
	})
	kinds     = rapid.SampledFrom([]answerKind{answered, answered, answered, answered, unanswered, timedOut, panicked})
	someClass = rapid.SampledFrom([]vendors.Class{vendors.ClassCall, vendors.ClassIM, vendors.ClassIM, vendors.ClassSystem, vendors.ClassMarketing})
	channels  = rapid.SampledFrom([]vendors.Channel{vendors.ChannelAlert, vendors.ChannelAlert, vendors.ChannelVoIP, vendors.ChannelBadge})
	orders    = rapid.SampledFrom([]uint64{1, 2, 3, 4, 5, 6})
	limits    = rapid.SampledFrom([]uint64{0, 0, 1, 3, 5, 250})
	few       = rapid.SampledFrom([]int{1, 2, 3, 4})
	rates     = rapid.SampledFrom([]float64{0, 0.5, 10, 500, 3000})
)

func drawAnswer(t *rapid.T) answer {
	a := answer{kind: kinds.Draw(t, "kind")}
	if a.kind == answered {
		a.res.Outcome = outcomes.Draw(t, "outcome")
		a.res.Scope = vendors.Scope(rapid.IntRange(0, 1).Draw(t, "scope"))
		a.res.RetryAfter = pauses.Draw(t, "retry after")
	}
	return a
}

func TestLaneKeepsItsPromises(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := Options{BreakerFailures: few.Draw(t, "failures"), PerSecond: rates.Draw(t, "rate"), Burst: few.Draw(t, "burst"), PerPush: rapid.Bool().Draw(t, "per push")}
		o.Quota.Zone = time.FixedZone("soon midnight", 22*3600+12*60+50) // in 30 s
		for c := range o.Quota.Limits {
			o.Quota.Limits[c] = limits.Draw(t, "limit")
		}
		r := newRig(t, o, few.Draw(t, "max")).coalesce(few.Draw(t, "batch"))
		r.slowDisk = rapid.Bool().Draw(t, "slow disk")
		commands := r.commands()
		for range 12 {
			t.Repeat(commands)
			r.replace(few.Draw(t, "max"))
		}
		r.slowDisk = false
		r.finish()
		r.checkRate()
	})
}

func (r *rig) commands() map[string]func(*rapid.T) {
	next := 0
	dispatch := func(t *rapid.T) {
		n := r.notification(someClass.Draw(t, "class"), ttls.Draw(t, "ttl"))
		n.Channel = channels.Draw(t, "channel")
		n.CollapseID = rapid.SampledFrom([]string{"", "", "x", "y"}).Draw(t, "collapse")
		n.Title = rapid.SampledFrom([]string{"", "", "x"}).Draw(t, "title")
		n.Token = rapid.SampledFrom([]string{"a", "b", "c", "d", "e", "f", "g"}).Draw(t, "token")
		next++
		d := &Dispatch{PushID: fmt.Sprint(next), Order: orders.Draw(t, "order"), N: n, Shared: rapid.IntRange(0, 3).Draw(t, "shared") > 0}
		r.enter(&push{d: d})
	}
	answer := func(t *rapid.T) {
		if n := len(r.flying); n > 0 {
			r.answerEach(rapid.IntRange(0, n-1).Draw(t, "i"), func() answer { return drawAnswer(t) })
		}
	}
	return map[string]func(*rapid.T){
		"dispatch": dispatch, "dispatch another": dispatch, "dispatch a third": dispatch,
		"answer": answer, "answer another": answer,
		"dispatch again": func(t *rapid.T) {
			if len(r.live) > 0 {
				p := rapid.SampledFrom(r.live).Draw(t, "push")
				r.enter(&push{d: &Dispatch{PushID: p.d.PushID, Order: p.d.Order, N: p.d.N}})
			}
		},
		"cancel": func(t *rapid.T) {
			if len(r.live) > 0 {
				r.cancel(rapid.SampledFrom(r.live).Draw(t, "push").d.PushID)
			}
		},
		"due": func(t *rapid.T) {
			if r.due.After(r.now) {
				r.advance(r.due.Sub(r.now))
			}
		},
		"commit": func(t *rapid.T) {
			if len(r.blocks) > 0 {
				r.commit(rapid.IntRange(0, 5).Draw(t, "fails") == 0)
			}
		},
		"wait": func(t *rapid.T) { r.advance(waits.Draw(t, "d")) },
	}
}

// finish lets the vendor accept all; every push must end.
func (r *rig) finish() {
	for steps := 0; len(r.live) > 0; steps++ {
		switch {
		case steps > 10_000:
			r.t.Fatalf("%d pushes do not end", len(r.live))
		case len(r.flying) > 0:
			r.answer(0, answer{res: vendors.Result{Outcome: vendors.Accepted}})
		default:
			r.advance(r.due.Sub(r.now))
		}
	}
}
