package client

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

const (
	firstRepeat = 50 * time.Millisecond
	mostRepeat  = 5 * time.Second
)

// item is one event from Send until its answer.
type item struct {
	event    *rousev1.Event
	done     func(*rousev1.ItemResult) // nil once answered
	size     int64                     // encoded bytes and overhead, as counted in the buffer
	ordinal  uint64                    // place in the order of Send
	queued   time.Time
	deadline time.Time
	// after a refusal:
	refusals int
	refused  *rousev1.ItemResult
	notYet   time.Time // not to be repeated before
}

// batch is a group of events under way.
type batch struct {
	seq   uint64
	items []*item
	sent  time.Time // on this connection; zero = to be sent (again)
}

// answer is an item with the result that its sender is to be told.
type answer struct {
	done   func(*rousev1.ItemResult)
	size   int64
	result *rousev1.ItemResult
}

// hold sums up the events of one user in again.
type hold struct {
	count int
	until time.Time // none of them is repeated later
}

// book keeps every event that is not answered, in order: refused ones that
// wait for their repetition, fresh ones, and batches under way. It is pure: the
// caller brings the time and the lock. Each event is in one place.
type book struct {
	again    []*item // by ordinal
	fresh    []*item // by ordinal
	fly      []*batch
	held     map[string]hold // by user with events in again: fresh ones wait for them
	count    int             // events without an answer
	bytes    int64           // sizes of fresh, to see when a batch is full
	ordinal  uint64
	seq      uint64
	random   func() float64
	deadline time.Duration
	heard    time.Time // when the last batch was answered
}

func newBook(deadline time.Duration, random func() float64) *book {
	return &book{held: map[string]hold{}, random: random, deadline: deadline}
}

// add takes an event in and reports whether next may say something new.
func (b *book) add(ev *rousev1.Event, size int64, done func(*rousev1.ItemResult), now time.Time) bool {
	b.ordinal++
	b.fresh = append(b.fresh, &item{
		event: ev, done: done, size: size, ordinal: b.ordinal, queued: now, deadline: now.Add(b.deadline),
	})
	b.bytes += size
	b.count++
	n := len(b.fresh)
	return n == 1 || n == maxBatchEvents || b.bytes >= maxBatchBytes && b.bytes-size < maxBatchBytes
}

// next returns a batch to send now, marked as sent, or nil and when to ask
// again; zero means not before something else happens. At most window batches are under way.
func (b *book) next(now time.Time, window int, linger time.Duration) (*batch, time.Time) {
	flying := 0
	for _, f := range b.fly {
		if f.sent.IsZero() {
			break // sent ones come first
		}
		flying++
	}
	if flying >= window {
		return nil, time.Time{}
	}
	if flying < len(b.fly) { // left from a lost connection
		f := b.fly[flying]
		f.sent = now
		return f, time.Time{}
	}
	full := len(b.fresh) >= maxBatchEvents || b.bytes >= maxBatchBytes
	if at := b.due(now, linger, full || flying == 0); at.IsZero() || at.After(now) {
		return nil, at
	}
	items := b.pick(now)
	if len(items) == 0 {
		return nil, b.due(now, linger, true)
	}
	b.seq++
	f := &batch{seq: b.seq, items: items, sent: now}
	b.fly = append(b.fly, f)
	return f, time.Time{}
}

// due tells from when on there is something to pick; zero = there is nothing.
func (b *book) due(now time.Time, linger time.Duration, eager bool) time.Time {
	var at time.Time
	if len(b.fresh) > 0 {
		at = b.fresh[0].queued
		if !eager {
			at = at.Add(linger)
		}
	}
	for _, it := range b.again {
		if at.IsZero() || it.notYet.Before(at) {
			at = it.notYet
		}
		if !at.After(now) {
			break
		}
	}
	return at
}

// load is a batch in the making.
type load struct {
	items      []*item
	size       int64
	deliveries int
}

// take adds it, unless that would make the batch too big.
func (l *load) take(it *item) bool {
	size, deliveries := l.size+it.size, l.deliveries+max(1, len(it.event.GetMessage().GetRecipients()))
	full := len(l.items) >= maxBatchEvents || size > maxBatchBytes || deliveries > maxBatchDeliveries
	if full && len(l.items) > 0 {
		return false
	}
	l.items, l.size, l.deliveries = append(l.items, it), size, deliveries
	return true
}

// pick takes out the events of the next batch: first the refused ones whose
// pause is over, then fresh ones. No event overtakes an earlier one of its user.
func (b *book) pick(now time.Time) []*item {
	var l load
	if len(b.again) > 0 && !b.pickAgain(&l, now) {
		return l.items
	}
	n := 0
	for ; n < len(b.fresh); n++ {
		it := b.fresh[n]
		if len(b.held) > 0 && anyUser(it.event, func(u string) bool { return b.held[u].count > 0 }) {
			eachUser(it.event, func(u string) { it.notYet = later(it.notYet, b.held[u].until) })
			b.hold(it)
		} else if !l.take(it) {
			break
		}
		b.bytes -= it.size
	}
	clear(b.fresh[:n])
	b.fresh = b.fresh[n:]
	return l.items
}

