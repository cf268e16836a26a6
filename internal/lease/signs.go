package lease

import (
	"context"
	"time"

	"github.com/rouse-im/rouse/actors"
)

const (
	// looks is how often in a ttl the leader looks for leases that ran out.
	looks = 30
	// tellings is how often in a ttl signs of life are told to the leader.
	tellings = 5
	// maxSigns bounds the signs of one message, below 1 MiB.
	maxSigns = 1024
)

// Run ends leases if this node leads, else it tells the leader of signs of life,
// until ctx ends.
func (t *Table) Run(ctx context.Context) {
	tick := time.NewTicker(max(time.Millisecond, t.o.TTL/looks))
	defer tick.Stop()
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := time.Now()
		switch {
		case t.Leads():
			t.Sweep(now)
		case n%(looks/tellings) == 0 && t.o.Renew != nil:
			t.tell(now)
		}
	}
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
