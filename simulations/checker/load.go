package checker

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/rouse-im/rouse/simulations"
)

func oneWriter(h *History, v *verdict) {
	type term struct {
		shard uint16
		epoch uint64
	}
	writer, last := map[term]Commit{}, map[uint16]Commit{}
	commits := slices.Clone(h.Commits)
	slices.SortStableFunc(commits, func(a, b Commit) int { return cmp.Or(cmp.Compare(a.Shard, b.Shard), cmp.Compare(a.Index, b.Index)) })
	for _, c := range commits {
		v.look()
		t := term{c.Shard, c.Epoch}
		if w, ok := writer[t]; ok && w.Node != c.Node {
			v.breach(nil, "shard %d: %s and %s both committed in epoch %d (entries %d and %d)", c.Shard, w.Node, c.Node, c.Epoch, w.Index, c.Index)
		}
		writer[t] = c
		if l, ok := last[c.Shard]; ok && c.Epoch < l.Epoch {
			v.breach(nil, "shard %d: entry %d of epoch %d comes after entry %d of epoch %d", c.Shard, c.Index, c.Epoch, l.Index, l.Epoch)
		}
		last[c.Shard] = c
	}
	leaders := map[term]Lead{}
	for _, l := range h.Leads {
		v.look()
		t := term{l.Shard, l.Term}
		if w, ok := leaders[t]; ok && w.By != l.By {
			v.breach(nil, "shard %d: %s and %s both led in epoch %d", l.Shard, w.By, l.By, l.Term)
		}
		leaders[t] = l
	}
	h.strays(v)
	byKey := map[string][]Register{}
	for _, r := range h.Registers {
		byKey[r.Key] = append(byKey[r.Key], r)
	}
	for _, key := range slices.Sorted(maps.Keys(byKey)) {
		v.look()
		if !linearizable(byKey[key]) {
			var events []uint64
			for _, r := range byKey[key] {
				if r.Event > 0 {
					events = append(events, r.Event)
				}
			}
			v.breach(events, "what callers saw of %s fits no order of its %d operations%s", key, len(byKey[key]), firstMisfit(byKey[key]))
		}
	}
}

// strays are pushes of a run that knew that it leads their shard no more.
func (h *History) strays(v *verdict) {
	if len(h.Leads) == 0 {
		return
	}
	for _, p := range h.Pushes {
		if p.By == "" || p.Shard == 0 {
			continue
		}
		v.look()
		if !slices.ContainsFunc(h.Leads, func(l Lead) bool {
			return l.By == p.By && l.Shard == p.Shard && p.At >= l.From-2*LeadSlack && p.At <= l.To+2*LeadSlack
		}) {
			v.breach(h.eventOf(p.PushID), "push %s was sent at %v by %s, which did not lead shard %d", p.PushID, p.At, p.By, p.Shard)
		}
	}
}

// register is a value that is written and read; it begins empty.
var register = porcupine.Model{
	Init: func() any { return "" },
	Step: func(state, input, output any) (bool, any) {
		if in := input.(Register); in.Write {
			return true, in.Value
		}
		return state == output, state
	},
}

// porcupineTime bounds the search for an order of one register; what is not
// decided by then counts as linearizable.
const porcupineTime = 5 * time.Second

func linearizable(all []Register) bool {
	read := map[string]bool{}
	for _, r := range all {
		read[r.Value] = read[r.Value] || !r.Write
	}
	var ops []porcupine.Operation
	for i, r := range all {
		op := porcupine.Operation{ClientId: r.Client, Input: r, Call: int64(r.Call), Output: r.Value, Return: int64(r.Return)}
		if r.Unknown {
			if !read[r.Value] {
				continue // it may come true after all else
			}
			op.ClientId, op.Return = -1-i, int64(endOfTime) // its client goes on
		}
		ops = append(ops, op)
	}
	return porcupine.CheckOperationsTimeout(register, ops, porcupineTime) != porcupine.Illegal
}

// firstMisfit names the first answer that fits no order of what was asked before it.
func firstMisfit(all []Register) string {
	all = slices.SortedStableFunc(slices.Values(all), func(a, b Register) int { return cmp.Compare(a.Return, b.Return) })
	until := func(n int) (some []Register) {
		for i, r := range all {
			switch {
			case i < n:
				some = append(some, r)
			case r.Write && r.Call <= all[n-1].Return:
				r.Unknown = true
				some = append(some, r)
			}
		}
		return some
	}
	n := sort.Search(len(all), func(i int) bool { return !linearizable(until(i + 1)) })
	if n == len(all) || all[n].Write {
		return ""
	}
	r := all[n]
	return fmt.Sprintf("; first of them is that client %d, between %d and %d ms, read %q", r.Client, r.Call, r.Return, r.Value)
}

// withinLimits fills a bucket of each credential's rate and burst, counts what
// its vendor took, and holds senders to what it asked them.
func withinLimits(h *History, v *verdict) {
	h.rates(v)
	h.quotas(v)
	h.pauses(v)
}

func (h *History) rates(v *verdict) {
	level, last := map[string]float64{}, map[string]simulations.Offset{}
	over := map[string]bool{}
	for _, p := range h.Pushes {
		r, limited := h.Limits.Rates[p.Notifier]
		if !limited {
			continue
		}
		v.look()
		passed := float64(p.At-last[p.Notifier]) / 1000
		level[p.Notifier] = max(0, level[p.Notifier]-passed*r.PerSecond) + 1
		last[p.Notifier] = p.At
		if excess := level[p.Notifier] - r.Burst; excess > 1e-6 && !over[p.Notifier] {
			over[p.Notifier] = true // once for each excess
			v.breach(h.eventOf(p.PushID), "%s got more than %g pushes a second and a burst of %g at %v", p.Notifier, r.PerSecond, r.Burst, p.At)
		} else if excess <= 0 {
			over[p.Notifier] = false
		}
	}
}