// pickAgain reports false when the batch is full.
func (b *book) pickAgain(l *load, now time.Time) bool {
	passed := map[string]time.Time{} // by user passed over: when his turn comes
	kept, room := b.again[:0], true
	for _, it := range b.again {
		eachUser(it.event, func(u string) { it.notYet = later(it.notYet, passed[u]) })
		room = room && (it.notYet.After(now) || l.take(it))
		if room && !it.notYet.After(now) {
			b.release(it)
			continue
		}
		eachUser(it.event, func(u string) { passed[u] = it.notYet })
		kept = append(kept, it)
	}
	clear(b.again[len(kept):])
	b.again = kept
	return room
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// hold files an event under again, in the order of Send.
func (b *book) hold(it *item) {
	at, _ := slices.BinarySearchFunc(b.again, it.ordinal, func(h *item, o uint64) int { return cmp.Compare(h.ordinal, o) })
	b.again = slices.Insert(b.again, at, it)
	eachUser(it.event, func(u string) {
		h := b.held[u]
		h.count++
		h.until = later(h.until, it.notYet)
		b.held[u] = h
	})
}

func (b *book) release(it *item) {
	eachUser(it.event, func(u string) {
		h := b.held[u]
		if h.count--; h.count <= 0 {
			delete(b.held, u)
			return
		}
		b.held[u] = h
	})
}

// settle takes the results of a batch and returns the answers that are final.
// The error means that the peer does not speak the protocol.
func (b *book) settle(r *rousev1.BatchResult, now time.Time) ([]answer, error) {
	at := slices.IndexFunc(b.fly, func(f *batch) bool { return f.seq == r.GetSeq() && !f.sent.IsZero() })
	if at < 0 {
		return nil, fmt.Errorf("result for batch %d, which is not under way", r.GetSeq())
	}
	f := b.fly[at]
	if len(r.GetItems()) != len(f.items) {
		return nil, fmt.Errorf("batch %d: %d results for %d events", f.seq, len(r.GetItems()), len(f.items))
	}
	b.fly = slices.Delete(b.fly, at, at+1)
	b.heard = now
	var answers []answer
	for i, it := range f.items {
		if it.done == nil {
			continue // given up while under way
		}
		result := r.GetItems()[i]
		if result.GetStatus() == rousev1.ItemStatus_ITEM_STATUS_REFUSED && result.GetError().GetTemporary() {
			it.refusals++
			it.refused = result
			it.notYet = now.Add(backoff(it.refusals, firstRepeat, mostRepeat, b.random()))
			if it.notYet.Before(it.deadline) {
				b.hold(it)
				continue
			}
		}
		answers = append(answers, b.finish(it, result))
	}
	return answers, nil
}

// lost says that the connection is gone: what is under way is to be sent again,
// in the same batches and order, without what was given up.
func (b *book) lost() {
	b.fly = slices.DeleteFunc(b.fly, func(f *batch) bool {
		f.sent = time.Time{}
		f.items = slices.DeleteFunc(f.items, func(it *item) bool { return it.done == nil })
		return len(f.items) == 0
	})
}

// expire gives up what is past its deadline. Items under way keep their place
// in the batch until it is answered or lost.
func (b *book) expire(now time.Time, fault string) (answers []answer) {
	late := func(it *item) bool { return !it.deadline.After(now) }
	n := prefix(b.fresh, late)
	for _, it := range b.fresh[:n] {
		b.bytes -= it.size
		answers = append(answers, b.finish(it, unanswered(fault)))
	}
	b.fresh = slices.Delete(b.fresh, 0, n)
	n = prefix(b.again, late)
	for _, it := range b.again[:n] {
		b.release(it)
		if it.refused == nil {
			it.refused = unanswered(fault)
		}
		answers = append(answers, b.finish(it, it.refused))
	}
	b.again = slices.Delete(b.again, 0, n)
	for _, f := range b.fly {
		for _, it := range f.items {
			if it.done != nil && late(it) {
				answers = append(answers, b.finish(it, unanswered(fault)))
			}
		}
	}
	return answers
}

// prefix counts the leading items for which f holds. Deadlines rise with ordinals.
func prefix(items []*item, f func(*item) bool) int {
	if n := slices.IndexFunc(items, func(it *item) bool { return !f(it) }); n >= 0 {
		return n
	}
	return len(items)
}

// oldest is when the batch was sent that has waited longest; zero = none is under way.
func (b *book) oldest() (at time.Time) {
	for _, f := range b.fly {
		if !f.sent.IsZero() && (at.IsZero() || f.sent.Before(at)) {
			at = f.sent
		}
	}
	return at
}

// patience is how many times the answer timeout one batch may take while others
// are answered: a shard that waits for its leader holds up the batches with its
// users, and their repetition elsewhere would help nobody.
const patience = 5

// silent tells whether the engine is to be taken for dead: whether it has answered
// nothing for the timeout, or one batch not for a few times as long.
func (b *book) silent(now time.Time, timeout time.Duration) bool {
	at := b.oldest()
	if at.IsZero() {
		return false
	}
	since := now.Sub(at)
	return since >= timeout && now.Sub(b.heard) >= timeout || since >= patience*timeout
}

func (b *book) finish(it *item, result *rousev1.ItemResult) answer {
	a := answer{done: it.done, size: it.size, result: result}
	it.done = nil
	b.count--
	return a
}
