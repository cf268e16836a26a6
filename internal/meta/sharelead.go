package meta

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	actorv1 "github.com/rouse-im/rouse/api/rouse/actor/v1"
	"github.com/rouse-im/rouse/internal/quota"
	"github.com/rouse-im/rouse/storage"
)

// shareKind is the kind of shares in the catalogue family: s, app, notifier,
// vendor account; the value is a quota.Split.
const shareKind = 's'

// maxQuestions bounds the questions about shares that wait for the writing under
// way; more are refused and asked again a second later.
const maxQuestions = 1024

// errSuperseded ends a question of a node that has asked again.
var errSuperseded = errors.New("meta: the node has asked for its shares again")

// ShareLeader divides rates among nodes while this node leads the meta group. Its
// methods may be called concurrently.
type ShareLeader struct {
	store   *storage.Store
	propose func(term uint64, ms []storage.Mutation, done func(error))
	confirm func(term uint64, done func(error))
	limit   func(quota.Key) uint64
	lease   time.Duration

	mu     sync.Mutex
	term   uint64        // of shares
	shares *quota.Shares // nil = another node leads
	queue  []asked
	busy   bool // an entry is being written, or the leadership confirmed
}

type asked struct {
	q    quota.Question
	at   time.Time
	done func(*actorv1.ShareGrant, error)
}

// NewShareLeader makes one that does not lead. propose writes an entry of the meta
// group under a term of leadership, and refuses it under any other. confirm asks
// most voters of the group whether this node still leads it in a term, as
// replica.Engine.Confirm does. limit is the rate of an account in thousandths of a
// push per second, 0 = it has none. None of them blocks. pace is how many times
// longer than in general its leases are, see Shares.
func NewShareLeader(
	store *storage.Store, propose func(term uint64, ms []storage.Mutation, done func(error)), confirm func(term uint64, done func(error)), limit func(quota.Key) uint64, pace int,
) *ShareLeader {
	return &ShareLeader{store: store, propose: propose, confirm: confirm, limit: limit, lease: time.Duration(pace) * quota.ShareLease}
}

