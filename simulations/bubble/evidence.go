package bubble

import (
	"cmp"
	"sync"
	"time"

	"github.com/rouse-im/rouse/simulations"
	"github.com/rouse-im/rouse/simulations/checker"
	"github.com/rouse-im/rouse/storage"
)

// leaders write down which run of a node led which shard, and when; 0 is the meta group.
type leaders struct {
	mu   sync.Mutex
	open map[tenure]checker.Lead
	dead map[string]bool // runs that ended: what still runs of them leads nothing
	all  []checker.Lead
}

// tenure of a run that leads a shard.
type tenure struct {
	run   string
	shard uint16
}

// led is told by a run that it leads a group in a term, or no longer. It does not
// block.
func (e *Engine) led(run string, group uint16, term uint64, leads bool) {
	now, l, at := e.now()+early, &e.leaders, tenure{run, group}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.end(at, now)
	if leads && !l.dead[run] {
		l.open[at] = checker.Lead{By: run, Shard: group, Term: term, From: now}
	}
}

// died ends what a run led.
func (e *Engine) died(run string) {
	now, l := e.now()+early, &e.leaders
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dead[run] = true
	for at := range l.open {
		if at.run == run {
			l.end(at, now)
		}
	}
}

func (l *leaders) end(at tenure, now simulations.Offset) {
	if lead, ok := l.open[at]; ok {
		lead.To = now
		l.all = append(l.all, lead)
		delete(l.open, at)
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
		if u := cmp.Or(user[h.Pushes[i].PushID], e.vendors.receivers[h.Pushes[i].PushID]); u != "" {
			h.Pushes[i].Shard = storage.ShardOf(appID, u, uint16(e.o.Shards)) //nolint:gosec // there are few
		}
	}
}