func (h *History) quotas(v *verdict) {
	took := map[string]uint64{}
	excused := h.excuses()
	for i := range h.Pushes {
		p := &h.Pushes[i]
		quota, limited := h.Limits.Quotas[p.Notifier]
		if !limited || p.Answer != "accepted" {
			continue
		}
		if o := h.outcome[p.PushID]; o == nil && excused(p) || o != nil && h.isCall(o) {
			continue // of what is forgotten nobody knows whether it was a call
		}
		v.look()
		if took[p.Notifier]++; took[p.Notifier] == quota+1 {
			v.breach(h.eventOf(p.PushID), "%s took more than the day's %d pushes at %v", p.Notifier, quota, p.At)
		}
	}
}

// pauses are those that a vendor asked for, of all pushes or of one token's. Who
// had the answer keeps it at once, others after a handover.
func (h *History) pauses(v *verdict) {
	type pause struct {
		by          string
		known, over simulations.Offset
	}
	asked := map[string][]pause{}
	for _, p := range h.Pushes {
		for _, who := range []string{p.Notifier, p.Notifier + " " + p.Token} {
			for _, a := range asked[who] {
				if p.At < a.over && (p.At > a.known+h.handover() || a.by != "" && p.By == a.by && p.At > a.known) {
					v.breach(h.eventOf(p.PushID), "%s was sent push %s at %v, after it had asked to wait until %v", p.Notifier, p.PushID, p.At, a.over)
				}
			}
			asked[who] = slices.DeleteFunc(asked[who], func(a pause) bool { return p.At >= a.over })
		}
		if p.Answer == "throttled" && p.RetryAfter > 0 {
			v.look()
			who := p.Notifier
			if p.Device {
				who += " " + p.Token
			}
			asked[who] = append(asked[who], pause{p.By, max(p.At, p.Answered), max(p.At, p.Answered) + p.RetryAfter})
		}
	}
}

// bulkheads compares latencies of a vendor while others fail with those of
// quiet times. Fewer than 50 pushes say nothing.
func bulkheads(h *History, v *verdict) {
	const enough = 50
	quick := cmp.Or(h.Limits.Quick, 50)
	quiet, loud := map[string][]simulations.Offset{}, map[string][]simulations.Offset{}
	seen := map[string]bool{}
	for _, p := range h.Pushes {
		o := h.outcome[p.PushID]
		if o == nil || o.Delayed || seen[p.PushID] {
			continue
		}
		seen[p.PushID] = true
		if !h.Dated(p.At) {
			continue
		}
		others, own, nodes := h.failing(o.Decided, p.Vendor)
		switch {
		case own || nodes:
		case others:
			loud[p.Vendor] = append(loud[p.Vendor], p.At-o.Decided)
		default:
			quiet[p.Vendor] = append(quiet[p.Vendor], p.At-o.Decided)
		}
	}
	for _, vendor := range slices.Sorted(maps.Keys(loud)) {
		if len(loud[vendor]) < enough || len(quiet[vendor]) < enough {
			continue
		}
		v.look()
		calm, now := percentile(quiet[vendor], 0.99), percentile(loud[vendor], 0.99)
		if now > max(2*calm, quick) {
			v.breach(nil, "while other vendors failed, one in a hundred pushes to %s took %d ms or more; in quiet times %d ms", vendor, now, calm)
		}
	}
}

// failing tells what fails at a time: other vendors, this vendor, nodes.
func (h *History) failing(at simulations.Offset, vendor string) (others, own, nodes bool) {
	for _, f := range h.Faults {
		if at < f.At || at > f.At+f.For+h.handover() {
			continue
		}
		others = others || f.Vendor != "" && f.Vendor != vendor
		own = own || f.Vendor == vendor
		nodes = nodes || len(f.Nodes) > 0
	}
	return others, own, nodes
}

func percentile(of []simulations.Offset, p float64) simulations.Offset {
	slices.Sort(of)
	return of[min(len(of)-1, int(p*float64(len(of))))]
}

func bounded(h *History, v *verdict) {
	for _, g := range h.Gauges {
		if g.Bound <= 0 {
			continue
		}
		if v.look(); g.Value > g.Bound {
			v.breach(nil, "%s of %s is %g at %v, its bound %g", g.Name, g.Node, g.Value, g.At, g.Bound)
		}
	}
}

func drains(h *History, v *verdict) {
	healed := simulations.Offset(0)
	for _, f := range h.Faults {
		healed = max(healed, f.At+f.For)
	}
	limit := healed + cmp.Or(h.Limits.Drain, 60_000)
	type key struct{ node, name string }
	empty, last := map[key]bool{}, map[key]Gauge{}
	for _, g := range h.Gauges {
		if !g.Backlog {
			continue
		}
		k := key{g.Node, g.Name}
		last[k] = g
		if g.At >= healed && g.At <= limit && g.Value == 0 {
			empty[k] = true
		}
	}
	for k, g := range last {
		if g.At < limit && g.Value > 0 && !empty[k] && g.At < healed {
			continue // its node did not live to the end
		}
		if v.look(); !empty[k] {
			v.breach(nil, "%s of %s is not empty between the last fault's end at %v and %v: %g at %v", k.name, k.node, healed, limit, g.Value, g.At)
		}
	}
	slices.SortFunc(v.Findings, func(a, b Finding) int { return strings.Compare(a.Text, b.Text) })
}
