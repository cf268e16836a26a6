package quota

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/rouse-im/rouse/internal/plant"
)

// The rate that a vendor grants an account is divided into shares, one for each
// node. A share is durable; the permission to use it is a lease that its node
// renews with the leader of the meta group. Shares decides at the leader, Holder
// knows at a node what it may use. At every instant the shares in use are within
// the limit, whatever is lost, late, cut off or restarted:
//
//   - Durable shares are within the limit, and no node is granted more than its
//     durable share. A leader answers only after an entry that it proposed after
//     the question was committed, or the voters confirmed after the question that
//     it leads. So all that a former leader granted is within
//     what the next one reads.
//   - What a node may use is given to another only after the node said that it
//     uses less, or after its lease ran out. A node counts its lease from before
//     it asked, the leader from when it was asked.
//   - A node uses only the answer to its last question, so what it said in that
//     question stays true until an answer to a later one. A leader believes it
//     only if the node has taken an answer of this leader in before.
//
// Rates are in thousandths of a push per second.

// Key names a vendor account.
type Key struct{ App, Notifier, Account string }

// Split is the durable share of each node, by Raft id.
type Split map[uint64]uint64

// Wish is what a node wants of an account.
type Wish struct {
	Key
	Demand uint64 // what it would send without a limit
	Holds  uint64 // what it uses until the answer, at most
}

// Question of a node; only the answer to the last one of a run counts.
type Question struct {
	Node, Run, Seq uint64
	// Epoch of the leadership that gave the last answer that the node took in.
	Epoch  uint64
	Wishes []Wish
}

// Grant is the share that a node may use.
type Grant struct {
	Key
	Rate uint64
}

// Change is a split that has to be durable before it is granted.
type Change struct {
	Key
	Split Split // empty = nobody has a share
}

const (
	// ShareLease is how long a grant may be used.
	ShareLease = 3 * time.Second
	// shareSlack is the part of it that the leader adds, for clocks that run at other
	// speeds.
	shareSlack = 30
	// shareSweep is how often accounts are looked for that have no limit any more.
	shareSweep = time.Minute
	// settle is the least time between two divisions of an account among the same
	// nodes.
	settle = 3 * time.Second
	// floorPart of an even share is every node's, and a node gets more if that is
	// gainPart of an even share or more.
	floorPart = 10
	gainPart  = 10
)

// Shares decides about all accounts, at the leader. It is not for concurrent use.
type Shares struct {
	epoch    uint64
	lease    time.Duration
	limit    func(Key) uint64
	accounts map[Key]*divided
	runs     map[uint64]run // by node
	swept    time.Time
}

type run struct{ run, seq uint64 }

// divided is one account.
type divided struct {
	lease   time.Duration
	durable Split
	planned Split // what is being written; nil = nothing
	target  Split // what each node should have
	holders map[uint64]*holder
	limit   uint64 // that target is of
	since   time.Time
	asked   bool // since the last Plan
	over    bool // the limit fell below what is durable: nobody gets more than he has
}

// holder is a node with, or without, a share.
type holder struct {
	may    uint64    // it uses no more
	until  time.Time // and nothing from then on, unless it asks
	asked  time.Time
	demand uint64
	holds  uint64 // what it said when it asked
}

// uses is what the node uses at most.
func (h *holder) uses(now time.Time) uint64 {
	if now.Before(h.until) && !plant.On(plant.ShareOverGranted) {
		return h.may
	}
	return 0
}

// present tells whether the node is to have a share.
func (h *holder) present(now time.Time, lease time.Duration) bool {
	return now.Before(h.until) || !h.asked.IsZero() && now.Before(h.asked.Add(lease))
}

// NewShares begins a leadership with what is durable. Any of it may be in use for
// one lease, of ShareLease in general. epoch is a number that no other leadership has, and not 0.
func NewShares(epoch uint64, lease time.Duration, stored map[Key]Split, limit func(Key) uint64, now time.Time) *Shares {
	s := &Shares{epoch: epoch, lease: lease, limit: limit, accounts: make(map[Key]*divided), runs: make(map[uint64]run), swept: now}
	for key, split := range stored {
		d := &divided{lease: lease, durable: split, target: maps.Clone(split), holders: make(map[uint64]*holder), since: now}
		for node, rate := range split {
			d.limit += rate
			d.holders[node] = &holder{may: rate, demand: rate, until: now.Add(lease + lease/shareSlack)}
		}
		s.accounts[key] = d
	}
	return s
}

// Ask takes a question in; false = a later one of the node was taken in before,
// and this one is not to be answered. Plan, Written and Grant follow.
func (s *Shares) Ask(q Question, now time.Time) bool {
	known := s.runs[q.Node]
	if known.run == q.Run && q.Seq <= known.seq {
		return false
	}
	// A late question says nothing about what its node uses now, if that is of
	// another run, or got an answer from a former leader meanwhile. Of one that knows
	// an answer of this leadership there is no later answer: only this leader can
	// have given it.
	same := known.run == q.Run && q.Epoch == s.epoch
	s.runs[q.Node] = run{q.Run, q.Seq}
	for _, w := range q.Wishes {
		d := s.accounts[w.Key]
		if d == nil {
			d = &divided{lease: s.lease, holders: make(map[uint64]*holder)}
			s.accounts[w.Key] = d
		}
		h := d.holders[q.Node]
		if h == nil {
			h = &holder{}
			d.holders[q.Node] = h
		}
		if h.may = h.uses(now); same {
			h.may = min(h.may, w.Holds)
		}
		h.asked, h.demand, h.holds, d.asked = now, w.Demand, w.Holds, true
	}
	return true
}

