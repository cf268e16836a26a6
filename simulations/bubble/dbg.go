package bubble

import (
	"fmt"
	"time"
)

func (e *Engine) dbg() {
	for _, m := range e.machines {
		fmt.Printf("DBG %s now %v ahead %v\n", m.name, e.now(), time.Duration(m.ahead.Load()))
		for _, l := range m.run.Load().node.Lanes().All() {
			s := l.Stats()
			if s.Reserved > 0 {
				fmt.Printf("DBG   lane %s: reserved %d queued %v inflight %d breaker %v paused %v share %v\n", s.Notifier, s.Reserved, s.Queued, s.InFlight, s.Breaker, s.PausedUntil, s.NoShare)
				for _, q := range s.Quotas {
					fmt.Printf("DBG      %+v\n", q)
				}
			}
		}
	}
}
