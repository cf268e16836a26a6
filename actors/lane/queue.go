package lane

import (
	"time"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/internal/plant"
)

// binding holds the pushes with one Order. One of them is in flight at a time.
// They go in the order of their dispatch, with two exceptions: a call passes
// what is no call, and a level whose quota is used up steps aside.
type binding struct {
	order    uint64
	lists    [levels]list
	inFlight *push
	hold     time.Time // the vendor throttles this device until then
	why      obstacle  // of hold

	// The binding waits in the ready heap, ranked by level and since, or in the
	// held heap, by wake; in neither while it has a push in flight.
	level level
	since uint64
	wake  time.Time // counted from the time of rank on
	place int
	held  bool
}

// list is a FIFO of the pushes of one level.
type list struct{ first, last *push }

func (b *binding) empty() bool {
	return b.inFlight == nil && b.lists == [levels]list{}
}

// insert keeps the list in the order of dispatch: a new push goes to the end, a
// repeated one to the front.
func (l *list) insert(p *push) {
	if l.first != nil && p.seq < l.first.seq && !plant.On(plant.BindingOrderBroken) {
		p.next, l.first.prev = l.first, p
		l.first = p
		return
	}
	if l.last == nil {
		l.first = p
	} else {
		p.prev, l.last.next = l.last, p
	}
	l.last = p
}

func (l *list) remove(p *push) {
	if p.prev == nil {
		l.first = p.next
	} else {
		p.prev.next = p.next
	}
	if p.next == nil {
		l.last = p.prev
	} else {
		p.next.prev = p.prev
	}
	p.prev, p.next = nil, nil
}

// heads are the next call and the next push that is none, leaving out levels
// that are paused; wake is when the first of these ends (zero = none is).
func (b *binding) heads(now time.Time, paused *[levels]time.Time) (call, rest *push, urgent level, wake time.Time) {
	urgent = levels
	for l := range levels {
		p := b.lists[l].first
		switch {
		case p == nil:
			continue
		case now.Before(paused[l]):
			wake = earlier(wake, paused[l])
			continue
		case l == levelCall:
			call = p
		case rest == nil || p.seq < rest.seq:
			rest = p
		}
		urgent = min(urgent, l)
	}
	return call, rest, urgent, wake
}

// pick is the push to send next and the most urgent level that waits behind it;
// without one, wake is when to look again.
func (b *binding) pick(now time.Time, paused *[levels]time.Time) (p *push, urgent level, wake time.Time) {
	if now.Before(b.hold) {
		return nil, 0, b.hold
	}
	call, rest, urgent, wake := b.heads(now, paused)
	for _, p := range [...]*push{call, rest} {
		if p == nil {
			continue
		}
		if !now.Before(p.notBefore) {
			return p, urgent, time.Time{}
		}
		wake = earlier(wake, p.notBefore)
	}
	return nil, 0, wake
}

// earlier is the earlier of two times, of which the zero one means never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// obstacle is why the binding as a whole waits; the reason is TTL if it does not.
func (b *binding) obstacle(now time.Time) obstacle {
	if now.Before(b.hold) {
		return b.why
	}
	if b.inFlight != nil && b.inFlight.why.reason != 0 {
		return b.inFlight.why
	}
	if _, first, _, _ := b.heads(now, &[levels]time.Time{}); first != nil && first.why.reason != 0 && now.Before(first.notBefore) {
		return first.why
	}
	return obstacle{reason: rousev1.Reason_REASON_TTL}
}

type collapseKey struct {
	order uint64
	id    string
}

// queue holds the pushes that wait, by binding, and knows which goes next, which
// wakes next and which expires next.
type queue struct {
	bindings map[uint64]*binding
	collapse map[collapseKey]*push // queued pushes with a CollapseID
	ready    heap[*binding]
	held     heap[*binding]
	expiry   heap[*push]
	paused   [levels]time.Time // quota used up until then
	quota    [levels]obstacle  // of paused
	counts   [levels]int       // queued
	spare    []*binding        // emptied, at most spareBindings
}

