package demo

import (
	"cmp"
	"maps"
	"slices"
	"time"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/internal/rpc"
)

// Report is what came of a day.
type Report struct {
	Users, Devices int
	// Events were accepted from IM nodes; Repeats of them changed nothing:
	// known before, or overtaken.
	Events, Repeats int
	// Messages, their Deliveries to one user each, and (message, device) pairs.
	Messages, Deliveries, Pairs int
	// Woken counts the pairs that a vendor took, by vendor.
	Woken []Count
	// The other pairs by reason, as the API names it.
	Suppressed, Cancelled, Superseded, Expired, Failed []Count
	Badges                                             []Badge

	// By receipts of vendors, Reported pushes were delivered and Clicked tapped.
	Reported, Clicked int
	Why               *Why // nil = there is nothing to explain

	// Taken is what the vendors took, under so many Distinct ids. Doubled is how
	// many messages came to a device under two.
	Taken, Distinct, Doubled int
	// Replayed is the time of the events, Settled until the last outcome, Took of all.
	Replayed, Settled, Took time.Duration
	// Findings are promises not kept; empty = all were.
	Findings []Finding
}

// Count is how many there were of what.
type Count struct {
	What string
	N    int
}

// Badge compares what the engine says the last push of a device showed with
// the number on its icon.
type Badge struct {
	User, Device, Vendor string
	Pushes               int // to the device
	Said, Icon           int
}

func (p *played) report(lines []Line) *Report {
	r := &Report{
		Users: len(p.outcomes), Taken: p.seen.taken, Distinct: len(p.seen.pushes), Doubled: p.doubled(),
		Replayed: p.replayed, Settled: p.settled, Findings: verify(lines, p), Why: p.why,
	}
	r.events(lines, p.verdicts)
	counts := map[rousev1.OutcomeStatus]map[string]int{}
	for _, list := range p.outcomes {
		r.Pairs += len(list)
		for _, o := range list {
			what := rpc.Word(o.GetReason())
			if o.GetStatus() == rousev1.OutcomeStatus_OUTCOME_STATUS_ACCEPTED {
				what = Name(VendorOf(o.GetNotifier()))
			}
			if o.GetDeliveredAt() != nil {
				r.Reported++
			}
			if o.GetClickedAt() != nil {
				r.Clicked++
			}
			if counts[o.GetStatus()] == nil {
				counts[o.GetStatus()] = map[string]int{}
			}
			counts[o.GetStatus()][what]++
		}
	}
	r.Woken = sorted(counts[rousev1.OutcomeStatus_OUTCOME_STATUS_ACCEPTED])
	r.Suppressed = sorted(counts[rousev1.OutcomeStatus_OUTCOME_STATUS_SUPPRESSED])
	r.Cancelled = sorted(counts[rousev1.OutcomeStatus_OUTCOME_STATUS_CANCELLED])
	r.Superseded = sorted(counts[rousev1.OutcomeStatus_OUTCOME_STATUS_SUPERSEDED])
	r.Expired = sorted(counts[rousev1.OutcomeStatus_OUTCOME_STATUS_EXPIRED])
	r.Failed = sorted(counts[rousev1.OutcomeStatus_OUTCOME_STATUS_FAILED])
	r.Badges = p.badges(lines)
	return r
}

// events counts lines; a message that is repeated is one message.
func (r *Report) events(lines []Line, verdicts []rousev1.ItemStatus) {
	devices, messages := map[[2]string]bool{}, map[string]bool{}
	for i := range lines {
		l := &lines[i]
		switch verdicts[i] {
		case rousev1.ItemStatus_ITEM_STATUS_ACCEPTED:
			r.Events++
		case rousev1.ItemStatus_ITEM_STATUS_DUPLICATE, rousev1.ItemStatus_ITEM_STATUS_STALE:
			r.Events++
			r.Repeats++
		}
		if l.Do == Presence {
			devices[[2]string{l.User, l.Device}] = true
		}
		if l.Do == Message && !messages[l.ID] {
			messages[l.ID] = true
			r.Deliveries += len(l.To)
		}
	}
	r.Devices, r.Messages = len(devices), len(messages)
}

// badges has the device of the most pushes of each vendor, among those whose
// last push set a number.
func (p *played) badges(lines []Line) []Badge {
	said, pushes := map[string]int{}, map[string]int{}
	for _, list := range p.outcomes {
		for _, o := range list {
			if o.Badge != nil {
				said[o.GetPushId()] = int(o.GetBadge())
			}
		}
	}
	for _, s := range p.seen.pushes {
		pushes[s.Token]++
	}
	most := map[string]Badge{} // by vendor
	for token, b := range owners(lines) {
		last := p.seen.pushes[p.seen.last[token]]
		if last == nil || last.Silent || last.Badge <= 0 {
			continue
		}
		b.Pushes, b.Icon = pushes[token], p.icons[token]
		b.Said, _ = shown(last.Vendor, said[last.ID])
		if had, ok := most[b.Vendor]; !ok || b.before(had) < 0 {
			most[b.Vendor] = b
		}
	}
	return slices.SortedFunc(maps.Values(most), Badge.before)
}

func (b Badge) before(c Badge) int {
	return cmp.Or(cmp.Compare(c.Pushes, b.Pushes), cmp.Compare(b.User, c.User), cmp.Compare(b.Device, c.Device))
}

// owners has the device of each token of alerts: the newest bind wins.
func owners(lines []Line) map[string]Badge {
	all := map[string]Badge{}
	for i := range lines {
		if l := &lines[i]; l.Do == Bind && l.Notifier != IOSVoIP {
			all[l.Token] = Badge{User: l.User, Device: l.Device, Vendor: Name(VendorOf(l.Notifier))}
		}
	}
	return all
}

// sorted has the greatest first.
func sorted(counts map[string]int) []Count {
	var all []Count
	for what, n := range counts {
		all = append(all, Count{what, n})
	}
	slices.SortFunc(all, func(a, b Count) int { return cmp.Or(cmp.Compare(b.N, a.N), cmp.Compare(a.What, b.What)) })
	return all
}
