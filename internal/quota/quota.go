// Package quota keeps what is used of the daily quotas that vendors grant to
// accounts, for all nodes together.
//
// It is written in blocks and not for each push: whoever sends asks the leader
// of the meta group for a block, which is durable as used before the first push
// of it leaves, and gives the rest of it back when he stops. A crash, and an
// answer that is lost, lose the rest: less is sent than was granted, never more.
package quota

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	actorv1 "github.com/rouse-im/rouse/api/rouse/actor/v1"
	"github.com/rouse-im/rouse/storage"
)

// Classes of pushes that are counted apart: call, IM, system, marketing.
const Classes = 4

// keyKind is the kind of accounts in the catalogue family: q, app, notifier,
// vendor account.
const keyKind = 'q'

// Use is what is known of one class.
type Use struct {
	// Used of the day, the blocks taken among it.
	Used uint64
	// Until is when the vendor, who called the quota used up, renews it; zero =
	// it did not. Code is what it said, at most 64 bytes.
	Until time.Time
	Code  string
}

// Asks are the ways to the leader of the meta group. They do not block, and
// call done once, in bounded time. An ask whose fate is unknown is not repeated:
// a block that was taken twice is lost, one that was given back twice would be
// sent twice.
type Asks struct {
	Take    func(m *actorv1.QuotaTake, done func(taken uint64, err error))
	Return  func(m *actorv1.QuotaReturn, done func(error))
	Exhaust func(m *actorv1.QuotaExhaust)
}

// Options of a Book.
type Options struct {
	Store *storage.Store
	// Asks is nil where this node leads from the start on.
	Asks *Asks
	// Propose writes an entry of the meta group under a term of leadership, and
	// refuses it under any other; see storage.Store.Propose. nil = the store commits
	// by itself.
	Propose func(term uint64, ms []storage.Mutation, done func(error))
	Logger  *slog.Logger
}

// Book knows all accounts. Its methods may be called concurrently.
type Book struct {
	o   Options
	all storage.Range

	seen     sync.Mutex
	view     map[id]record   // as committed
	accounts map[id]*Account // one for each credential that was used since the start

	mu     sync.Mutex
	leader *leader // nil = another node leads the meta group
}

type id struct{ app, notifier, account string }

func (i id) key() []byte {
	return storage.AppendCatalogueKey(nil, keyKind, i.app, i.notifier, i.account)
}

func (i id) wire() *actorv1.QuotaAccount {
	return &actorv1.QuotaAccount{App: i.app, Notifier: i.notifier, Account: i.account}
}

func idOf(a *actorv1.QuotaAccount) id { return id{a.GetApp(), a.GetNotifier(), a.GetAccount()} }

// Open reads what is stored and follows it from then on.
func Open(o Options) (*Book, error) {
	if o.Propose == nil {
		o.Propose = func(_ uint64, ms []storage.Mutation, done func(error)) { o.Store.Propose(storage.MetaShard, ms, done) }
	}
	b := &Book{o: o, all: storage.CatalogueRange(keyKind), accounts: make(map[id]*Account)}
	o.Store.Watch(b.apply)
	if err := b.load(); err != nil {
		return nil, fmt.Errorf("quota: open: %w", err)
	}
	if o.Asks == nil {
		b.Lead(0, time.Now())
	}
	return b, nil
}

// load takes what is stored in place of what is known.
func (b *Book) load() error {
	b.seen.Lock()
	defer b.seen.Unlock()
	view := make(map[id]record)
	var bad error
	err := b.o.Store.Scan(b.all, func(key, value []byte) bool {
		bad = see(view, storage.Mutation{Op: storage.Set, Key: key, Value: value})
		return bad == nil
	})
	if err := errors.Join(err, bad); err != nil {
		return err
	}
	b.view = view
	return nil
}

// apply takes committed entries of the meta group in, nil for a snapshot of it.
func (b *Book) apply(ms []storage.Mutation) {
	if ms == nil {
		if err := b.load(); err != nil {
			b.o.Logger.Error("quotas cannot be read after a snapshot; this node goes on with what it knew; restart it", "error", err)
		}
		return
	}
	for _, m := range ms {
		if !b.all.Contains(m.Key) {
			continue
		}
		b.seen.Lock()
		err := see(b.view, m)
		b.seen.Unlock()
		if err != nil {
			b.o.Logger.Error("a committed quota cannot be read", "error", err)
		}
	}
}

func see(view map[id]record, m storage.Mutation) error {
	var parts [3]string
	if _, err := storage.ParseCatalogueKey(m.Key, parts[:]); err != nil {
		return err
	}
	i := id{parts[0], parts[1], parts[2]}
	if m.Op != storage.Set {
		delete(view, i)
		return nil
	}
	r, err := parse(m.Value)
	if err == nil {
		view[i] = r
	}
	return err
}

// Account is that of an app's credential at its vendor; account names it there,
// so that a credential that changes the account starts anew.
func (b *Book) Account(app, notifier, account string) *Account {
	b.seen.Lock()
	defer b.seen.Unlock()
	i := id{app, notifier, account}
	a := b.accounts[i]
	if a == nil {
		a = &Account{book: b, id: i}
		b.accounts[i] = a
	}
	return a
}

func (b *Book) committed(i id) record {
	b.seen.Lock()
	defer b.seen.Unlock()
	return b.view[i]
}
