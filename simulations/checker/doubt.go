package checker

import (
	"cmp"
	"slices"

	"github.com/rouse-im/rouse/simulations"
)

// Doubt takes back the answers of pushes that were sent again, if whoever had the
// answer may not have made it durable before another took over: an answer that
// is not durable is none. Where it is known who sent what and who led when,
// that is so if the leadership ended, or the run died, while the outcome was
// being written, also if the same run was elected again, or if who sends again was
// deposed and cannot know it yet; else if a node lost
// leaderships, or it or the vendor failed, or less than about from that. Engines call
// it before Run.
func (h *History) Doubt(about simulations.Offset) {
	last := map[[2]string]*Push{}
	slices.SortStableFunc(h.Pushes, func(a, b Push) int { return cmp.Compare(a.At, b.At) })
	for i := range h.Pushes {
		p := &h.Pushes[i]
		key := [2]string{p.PushID, p.Token}
		if before := last[key]; before != nil && h.doubtful(before, p, about) {
			before.Answer = "none"
		}
		last[key] = p
	}
}

func (h *History) doubtful(before, again *Push, about simulations.Offset) bool {
	if before.By != "" && before.Shard > 0 && len(h.Leads) > 0 {
		return h.lostBefore(before, again, about) || h.deposed(before, again)
	}
	if slices.ContainsFunc(h.Moved, func(m Moved) bool { return before.At >= m.From-about && before.At <= m.To+about }) {
		return true
	}
	return slices.ContainsFunc(h.Faults, func(f simulations.Fault) bool {
		return before.At >= f.At-about && before.At <= f.At+f.For+about && (len(f.Nodes) > 0 || f.Vendor == before.Vendor)
	})
}

// lostBefore tells whether a push was sent again under a later leadership, and who
// sent it first lost its own before the outcome was surely durable: about after the
// answer, or after the end of a fault of nodes in which commits may take as long as
// it lasts.
func (h *History) lostBefore(before, again *Push, about simulations.Offset) bool {
	durable := before.Answered + about
	for _, f := range h.Faults {
		if len(f.Nodes) > 0 && before.Answered >= f.At && before.Answered <= f.At+f.For+about {
			durable = max(durable, f.At+f.For+about)
		}
	}
	for i := range h.Leads {
		l := &h.Leads[i]
		if l.By != before.By || l.Shard != before.Shard || !l.covers(before.At) {
			continue
		}
		if end := min(l.To, h.overtaken(*l)); end <= durable && end <= again.At+LeadSlack && h.later(l, again) {
			return true
		}
	}
	return false
}

// covers tells whether a push that was sent at a moment may be of the leadership.
func (l *Lead) covers(at simulations.Offset) bool {
	return at >= l.From-LeadSlack && at <= l.To+2*LeadSlack
}

// later tells whether a push may be of a later leadership than l. Another run that
// sends has one, though it may not have been seen.
func (h *History) later(l *Lead, p *Push) bool {
	return p.By != l.By || slices.ContainsFunc(h.Leads, func(n Lead) bool {
		return n.By == p.By && n.Shard == l.Shard && n.Term > l.Term && n.covers(p.At)
	})
}

// deposed tells whether a push was sent again by a run that still took itself for
// the leader, in an earlier term than that in which it was sent first.
func (h *History) deposed(before, again *Push) bool {
	return slices.ContainsFunc(h.Leads, func(old Lead) bool {
		return old.By == again.By && old.Shard == before.Shard && old.covers(again.At) && slices.ContainsFunc(h.Leads, func(l Lead) bool {
			return l.By == before.By && l.Shard == old.Shard && l.Term > old.Term && l.covers(before.At)
		})
	})
}
