package lane

import (
	"math"
	"time"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/vendors"
)

// class is what vendors grant quotas for. Pushes that change the badge only are
// about chat messages and count as those.
type class uint8

const (
	classCall class = iota
	classIM
	classSystem
	classMarketing
	classes
)

var classOf = [levels]class{
	levelCall: classCall, levelIM: classIM, levelBadge: classIM, levelSystem: classSystem, levelMarketing: classMarketing,
}

// daily counts the pushes of a vendor's day by class, and keeps those over the
// bound back until the next. Of a class with a bound no push leaves that is not
// covered by a block: a number of pushes that is on disk as used.
type daily struct {
	zone       *time.Location
	probe      time.Duration // 0 = never
	start, end time.Time     // of the day as far as this lane was there
	uses       [classes]use
	blockEffects
}

// use is what is known of one class.
type use struct {
	limit uint64 // 0 = none
	used  uint64 // of the day
	left  uint64 // of the blocks taken
	owed  uint64 // of used: sent while there was no limit, not on disk
	asked uint64 // block that is being taken; 0 = none is
	spent bool   // no more blocks are to be had
	retry time.Time

	// until is when the vendor, who called the quota used up at said, renews it.
	until, said time.Time
	code        string
	probeAt     time.Time
}

// blockEffects are what the shell has to do for the account.
type blockEffects struct {
	takes   []block
	returns []block
	words   []class // whose until changed
}

// block is a number of pushes of a class of the day that ends at end.
type block struct {
	class class
	n     uint64
	limit uint64
	end   time.Time
}

func (e *blockEffects) reset() {
	*e = blockEffects{takes: e.takes[:0], returns: e.returns[:0], words: e.words[:0]}
}

const (
	// blockShare of the limit is a block, at least 1 push and at most blockMax:
	// what a crash may lose of the day.
	blockShare = 100
	blockMax   = 10_000
	// blockRetry is the pause after a block could not be written.
	blockRetry = time.Second
)

// set takes new bounds over. A class that gets another bound, which is what an
// operator does when the vendor granted one, is asked for again.
func (q *daily) set(o Quota, now time.Time) {
	if q.zone != nil && q.zone.String() != o.Zone.String() {
		q.giveUpAll()
		for c := range q.uses {
			q.uses[c].asked = 0
		}
		q.end = midnight(now, o.Zone)
	}
	q.zone, q.probe = o.Zone, o.Probe
	for c := range q.uses {
		u, limit := &q.uses[c], o.Limits[c]
		if u.limit == limit {
			continue
		}
		u.limit, u.spent, u.retry = limit, false, time.Time{}
		if u.used+u.left > limit {
			q.giveUp(class(c), min(u.left, u.used+u.left-limit))
		}
		if now.Before(u.until) {
			q.word(class(c), time.Time{}, "")
		}
	}
}

// roll begins a new day when the vendor does.
func (q *daily) roll(now time.Time) {
	if now.Before(q.end) {
		return
	}
	first := q.end.IsZero()
	q.start, q.end = now, midnight(now, q.zone)
	if first {
		return // what is used is the account's of today
	}
	for c := range q.uses {
		u := &q.uses[c]
		*u = use{limit: u.limit, until: u.until, said: u.said, code: u.code, probeAt: u.probeAt}
	}
}

// setBack tells that the clock was set back, into a day before this one.
func (q *daily) setBack(now time.Time) bool {
	if q.start.IsZero() || !now.Round(0).Before(q.start.Round(0)) {
		return false
	}
	q.start = now // not to be asked again
	return midnight(now, q.zone).Before(q.end)
}

// closed tells until when no push of the class may go, and why; zero = one may,
// or may ask for a block.
func (q *daily) closed(c class, now time.Time) (time.Time, obstacle) {
	u := &q.uses[c]
	if now.Before(u.until) {
		at := u.until
		if q.probe > 0 {
			at = earlier(at, u.probeAt)
		}
		if now.Before(at) {
			return at, obstacle{rousev1.Reason_REASON_VENDOR_QUOTA, u.code}
		}
	}
	switch {
	case u.limit == 0 || u.left > 0:
		return time.Time{}, obstacle{}
	case u.spent:
		return q.end, obstacle{reason: rousev1.Reason_REASON_NOTIFIER_OUT_OF_QUOTA}
	case u.asked > 0:
		return q.end, obstacle{reason: rousev1.Reason_REASON_TTL} // until granted says otherwise
	case now.Before(u.retry):
		return u.retry, obstacle{reason: rousev1.Reason_REASON_TTL}
	}
	return time.Time{}, obstacle{}
}

