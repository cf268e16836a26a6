package quota

import (
	"fmt"
	"maps"
	"time"

	actorv1 "github.com/rouse-im/rouse/api/rouse/actor/v1"
	"github.com/rouse-im/rouse/internal/plant"
	"github.com/rouse-im/rouse/storage"
)

// sweepEvery is how often at most the records of past days are looked for.
const sweepEvery = 12 * time.Hour

// leader is what only the leader of the meta group keeps: the accounts with what
// is proposed and not yet committed; under Book.mu.
type leader struct {
	term    uint64 // its entries are of no other
	records map[id]*record
	swept   time.Time
}

// Lead makes this node the one that counts, in a term. All entries from before
// must be applied.
func (b *Book) Lead(term uint64, now time.Time) {
	b.seen.Lock()
	view := maps.Clone(b.view)
	b.seen.Unlock()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.leader = &leader{term: term, records: make(map[id]*record, len(view))}
	if plant.On(plant.QuotaLostOnFailover) {
		clear(view)
	}
	for i, r := range view {
		b.leader.records[i] = &r
	}
	b.sweep(now)
}

// Lose ends what Lead began.
func (b *Book) Lose() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.leader = nil
}

// Leads tells whether this node counts.
func (b *Book) Leads() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.leader != nil
}

// TakeHere is Account.Take at the leader.
func (b *Book) TakeHere(m *actorv1.QuotaTake, now time.Time, done func(taken uint64, err error)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	i, class, end := idOf(m.GetAccount()), int(m.GetClass()), time.UnixMilli(m.GetEndMs())
	r, err := b.record(i, class)
	if err != nil {
		done(0, err)
		return
	}
	n, began, err := r.take(class, m.GetN(), m.GetLimit(), end, now)
	if n == 0 || err != nil {
		done(0, err)
		return
	}
	b.write(i, r, func(err error) {
		if err != nil {
			go b.untake(r, class, n, end) // this may be within Propose, under the lock
			done(0, err)
			return
		}
		done(n, nil)
	})
	if began {
		b.sweep(now)
	}
}

// untake takes a block back that nobody got. It is not written: the next record
// of the account says so.
func (b *Book) untake(r *record, class int, n uint64, end time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r.giveBack(class, n, end)
}

// ReturnHere is Account.Return at the leader.
func (b *Book) ReturnHere(m *actorv1.QuotaReturn, done func(error)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	i, class := idOf(m.GetAccount()), int(m.GetClass())
	r, err := b.record(i, class)
	if err != nil || !r.giveBack(class, m.GetN(), time.UnixMilli(m.GetEndMs())) {
		done(err)
		return
	}
	b.write(i, r, done)
}

// ExhaustHere is Account.Exhaust at the leader.
func (b *Book) ExhaustHere(m *actorv1.QuotaExhaust, done func(error)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	i, class := idOf(m.GetAccount()), int(m.GetClass())
	r, err := b.record(i, class)
	if err != nil {
		done(err)
		return
	}
	var until time.Time
	if m.GetUntilMs() != 0 {
		until = time.UnixMilli(m.GetUntilMs())
	}
	r.exhaust(class, until, m.GetCode())
	b.write(i, r, done)
}

// record is that of an account, under mu.
func (b *Book) record(i id, class int) (*record, error) {
	switch {
	case b.leader == nil:
		return nil, fmt.Errorf("quota: %w", storage.ErrNotLeader)
	case class < 0 || class >= Classes:
		return nil, fmt.Errorf("quota: there is no class %d; this node is of another version than the one that asks", class)
	}
	r := b.leader.records[i]
	if r == nil {
		r = &record{}
		b.leader.records[i] = r
	}
	return r, nil
}

// write proposes a record; under mu, so that the last one is there last.
func (b *Book) write(i id, r *record, done func(error)) {
	b.o.Propose(b.leader.term, []storage.Mutation{{Op: storage.Set, Key: i.key(), Value: r.encode(nil)}}, done)
}

// sweep deletes the records of which nothing counts any more; under mu.
func (b *Book) sweep(now time.Time) {
	if now.Sub(b.leader.swept) < sweepEvery {
		return
	}
	b.leader.swept = now
	for i, r := range b.leader.records {
		if r.past(now) {
			// A record that is not deleted is swept by the next leader.
			b.o.Propose(b.leader.term, []storage.Mutation{{Op: storage.Delete, Key: i.key()}}, func(error) {})
			delete(b.leader.records, i)
		}
	}
}