// Plan divides the accounts that were asked for and returns the splits to write,
// by key; once in a while those of accounts without a limit too, which go. Written
// or Dropped must follow before the next Plan.
func (s *Shares) Plan(now time.Time) (changes []Change) {
	sweep := now.Sub(s.swept) >= shareSweep
	if sweep {
		s.swept = now
	}
	for key, d := range s.accounts {
		if !d.asked && (!sweep || s.limit(key) > 0) {
			continue
		}
		d.asked = false
		if d.plan(s.limit(key), now) {
			changes = append(changes, Change{key, d.planned})
		}
	}
	slices.SortFunc(changes, func(a, b Change) int {
		return cmp.Or(cmp.Compare(a.App, b.App), cmp.Compare(a.Notifier, b.Notifier), cmp.Compare(a.Account, b.Account))
	})
	return changes
}

// Written takes the last plan as durable.
func (s *Shares) Written() {
	for key, d := range s.accounts {
		if d.planned == nil {
			continue
		}
		d.durable, d.planned = d.planned, nil
		if len(d.durable) == 0 && len(d.holders) == 0 {
			delete(s.accounts, key)
		}
	}
}

// Dropped takes the last plan as certainly not written.
func (s *Shares) Dropped() {
	for _, d := range s.accounts {
		d.planned = nil
	}
}

// Lease is that of NewShares, for the answers.
func (s *Shares) Lease() time.Duration { return s.lease }

// Epoch is that of NewShares, for the answers.
func (s *Shares) Epoch() uint64 { return s.epoch }

// Grant answers a question that Ask has taken in and whose plan is durable.
func (s *Shares) Grant(q Question) (grants []Grant) {
	if s.runs[q.Node] != (run{q.Run, q.Seq}) {
		return nil // a later one came with it
	}
	for _, w := range q.Wishes {
		d := s.accounts[w.Key]
		if d == nil || d.holders[q.Node] == nil {
			continue
		}
		h, rate := d.holders[q.Node], min(d.durable[q.Node], d.target[q.Node])
		if d.over {
			rate = min(rate, h.holds)
		}
		h.may, h.until = max(h.may, rate), later(h.until, h.asked.Add(s.lease+s.lease/shareSlack))
		grants = append(grants, Grant{w.Key, rate})
	}
	return grants
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// plan tells whether the shares have to be written anew.
func (d *divided) plan(limit uint64, now time.Time) bool {
	d.forget(now)
	d.aim(limit, now)
	next, used, had := make(Split), uint64(0), uint64(0)
	for _, rate := range d.durable {
		had += rate
	}
	for node, h := range d.holders {
		next[node] = max(h.uses(now), min(d.durable[node], d.target[node]))
		used += next[node]
	}
	write := had > limit && used < had
	// Those who have the least of what they should have come first.
	nodes := slices.Collect(maps.Keys(d.target))
	slices.SortFunc(nodes, func(a, b uint64) int {
		return cmp.Or(cmp.Compare(part(next[a], d.target[a]), part(next[b], d.target[b])), cmp.Compare(a, b))
	})
	for _, node := range nodes {
		if want := d.target[node]; want > next[node] && used < limit {
			more := min(want-next[node], limit-used)
			next[node] += more
			used += more
		}
		write = write || next[node] > d.durable[node]
	}
	maps.DeleteFunc(next, func(_, rate uint64) bool { return rate == 0 })
	d.over = had > limit && used > limit
	if write {
		d.planned = next
	}
	return write
}

func part(have, of uint64) float64 { return float64(have) / float64(max(1, of)) }

// forget drops nodes that are gone.
func (d *divided) forget(now time.Time) {
	maps.DeleteFunc(d.holders, func(_ uint64, h *holder) bool { return !h.present(now, d.lease) })
}

// aim sets what each node should have, if it is worth a change.
func (d *divided) aim(limit uint64, now time.Time) {
	if len(d.holders) == 0 {
		d.target = nil
		return
	}
	ideal := divide(limit, d.holders)
	adopt := limit != d.limit || len(d.target) != len(ideal)
	for node, rate := range ideal {
		have, known := d.target[node]
		gain := rate > have && rate-have >= max(1, limit/uint64(len(ideal))/gainPart)
		adopt = adopt || !known || gain && d.holders[node].demand > have && now.Sub(d.since) >= settle
	}
	if adopt {
		d.target, d.limit, d.since = ideal, limit, now
	}
}

// divide gives every node the floor and what it wants, as far as that goes: then
// nobody gets more while another one who wants it has less. What nobody wants is
// divided evenly. The sum is at most the limit.
func divide(limit uint64, holders map[uint64]*holder) Split {
	n := uint64(len(holders))
	nodes := slices.SortedFunc(maps.Keys(holders), func(a, b uint64) int {
		return cmp.Or(cmp.Compare(holders[a].demand, holders[b].demand), cmp.Compare(a, b))
	})
	split, left := make(Split), limit
	for i, node := range nodes {
		even := left / (n - uint64(i))
		split[node] = min(max(holders[node].demand, limit/n/floorPart), even)
		left -= split[node]
	}
	for i, node := range nodes {
		more := left / (n - uint64(i))
		split[node] += more
		left -= more
	}
	return split
}