// open tells whether a push of the class may go now. If only a block is missing
// it is asked for.
func (q *daily) open(c class, now time.Time) bool {
	if until, _ := q.closed(c, now); now.Before(until) {
		return false
	}
	q.ask(c, now)
	u := &q.uses[c]
	return u.limit == 0 || u.left > 0
}

// more is how many others may go with a push that goes now; a probe goes alone.
func (q *daily) more(c class, now time.Time) int {
	switch u := &q.uses[c]; {
	case now.Before(u.until):
		return 0
	case u.limit == 0:
		return math.MaxInt32
	default:
		return int(min(u.left, math.MaxInt32))
	}
}

// ask asks for a block when half of the last one is gone, so that in general the
// next one is there in time. Not more than one block is ever taken and not used.
func (q *daily) ask(c class, now time.Time) {
	u := &q.uses[c]
	size := min(max(1, u.limit/blockShare), blockMax)
	if u.limit == 0 || u.asked > 0 || u.spent || now.Before(u.retry) || u.left > size/2 {
		return
	}
	u.asked = u.owed + size - u.left
	q.takes = append(q.takes, block{c, u.asked, u.limit, q.end})
}

// giveUpAll is for a lane that stops or leaves its account.
func (q *daily) giveUpAll() {
	for c := range q.uses {
		q.giveUp(class(c), q.uses[c].left)
	}
}

// spend counts a push that goes now.
func (q *daily) spend(c class, now time.Time) {
	u := &q.uses[c]
	u.used++
	if u.limit == 0 {
		u.owed++
	} else {
		u.left--
	}
	if now.Before(u.until) {
		u.probeAt = now.Add(q.probe)
	}
}

// granted takes the answer to ask: b.n were taken, fewer when there are no more.
func (q *daily) granted(b block, err error, now time.Time) {
	u := &q.uses[b.class]
	if !b.end.Equal(q.end) || u.asked == 0 {
		// Of a day that is over, or from before the zone changed.
		if b.n > 0 {
			q.returns = append(q.returns, b)
		}
		return
	}
	switch {
	case err != nil:
		u.retry = now.Add(blockRetry)
	case b.n < u.asked:
		u.spent = u.limit == b.limit
	}
	u.asked = 0
	paid := min(b.n, u.owed)
	u.owed -= paid
	u.left += b.n - paid
	if u.used+u.left > u.limit {
		q.giveUp(b.class, min(u.left, u.used+u.left-u.limit))
	}
}

// giveUp gives n of what is left of the blocks back.
func (q *daily) giveUp(c class, n uint64) {
	if n > 0 {
		q.uses[c].left -= n
		q.returns = append(q.returns, block{class: c, n: n, end: q.end})
	}
}

// refused takes a push back that the vendor said it did not take.
func (q *daily) refused(c class, sentAt time.Time) {
	u := &q.uses[c]
	if sentAt.Before(q.start) || u.used == 0 {
		return
	}
	u.used--
	switch {
	case u.owed > 0:
		u.owed--
	case u.limit > 0:
		u.left++
	}
}

// exhaust notes that the vendor calls the quota used up, for as long as it asked
// for, else until its midnight.
func (q *daily) exhaust(c class, asked time.Duration, code string, now time.Time) {
	u := &q.uses[c]
	u.said, u.probeAt = now, now.Add(q.probe)
	if until := now.Add(clampRetryAfter(asked, q.end.Sub(now), quotaPauseMax)); until.After(u.until) {
		q.word(c, until, code)
	}
}

// taken notes that the vendor took a push sent at sentAt: there is a quota again.
func (q *daily) taken(c class, sentAt, now time.Time) {
	if u := &q.uses[c]; now.Before(u.until) && sentAt.After(u.said) {
		q.word(c, time.Time{}, "")
	}
}

func (q *daily) word(c class, until time.Time, code string) {
	q.uses[c].until, q.uses[c].code = until, code
	q.words = append(q.words, c)
}

// stats tells how the quotas stand.
func (q *daily) stats(now time.Time) (all [classes]QuotaUse) {
	for c := range q.uses {
		u, s := &q.uses[c], &all[c]
		*s = QuotaUse{Class: vendors.ClassCall + vendors.Class(c), Used: u.used, Limit: u.limit, ResetsAt: q.end}
		switch {
		case now.Before(u.until):
			s.ExhaustedUntil, s.Reason, s.Code = u.until, rousev1.Reason_REASON_VENDOR_QUOTA, u.code
		case u.limit > 0 && u.left == 0 && u.spent:
			s.ExhaustedUntil, s.Reason = q.end, rousev1.Reason_REASON_NOTIFIER_OUT_OF_QUOTA
		}
	}
	return all
}
