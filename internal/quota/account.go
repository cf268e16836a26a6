package quota

import (
	"sync"
	"time"

	actorv1 "github.com/rouse-im/rouse/api/rouse/actor/v1"
)

// Account is one vendor account, as one node sees it. The zero Account is kept
// in memory alone. Its methods may be called concurrently and do not wait for
// the leader; what they are given to call at the end must not block.
type Account struct {
	book *Book // nil = not stored
	id   id

	mu  sync.Mutex
	own record // of an account without a book
}

// Today tells what is used now, as far as this node knows.
func (a *Account) Today(now time.Time) [Classes]Use {
	if a.book != nil {
		return a.book.committed(a.id).today(now)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.own.today(now)
}

// Take counts n pushes of a class as used, or as many as the limit of the day
// that ends at end still has. done is told how many when that is durable; 0 when
// it is not going to be, or when nobody knows whether it is: then they are lost.
func (a *Account) Take(class int, n, limit uint64, end, now time.Time, done func(taken uint64, err error)) {
	if a.book == nil {
		a.mu.Lock()
		taken, _, err := a.own.take(class, n, limit, end, now)
		a.mu.Unlock()
		done(taken, err)
		return
	}
	m := &actorv1.QuotaTake{Account: a.id.wire(), Class: uint32(class), N: n, Limit: limit, EndMs: end.UnixMilli()} //nolint:gosec // below Classes
	if a.book.o.Asks == nil || a.book.Leads() {
		a.book.TakeHere(m, now, done)
	} else {
		a.book.o.Asks.Take(m, done)
	}
}

// Return gives back what was taken for the day that ends at end and is not going
// to be used. done is called when that is durable or not going to be; it is no
// matter of correctness.
func (a *Account) Return(class int, n uint64, end time.Time, done func()) {
	if n == 0 || a.book == nil {
		a.mu.Lock()
		a.own.giveBack(class, n, end)
		a.mu.Unlock()
		done()
		return
	}
	m := &actorv1.QuotaReturn{Account: a.id.wire(), Class: uint32(class), N: n, EndMs: end.UnixMilli()} //nolint:gosec // below Classes
	if a.book.o.Asks == nil || a.book.Leads() {
		a.book.ReturnHere(m, func(error) { done() })
	} else {
		a.book.o.Asks.Return(m, func(error) { done() })
	}
}

// Exhaust keeps that the vendor calls the quota of a class used up until then;
// zero = no longer.
func (a *Account) Exhaust(class int, until time.Time, code string) {
	if a.book == nil {
		a.mu.Lock()
		a.own.exhaust(class, until, code)
		a.mu.Unlock()
		return
	}
	m := &actorv1.QuotaExhaust{Account: a.id.wire(), Class: uint32(class), Code: code} //nolint:gosec // below Classes
	if !until.IsZero() {
		m.UntilMs = until.UnixMilli()
	}
	if a.book.o.Asks == nil || a.book.Leads() {
		a.book.ExhaustHere(m, func(error) {})
	} else {
		a.book.o.Asks.Exhaust(m)
	}
}
