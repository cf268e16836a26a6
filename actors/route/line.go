package route

import (
	"sync/atomic"
	"time"
)

// line is effects that are carried out one after the other, so that requests keep
// their order: those to the local shards, or to one address. A message to another
// node may make the library open a connection, and nothing says for how long that
// holds up the sender; so each address has its line, and a goroutine while there is
// something in it.
type line struct {
	to      string // empty = the local shards
	effects []effect
	spare   []effect
	busy    bool          // somebody carries them out,
	since   time.Time     // these since then,
	warned  bool          // which was complained about
	shard   atomic.Uint32 // of the one in hand
}

const (
	// batchOf effects to local shards are carried out by whoever caused them; more
	// go to a goroutine of their own, so that no caller works for others without end.
	batchOf = 256
	// standstill is how long a line may take for what it took in hand; twice the
	// longest attempt.
	standstill = 2 * attemptMax
)

// carry empties a line, under the lock but for the doing itself. After about limit
// effects another goroutine goes on; 0 = no limit.
func (r *Router) carry(l *line, limit int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for n := 0; len(l.effects) > 0; {
		if limit > 0 && n >= limit {
			go r.carry(l, 0)
			return
		}
		list := l.effects
		l.effects, l.spare = l.spare[:0], nil
		l.since, l.warned = time.Now(), false
		r.mu.Unlock()
		for i := range list {
			l.shard.Store(uint32(list[i].shard))
			r.do(&list[i])
		}
		n += len(list)
		clear(list)
		r.mu.Lock()
		if cap(list) <= 4*batchOf {
			l.spare = list[:0]
		}
	}
	if l.busy = false; l.to != "" {
		delete(r.out, l.to)
	}
}

// complain tells once of each line that stands still.
func (r *Router) complain(now time.Time) {
	r.complainOf(&r.here, "handing to the local shard", now)
	for _, l := range r.out {
		r.complainOf(l, "sending", now)
	}
}

func (r *Router) complainOf(l *line, stage string, now time.Time) {
	if !l.busy || l.warned || l.since.IsZero() || now.Sub(l.since) < standstill {
		return
	}
	l.warned = true
	r.o.Logger.Warn("a request to a shard stands still on its way; what follows it is answered as UNAVAILABLE",
		"stage", stage, "shard", l.shard.Load(), "to", l.to, "for", now.Sub(l.since), "waiting", len(l.effects))
}
