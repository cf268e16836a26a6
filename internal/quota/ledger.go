package quota

import (
	"errors"
	"time"
)

// errDay refuses a block of a day that is over here, or has not begun: the clock
// of the node that asked differs. It asks again.
var errDay = errors.New("quota: the block is not of this day by the leader's clock; it is asked for again")

const (
	// dayLeast is less than any day of any zone lasts: ends that are further apart
	// are of different days.
	dayLeast = 23 * time.Hour
	// clockSkew is how much earlier than here the day may begin on another node.
	clockSkew = 5 * time.Second
	// longest is more than is left of any day, and than any word of a vendor's holds:
	// what ends later was written by a clock that has been set back since.
	longest = 27 * time.Hour
)

// take counts n pushes of a class as used, or as many as the limit of the day
// that ends at end still has. began tells that this is the first of the day.
func (r *record) take(class int, n, limit uint64, end, now time.Time) (taken uint64, began bool, err error) {
	if r.end.Sub(now) > longest {
		r.end = end // what is used counts for this day
	}
	over := !now.Before(r.end)
	switch {
	case !now.Before(end) || !r.end.IsZero() && r.end.Sub(end) >= dayLeast:
		return 0, false, errDay
	case !over && end.Sub(r.end) >= dayLeast:
		if r.end.Sub(now) > clockSkew {
			return 0, false, errDay
		}
		over = true
	}
	if over {
		for c := range r.uses {
			r.uses[c].Used = 0
		}
	}
	r.end = end
	u := &r.uses[class]
	n = min(n, limit-min(u.Used, limit))
	u.Used += n
	return n, over, nil
}

// giveBack takes n off what is used, if the day is still that one.
func (r *record) giveBack(class int, n uint64, end time.Time) bool {
	if n == 0 || !end.Equal(r.end) {
		return false
	}
	u := &r.uses[class]
	u.Used -= min(n, u.Used)
	return true
}

// exhaust keeps that the vendor calls the quota of a class used up until then;
// zero = no longer.
func (r *record) exhaust(class int, until time.Time, code string) {
	u := &r.uses[class]
	u.Until, u.Code = until, code[:min(len(code), maxCode)]
}

// today is what is used now.
func (r record) today(now time.Time) [Classes]Use {
	for c := range r.uses {
		if !now.Before(r.end) {
			r.uses[c].Used = 0
		}
		if until := r.uses[c].Until; !now.Before(until) || until.Sub(now) > longest {
			r.uses[c].Until, r.uses[c].Code = time.Time{}, ""
		}
	}
	return r.uses
}