const spareBindings = 256

func newQueue() queue {
	place := func(b *binding) *int { return &b.place }
	return queue{
		bindings: map[uint64]*binding{},
		collapse: map[collapseKey]*push{},
		ready: heap[*binding]{place: place, before: func(a, b *binding) bool {
			return a.level < b.level || a.level == b.level && a.since < b.since
		}},
		held: heap[*binding]{place: place, before: func(a, b *binding) bool {
			return a.wake.Before(b.wake)
		}},
		expiry: heap[*push]{place: func(p *push) *int { return &p.expiry }, before: func(a, b *push) bool {
			return a.d.N.Expires.Before(b.d.N.Expires)
		}},
	}
}

// add queues a new or repeated push.
func (q *queue) add(p *push, now time.Time) {
	b := q.bindings[p.d.Order]
	if b == nil {
		b = q.newBinding(p.d.Order)
	}
	p.b = b
	b.lists[p.level].insert(p)
	q.counts[p.level]++
	q.expiry.push(p)
	if id := p.d.N.CollapseID; id != "" {
		q.collapse[collapseKey{b.order, id}] = p
	}
	q.rank(b, now)
}

// remove takes a queued push out; rank its binding afterwards.
func (q *queue) remove(p *push) {
	p.b.lists[p.level].remove(p)
	q.counts[p.level]--
	q.expiry.remove(p)
	if id := p.d.N.CollapseID; id != "" {
		delete(q.collapse, collapseKey{p.b.order, id})
	}
}

// sameCollapse is the queued push that would show in the same place as p.
func (q *queue) sameCollapse(p *push) *push {
	if p.d.N.CollapseID == "" {
		return nil
	}
	return q.collapse[collapseKey{p.d.Order, p.d.N.CollapseID}]
}

// rank puts a binding where it belongs after any change to it.
func (q *queue) rank(b *binding, now time.Time) {
	q.unrank(b)
	if b.inFlight != nil {
		return
	}
	p, urgent, wake := b.pick(now, &q.paused)
	switch {
	case p != nil:
		b.level, b.since = urgent, p.since
		q.ready.push(b)
	case b.empty() && !now.Before(b.hold):
		q.drop(b)
	default:
		b.wake, b.held = from(now, wake), true
		q.held.push(b)
	}
}

func (q *queue) unrank(b *binding) {
	if b.held {
		q.held.remove(b)
	} else {
		q.ready.remove(b)
	}
	b.held = false
}

// wake ranks the bindings whose pause has ended.
func (q *queue) wake(now time.Time) {
	for q.held.len() > 0 && !now.Before(q.held.top().wake) {
		q.rank(q.held.top(), now)
	}
}

// next is the push to send, nil = none is ready.
func (q *queue) next(now time.Time) *push {
	for q.ready.len() > 0 {
		b := q.ready.top()
		// A quota that ran out since the binding was ranked changes the choice.
		p, urgent, _ := b.pick(now, &q.paused)
		if p != nil && urgent == b.level && p.since == b.since {
			return p
		}
		q.rank(b, now)
	}
	return nil
}

func (q *queue) newBinding(order uint64) *binding {
	var b *binding
	if n := len(q.spare); n > 0 {
		b, q.spare = q.spare[n-1], q.spare[:n-1]
	} else {
		b = new(binding)
	}
	b.order = order
	q.bindings[order] = b
	return b
}

func (q *queue) drop(b *binding) {
	delete(q.bindings, b.order)
	*b = binding{}
	if len(q.spare) < spareBindings {
		q.spare = append(q.spare, b)
	}
}

// shrink is for an empty queue after a long one; bindings may remain on hold.
func (q *queue) shrink() {
	q.collapse = map[collapseKey]*push{}
	if len(q.bindings) == 0 {
		q.bindings = map[uint64]*binding{}
	}
}
