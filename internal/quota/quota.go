// Package quota keeps what is used of the daily quotas that vendors grant to
// accounts, so that a restart counts on.
//
// It is written in blocks and not for each push: whoever sends takes a block,
// which is durable as used before the first push of it leaves, and gives the
// rest of it back when he stops. A crash loses the rest: less is sent than was
// granted, never more. Who takes need not be alone, so that several nodes can
// share an account.
package quota

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/rouse-im/rouse/storage"
)

// Classes of pushes that are counted apart: call, IM, system, marketing.
const Classes = 4

// keyKind is the kind of accounts in the catalogue family: q, app, notifier,
// vendor account.
const keyKind = 'q'

// sweepEvery is how often at most the records of past days are looked for.
const sweepEvery = 12 * time.Hour

// Use is what is known of one class.
type Use struct {
	// Used of the day, the blocks taken among it.
	Used uint64
	// Until is when the vendor, who called the quota used up, renews it; zero =
	// it did not. Code is what it said, at most 64 bytes.
	Until time.Time
	Code  string
}

// Book holds all accounts. Its methods may be called concurrently.
type Book struct {
	store *storage.Store

	mu       sync.Mutex
	accounts map[id]*Account // one for each credential that was used since the start
	swept    time.Time
}

type id struct{ app, notifier, account string }

// Open reads what is stored, and removes what is of the past.
func Open(store *storage.Store, now time.Time) (*Book, error) {
	b := &Book{store: store, accounts: make(map[id]*Account)}
	var bad error
	err := store.Scan(storage.CatalogueRange(keyKind), func(key, value []byte) bool {
		var parts [3]string
		if _, bad = storage.ParseCatalogueKey(key, parts[:]); bad != nil {
			return false
		}
		a := &Account{book: b, id: id{parts[0], parts[1], parts[2]}, stored: true}
		if a.record, bad = parse(value); bad != nil {
			return false
		}
		b.accounts[a.id] = a
		return true
	})
	if err := errors.Join(err, bad); err != nil {
		return nil, fmt.Errorf("quota: open: %w", err)
	}
	b.sweep(now)
	return b, nil
}

// Account is that of an app's credential at its vendor; account names it there,
// so that a credential that changes the account starts anew.
func (b *Book) Account(app, notifier, account string) *Account {
	b.mu.Lock()
	defer b.mu.Unlock()
	i := id{app, notifier, account}
	a := b.accounts[i]
	if a == nil {
		a = &Account{book: b, id: i}
		b.accounts[i] = a
	}
	return a
}

// sweep deletes the records of which nothing counts any more.
func (b *Book) sweep(now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if now.Sub(b.swept) < sweepEvery {
		return
	}
	b.swept = now
	for _, a := range b.accounts {
		a.mu.Lock()
		if a.stored && a.record.past(now) {
			// A record that the store refuses to delete is swept by the next start.
			b.store.Propose(storage.MetaShard, []storage.Mutation{{Op: storage.Delete, Key: a.key()}}, func(error) {})
			a.record, a.stored = record{}, false
		}
		a.mu.Unlock()
	}
}

// Account is one vendor account. The zero Account is kept in memory alone. Its
// methods may be called concurrently and do not wait for the disk; what they are
// given to call at the end must not block.
type Account struct {
	book *Book // nil = not stored
	id   id

	mu     sync.Mutex
	record record
	stored bool
}

// Today tells what is used now.
func (a *Account) Today(now time.Time) [Classes]Use {
	a.mu.Lock()
	defer a.mu.Unlock()
	uses := a.record.uses
	for c := range uses {
		if !now.Before(a.record.end) {
			uses[c].Used = 0
		}
		if !now.Before(uses[c].Until) {
			uses[c].Until, uses[c].Code = time.Time{}, ""
		}
	}
	return uses
}

// Take counts n pushes of a class as used, or as many as the limit of the day
// that ends at end still has. done is told how many when that is on disk, 0
// when it is not going to be.
func (a *Account) Take(class int, n, limit uint64, end, now time.Time, done func(taken uint64, err error)) {
	if a.take(class, n, limit, end, now, done) {
		a.book.sweep(now)
	}
}

// take tells whether a day began that has a book to sweep.
func (a *Account) take(class int, n, limit uint64, end, now time.Time, done func(uint64, error)) (began bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !now.Before(a.record.end) {
		for c := range a.record.uses {
			a.record.uses[c].Used = 0
		}
		began = a.book != nil
	}
	a.record.end = end
	u := &a.record.uses[class]
	n = min(n, limit-min(u.Used, limit))
	if n == 0 {
		done(0, nil)
		return began
	}
	u.Used += n
	a.write(func(err error) {
		if err != nil {
			// The store may have refused within this call, under the lock.
			go a.Return(class, n, end, func() {})
			done(0, err)
			return
		}
		done(n, nil)
	})
	return began
}

// Return gives back what was taken for the day that ends at end and is not going
// to be used. done is called when it is on disk or not going to be; it is no
// matter of correctness.
func (a *Account) Return(class int, n uint64, end time.Time, done func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if n == 0 || !end.Equal(a.record.end) {
		done()
		return
	}
	u := &a.record.uses[class]
	u.Used -= min(n, u.Used)
	a.write(func(error) { done() })
}

// Exhaust keeps that the vendor calls the quota of a class used up until then;
// zero = no longer.
func (a *Account) Exhaust(class int, until time.Time, code string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	u := &a.record.uses[class]
	u.Until, u.Code = until, code
	a.write(func(error) {})
}

// write sends the record to the disk; under mu, so that the last one is there last.
func (a *Account) write(done func(error)) {
	if a.book == nil {
		done(nil)
		return
	}
	a.stored = true
	a.book.store.Propose(storage.MetaShard, []storage.Mutation{{Op: storage.Set, Key: a.key(), Value: a.record.encode(nil)}}, done)
}

func (a *Account) key() []byte {
	return storage.AppendCatalogueKey(nil, keyKind, a.id.app, a.id.notifier, a.id.account)
}
