package lease

import (
	"context"
	"time"

	"github.com/rouse-im/rouse/actors"
)

const (
	// looks bounds how often in a ttl the leader looks for leases that ran out: it
	// does when the first of those that it knows can have.
	looks = 30
	// tellings is how often in a ttl signs of life are told to the leader.
	tellings = 5
	// maxSigns bounds the signs of one message, below 1 MiB.
	maxSigns = 1024
)

// Run ends leases if this node leads, else it tells the leader of signs of life,
// until ctx ends.
func (t *Table) Run(ctx context.Context) {
	timer := time.NewTimer(t.o.TTL / tellings)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		now := time.Now()
		rest := t.o.TTL / tellings // who begins to lead gives all leases a ttl
		switch {
		case t.Leads():
			t.Sweep(now)
			rest = min(rest, t.soonest(now))
		case t.o.Renew != nil:
			t.tell(now)
		}
		timer.Reset(max(rest, t.o.TTL/looks, time.Millisecond))
	}
}

// soonest is how long no lease can run out that is known now: signs of life only
// make it later.
func (t *Table) soonest(now time.Time) time.Duration {
	first := t.since(now)
	t.index.each(func(_ id, l *lease) { first = min(first, l.sign.Load()) })
	return time.Duration(first - t.since(now) + t.o.TTL.Nanoseconds())
}

// tell tells the leader of the signs of life that it does not know.
func (t *Table) tell(now time.Time) {
	at := t.since(now)
	var signs []Sign
	var leases []*lease
	flush := func() {
		told := leases
		t.o.Renew(signs, func(err error) {
			for _, l := range told {
				if err != nil {
					l.told.Store(0)
				}
			}
		})
		signs, leases = nil, nil
	}
	t.index.each(func(i id, l *lease) {
		sign := l.sign.Load()
		if sign <= l.told.Load() {
			return
		}
		l.told.Store(sign)
		signs = append(signs, Sign{App: i.app, Node: actors.Node{Name: i.name, Incarnation: l.incarnation}, Age: time.Duration(max(0, at-sign))})
		if leases = append(leases, l); len(leases) == maxSigns {
			flush()
		}
	})
	if len(leases) > 0 {
		flush()
	}
}