// Lead begins a term with what is stored; all entries from before must be applied.
func (l *ShareLeader) Lead(term uint64, now time.Time) error {
	stored := make(map[quota.Key]quota.Split)
	var bad error
	err := l.store.Scan(storage.CatalogueRange(shareKind), func(key, value []byte) bool {
		var parts [3]string
		if _, bad = storage.ParseCatalogueKey(key, parts[:]); bad != nil {
			return false
		}
		var split quota.Split
		split, bad = quota.ParseSplit(value)
		stored[quota.Key{App: parts[0], Notifier: parts[1], Account: parts[2]}] = split
		return bad == nil
	})
	if err := errors.Join(err, bad); err != nil {
		return fmt.Errorf("meta: reading the shares of rates: %w", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.term, l.shares = term, quota.NewShares(1|rand.Uint64(), l.lease, stored, l.limit, now) //nolint:gosec // not a secret
	return nil
}

// Lose ends what Lead began.
func (l *ShareLeader) Lose() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.shares = nil
}

// Ask answers a node when it is known that this node still led after it was asked:
// an entry that was proposed from then on is committed, or, where no share has to
// be written, most voters have confirmed the leadership from then on.
//
// That a confirmation is enough: those voters answered it before they voted for a
// later leader, whose term so began, and who so read what is durable and counts all
// of it as in use for a lease, after the question was asked. The node counts its
// lease from before that. What it is granted is durable, by an entry of this or an
// earlier term, so the later leader has read it. Thus what is granted under the
// earlier leadership is within what the later one takes for used, as long as it is
// used, however late the answer is. Who is the only voter is confirmed without
// asking: another node becomes one by an entry of his.
//
// Ask does not block; done is called once.
func (l *ShareLeader) Ask(m *actorv1.ShareRequest, done func(*actorv1.ShareGrant, error)) {
	l.mu.Lock()
	err := l.admit(asked{questionOf(m), time.Now(), done})
	l.mu.Unlock()
	if err != nil {
		done(nil, err)
		return
	}
	l.write()
}

func (l *ShareLeader) admit(a asked) error {
	switch {
	case l.shares == nil:
		return storage.ErrNotLeader
	case len(l.queue) >= maxQuestions:
		return storage.ErrBusy
	}
	l.queue = append(l.queue, a)
	return nil
}

// write proposes what the waiting questions lead to, one entry at a time, or has
// the leadership confirmed if they lead to nothing new.
func (l *ShareLeader) write() {
	l.mu.Lock()
	if l.busy || len(l.queue) == 0 {
		l.mu.Unlock()
		return
	}
	shares, term, queue := l.shares, l.term, l.queue
	l.queue = nil
	var ms []storage.Mutation
	var taken []asked
	var late []asked
	if shares != nil {
		for _, a := range queue {
			if shares.Ask(a.q, a.at) {
				taken = append(taken, a)
			} else {
				late = append(late, a)
			}
		}
		ms = mutations(shares.Plan(time.Now()))
		l.busy = true
	}
	l.mu.Unlock()
	end(late, errSuperseded)
	if shares == nil {
		end(queue, storage.ErrNotLeader)
		return
	}
	if len(ms) == 0 {
		l.confirm(term, func(err error) { l.written(shares, taken, err) })
		return
	}
	l.propose(term, ms, func(err error) { l.written(shares, taken, err) })
}

// written answers the questions of an entry, or of a confirmation, if this node
// still leads.
func (l *ShareLeader) written(shares *quota.Shares, taken []asked, err error) {
	l.mu.Lock()
	l.busy = false
	if err == nil && l.shares != shares {
		err = storage.ErrNotLeader // another leadership began, with what is stored
	}
	grants := make([]*actorv1.ShareGrant, len(taken))
	switch {
	case err == nil:
		shares.Written()
		for i, a := range taken {
			grants[i] = grantOf(a.q, shares)
		}
	case errors.Is(err, storage.ErrUnknown) && l.shares == shares:
		l.shares = nil // what is durable is not known until the next Lead
	default:
		shares.Dropped()
	}
	l.mu.Unlock()
	for i, a := range taken {
		if err != nil {
			a.done(nil, err)
		} else {
			a.done(grants[i], nil)
		}
	}
	if err == nil {
		l.write()
		return
	}
	l.mu.Lock()
	queue := l.queue
	l.queue = nil
	l.mu.Unlock()
	end(queue, err)
}

func end(all []asked, err error) {
	for _, a := range all {
		a.done(nil, err)
	}
}

func mutations(changes []quota.Change) (ms []storage.Mutation) {
	for _, c := range changes {
		m := storage.Mutation{Op: storage.Set, Key: storage.AppendCatalogueKey(nil, shareKind, c.App, c.Notifier, c.Account)}
		if len(c.Split) == 0 {
			m.Op = storage.Delete
		} else {
			m.Value = c.Split.Encode(nil)
		}
		ms = append(ms, m)
	}
	return ms
}

func keyOf(a *actorv1.QuotaAccount) quota.Key {
	return quota.Key{App: a.GetApp(), Notifier: a.GetNotifier(), Account: a.GetAccount()}
}

func accountOf(k quota.Key) *actorv1.QuotaAccount {
	return &actorv1.QuotaAccount{App: k.App, Notifier: k.Notifier, Account: k.Account}
}

func questionOf(m *actorv1.ShareRequest) quota.Question {
	q := quota.Question{Node: m.GetNode(), Run: m.GetRun(), Seq: m.GetSeq(), Epoch: m.GetEpoch()}
	for _, w := range m.GetWishes() {
		q.Wishes = append(q.Wishes, quota.Wish{Key: keyOf(w.GetAccount()), Demand: w.GetDemand(), Holds: w.GetHolds()})
	}
	return q
}

func grantOf(q quota.Question, shares *quota.Shares) *actorv1.ShareGrant {
	m := &actorv1.ShareGrant{LeaseMs: shares.Lease().Milliseconds(), Run: q.Run, Seq: q.Seq, Epoch: shares.Epoch()}
	for _, g := range shares.Grant(q) {
		m.Shares = append(m.Shares, &actorv1.Share{Account: accountOf(g.Key), Rate: g.Rate})
	}
	return m
}
