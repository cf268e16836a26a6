// Package trace finds in the store who received a message and what a push id
// stands for. It reads what users have written; what became of a message is
// theirs to tell.
package trace

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rouse-im/rouse/actors/user"
	"github.com/rouse-im/rouse/storage"
)

// Bounds of one search.
const (
	// MaxPending is how many messages with pushes not ended are looked at, of all
	// shards; what is behind them is not found.
	MaxPending = 200_000
	// MaxOutcomes is how many outcome records are looked at for a push id; each
	// takes about a microsecond.
	MaxOutcomes = 5_000_000
)

// ErrFar means that a push id was not found among as many outcomes as one
// search looks at, and that there are more.
var ErrFar = errors.New("trace: not among the newest outcomes")

// Finder searches the shards that one node leads.
type Finder struct {
	Store *storage.Store
	// Leads tells whether this node leads a shard; the others are left to the
	// nodes that do. nil = it leads all.
	Leads func(shard uint16) bool
	// Outcomes is how many are looked at; 0 = MaxOutcomes.
	Outcomes int
}

// Found is a (message, user) pair.
type Found struct{ Message, User string }

// Message finds recipients of a message: those with pushes not ended, and those
// whose steps are kept; at most limit. It asks each shard for each day.
func (f *Finder) Message(ctx context.Context, app, message string, limit int, now time.Time) (users []string, err error) {
	seen := map[string]bool{}
	add := func(user string) bool {
		if !seen[user] {
			seen[user], users = true, append(users, user)
		}
		return len(users) < limit
	}
	today := storage.Day(now)
	for day := today; day+user.OutcomeDays >= today && len(users) < limit; day-- {
		for shard := range f.shards(ctx) {
			err := f.scan(ctx, storage.MessageTraces(shard, day, app, message), func(key, _ []byte) (bool, error) {
				k, err := storage.ParseTraceKey(key)
				return add(k.User), err
			})
			if err != nil {
				return nil, err
			}
			if len(users) == limit {
				return users, nil
			}
		}
	}
	err = f.pending(ctx, func(k *storage.OutboxKey, _ []byte) (bool, error) {
		return k.App != app || k.Message != message || add(k.User), nil
	})
	return users, errors.Join(err, ctx.Err())
}

// Push finds what a push id stands for; ok is false if no push of the kept days
// has it. A push id is a hash and no key: all pushes of the app are looked at,
// those that have not ended first, then from the newest day on.
func (f *Finder) Push(ctx context.Context, app, id string, now time.Time) (found Found, ok bool, err error) {
	check := func(message, who string, rec []byte) (more bool, err error) {
		p, _, err := user.DecodePending(message, string(rec))
		if err != nil {
			return false, err
		}
		if ok = p.Has(app, who, id); ok {
			found = Found{message, who}
		}
		return !ok, nil
	}
	err = f.pending(ctx, func(k *storage.OutboxKey, rec []byte) (bool, error) {
		if k.App != app {
			return true, nil
		}
		return check(k.Message, k.User, rec)
	})
	if err != nil || ok {
		return found, ok, err
	}
	left := cmp.Or(f.Outcomes, MaxOutcomes)
	today := storage.Day(now)
	for day := today; day+user.OutcomeDays >= today; day-- {
		for shard := range f.shards(ctx) {
			err := f.scan(ctx, storage.AppOutcomes(shard, day, app), func(key, rec []byte) (bool, error) {
				if left--; left < 0 {
					return false, ErrFar
				}
				k, err := storage.ParseOutcomeKey(key)
				if err != nil {
					return false, err
				}
				return check(k.Message, k.User, rec)
			})
			if err != nil || ok {
				return found, ok, err
			}
		}
	}
	return found, false, ctx.Err()
}

// pending looks at messages with pushes not ended, of all apps.
func (f *Finder) pending(ctx context.Context, fn func(*storage.OutboxKey, []byte) (more bool, err error)) error {
	left, more := MaxPending, true
	for shard := range f.shards(ctx) {
		err := f.scan(ctx, storage.OutboxRange(shard), func(key, rec []byte) (bool, error) {
			k, err := storage.ParseOutboxKey(key)
			if err != nil {
				return false, err
			}
			more, err = fn(&k, rec)
			left--
			return more && left > 0, err
		})
		if err != nil || !more || left == 0 {
			return err
		}
	}
	return nil
}

// shards are the numbers of the shards led here, until ctx ends.
func (f *Finder) shards(ctx context.Context) func(func(uint16) bool) {
	return func(yield func(uint16) bool) {
		for shard := uint16(1); shard <= f.Store.Shards() && ctx.Err() == nil; shard++ {
			if f.Leads != nil && !f.Leads(shard) {
				continue
			}
			if !yield(shard) {
				return
			}
		}
	}
}

// lookUp is how many records are read between two looks at the context.
const lookUp = 1024

func (f *Finder) scan(ctx context.Context, r storage.Range, fn func(key, value []byte) (more bool, err error)) error {
	var bad error
	n := 0
	err := f.Store.Scan(r, func(key, value []byte) bool {
		if n++; n%lookUp == 0 && ctx.Err() != nil {
			bad = ctx.Err()
			return false
		}
		more, err := fn(key, value)
		bad = err
		return more && err == nil
	})
	if err != nil || bad != nil {
		return fmt.Errorf("trace: %w", cmp.Or(err, bad))
	}
	return nil
}
