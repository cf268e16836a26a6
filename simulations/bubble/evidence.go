package bubble

import (
	"sync"
	"time"

	"github.com/rouse-im/rouse/simulations"
	"github.com/rouse-im/rouse/simulations/checker"
	"github.com/rouse-im/rouse/storage"
)

// leaders write down which run of a node led which shard, and when.
type leaders struct {
	mu  sync.Mutex
	all []checker.Lead
}

// observe a run until it ends.
func (e *Engine) observe(p *process) {
	tick := time.NewTicker(checker.LeadSlack.Duration())
	defer tick.Stop()
	open := make([]checker.Lead, e.o.Shards+1) // To = 0: it does not lead
	end := func(shard int) {
		if open[shard].To == 0 {
			return
		}
		e.leaders.mu.Lock()
		e.leaders.all = append(e.leaders.all, open[shard])
		e.leaders.mu.Unlock()
		open[shard] = checker.Lead{}
	}
	for {
		now := e.now() + early
		for shard := 1; shard <= e.o.Shards; shard++ {
			term, leads := p.node.Term(uint16(shard)) //nolint:gosec // there are few
			if !leads || open[shard].Term != term {
				end(shard)
			}
			if leads {
				if open[shard].To == 0 {
					open[shard] = checker.Lead{By: p.name, Shard: uint16(shard), Term: term, From: now} //nolint:gosec // there are few
				}
				open[shard].To = now
			}
		}
		select {
		case <-tick.C:
			continue
		case <-p.dead:
		case <-e.over:
		}
		for shard := range open {
			end(shard)
		}
		return
	}
}

// early is added to offsets while they may be 0 or less, and have to be more.
const early = simulations.Offset(beforehand / time.Millisecond)

// witness adds to the history what is known of who sent what.
func (e *Engine) witness(h *checker.History) {
	e.leaders.mu.Lock()
	for _, l := range e.leaders.all {
		l.From, l.To = l.From-early, l.To-early
		h.Leads = append(h.Leads, l)
	}
	e.leaders.mu.Unlock()
	user := map[string]string{}
	for i := range h.Outcomes {
		user[h.Outcomes[i].PushID] = h.Outcomes[i].User
	}
	for i := range h.Pushes {
		if u := user[h.Pushes[i].PushID]; u != "" {
			h.Pushes[i].Shard = storage.ShardOf(appID, u, uint16(e.o.Shards)) //nolint:gosec // there are few
		}
	}
}
