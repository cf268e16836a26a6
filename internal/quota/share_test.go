package quota

import (
	"maps"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var (
	begin = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	key   = Key{"app", "n", "1"}
)

// machine is a node: what it holds, and the decisions of its leadership, if it
// has or had one. Its clock is off by a fixed time.
type machine struct {
	clock  time.Duration
	holder *Holder
	up     bool
	shares *Shares
	term   int
	queue  []letter // questions that wait for the writing under way
	wrote  []letter // questions under way
	change []Change // being written; empty = the leadership is being confirmed
	sure   bool     // it was, and the answers have not left yet
	found  *machine // whom it asks
	demand uint64
}

// letter is a question or an answer on its way.
type letter struct {
	from, to *machine
	q        Question
	grants   []Grant // of an answer
	epoch    uint64  // of an answer
	answer   bool
}

// cluster is machines, messages on their way and what is durable.
type cluster struct {
	now    time.Duration // real time since begin
	all    []*machine
	mail   []letter
	stored map[Key]Split
	term   int
	leads  *machine
	limit  uint64
	limits map[time.Duration]uint64 // ended then
	runs   uint64
}

func newCluster(nodes int, limit uint64, clock func() time.Duration) *cluster {
	c := &cluster{stored: map[Key]Split{}, limit: limit, limits: map[time.Duration]uint64{}}
	for range nodes {
		m := &machine{clock: clock(), demand: limit}
		c.all = append(c.all, m)
		c.start(m)
	}
	return c
}

func (c *cluster) at(m *machine) time.Time { return begin.Add(c.now + m.clock) }

// start makes a new process of a node.
func (c *cluster) start(m *machine) {
	c.runs++
	for i := range c.all {
		if c.all[i] == m {
			m.holder = NewHolder(uint64(i+1), c.runs)
		}
	}
	m.up, m.shares, m.queue, m.wrote, m.change, m.sure = true, nil, nil, nil, nil, false
}

func (c *cluster) elect(m *machine) {
	c.term++
	c.leads = m
	stored := map[Key]Split{}
	for k, s := range c.stored {
		stored[k] = maps.Clone(s)
	}
	m.shares, m.term, m.queue, m.wrote, m.change, m.sure = NewShares(uint64(c.term), ShareLease, stored, func(Key) uint64 { return c.limit }, c.at(m)), c.term, nil, nil, nil, false
}

func (c *cluster) ask(m *machine) {
	q := m.holder.Ask(map[Key]uint64{key: m.demand}, c.at(m))
	if m.found != nil {
		c.mail = append(c.mail, letter{from: m, to: m.found, q: q})
	}
}

// deliver brings one letter that is on its way.
func (c *cluster) deliver(i int) {
	l := c.mail[i]
	c.mail = append(c.mail[:i:i], c.mail[i+1:]...)
	switch {
	case !l.to.up:
	case l.answer:
		l.to.holder.Take(l.q.Run, l.q.Seq, l.epoch, ShareLease, l.grants)
	case l.to.shares != nil:
		l.to.queue = append(l.to.queue, l)
		if l.to.wrote == nil {
			c.propose(l.to)
		}
	}
}

func (c *cluster) propose(m *machine) {
	for _, l := range m.queue {
		if m.shares.Ask(l.q, c.at(m)) {
			m.wrote = append(m.wrote, l)
		}
	}
	m.queue = nil
	m.change, m.sure = m.shares.Plan(c.at(m)), false
}

// confirm has the voters say that a leader leads, if it does; its answers may leave
// much later.
func (c *cluster) confirm(m *machine) {
	m.sure = m.sure || m.wrote != nil && len(m.change) == 0 && m.term == c.term
}

// commit ends the writing of a leader, or a former one, or its confirmation.
func (c *cluster) commit(m *machine) {
	if m.shares == nil || m.wrote == nil {
		return
	}
	if c.confirm(m); m.term != c.term && !m.sure { // it hears that it leads no more
		m.shares, m.wrote, m.queue = nil, nil, nil
		return
	}
	for _, change := range m.change {
		c.stored[change.Key] = maps.Clone(change.Split)
	}
	m.shares.Written()
	for _, l := range m.wrote {
		c.mail = append(c.mail, letter{from: m, to: l.from, q: l.q, grants: m.shares.Grant(l.q), epoch: m.shares.Epoch(), answer: true})
	}
	if m.wrote = nil; len(m.queue) > 0 {
		c.propose(m)
	}
}

// used is what all machines may send now, and how much each.
func (c *cluster) used() (sum uint64, each []uint64) {
	for _, m := range c.all {
		h := m.holder.Held(key)
		if !m.up || !c.at(m).Before(h.Until) {
			h.Rate = 0
		}
		each = append(each, h.Rate)
		sum += h.Rate
	}
	return sum, each
}

// allowed is the highest limit of the last lease.
func (c *cluster) allowed() uint64 {
	most := c.limit
	for ended, limit := range c.limits {
		if c.now-ended <= ShareLease {
			most = max(most, limit)
		}
	}
	return most
}

// round is a question of a machine and its answer.
func (c *cluster) round(m *machine) {
	if m.found == nil {
		return
	}
	c.ask(m)
	c.deliver(len(c.mail) - 1)
	c.commit(m.found)
	c.commit(m.found)
	if n := len(c.mail); n > 0 && c.mail[n-1].answer {
		c.deliver(n - 1)
	}
}

var steps = []string{
	"round", "round", "round", "round", "round", "astray", "astray", "unheard", "ask", "deliver", "deliver", "confirm", "commit",
	"pass", "pass", "pass", "lose", "elect", "find", "restart", "limit", "demand", "demand",
}

func (c *cluster) step(t *rapid.T) {
	m := c.all[rapid.IntRange(0, len(c.all)-1).Draw(t, "machine")]
	switch rapid.SampledFrom(steps).Draw(t, "do") {
	case "round": // all goes well
		m.found = c.leads
		c.round(m)
	case "astray": // with whom it has found, who may be replaced
		c.round(m)
	case "unheard": // all but the answer, which may come later
		m.found = c.leads
		c.ask(m)
		c.deliver(len(c.mail) - 1)
		c.commit(c.leads)
	case "ask":
		if m.up {
			c.ask(m)
		}
	case "deliver":
		if len(c.mail) > 0 {
			c.deliver(rapid.IntRange(0, len(c.mail)-1).Draw(t, "letter"))
		}
	case "lose":
		if len(c.mail) > 0 {
			c.mail = c.mail[1:]
		}
	case "confirm":
		c.confirm(m)
	case "commit":
		c.commit(m)
	case "pass":
		c.now += time.Duration(rapid.SampledFrom([]int{1, 300, 1000, 1000, 2900, 3050, 7000}).Draw(t, "ms")) * time.Millisecond
	case "elect":
		if m.up {
			c.elect(m)
		}
	case "find": // the leader, or one who takes himself for it
		m.found = c.all[rapid.IntRange(0, len(c.all)-1).Draw(t, "found")]
	case "restart":
		c.start(m)
	case "limit":
		c.limits[c.now] = max(c.limit, c.limits[c.now])
		c.limit = rapid.SampledFrom([]uint64{10, 1000, 2000, 100_000}).Draw(t, "limit")
	case "demand":
		m.demand = rapid.SampledFrom([]uint64{0, 1, 500, 5000, 1 << 40}).Draw(t, "demand")
	}
}

// The shares in use are within the limit at every instant, and what is durable is
// too: with former leaders that go on, answers that are late or lost, nodes that
// are cut off or restarted, clocks that differ and limits that change.
func TestSharesAreWithinTheLimit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := newCluster(rapid.IntRange(1, 4).Draw(t, "nodes"), 1000, func() time.Duration {
			return time.Duration(rapid.IntRange(-10_000, 10_000).Draw(t, "clock")) * time.Millisecond
		})
		c.elect(c.all[0])
		for _, m := range c.all {
			m.found = c.all[0]
		}
		for range rapid.IntRange(20, 300).Draw(t, "steps") {
			c.step(t)
			if sum, each := c.used(); sum > c.allowed() {
				t.Fatalf("%d are in use of %d: %v, stored %v", sum, c.allowed(), each, c.stored)
			}
			had := uint64(0)
			for _, rate := range c.stored[key] {
				had += rate
			}
			if had > 100_000 || len(c.limits) == 0 && had > c.limit {
				t.Fatalf("%d of %d are stored: %v", had, c.limit, c.stored)
			}
		}
	})
}

// second lets a second pass in which each machine asks and all letters arrive at
// once.
func (c *cluster) second() {
	for _, m := range c.all {
		if m.up {
			m.found = c.leads
			c.ask(m)
		}
		c.settleMail()
		c.now += time.Second / time.Duration(len(c.all))
	}
}

// settleMail brings all that is on its way.
func (c *cluster) settleMail() {
	for len(c.mail) > 0 {
		c.deliver(0)
		c.commit(c.leads)
	}
	for c.leads.wrote != nil {
		c.commit(c.leads)
	}
}

// From any state a cluster that works again divides all of the limit, by demand,
// in a few leases.
func TestSharesSettle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := newCluster(rapid.IntRange(1, 4).Draw(t, "nodes"), 1000, func() time.Duration { return 0 })
		c.elect(c.all[0])
		for range rapid.IntRange(0, 100).Draw(t, "steps") {
			c.step(t)
		}
		c.mail = nil
		c.elect(c.all[len(c.all)-1])
		for range 20 {
			c.second()
		}
		if sum, each := c.used(); sum < c.limit*99/100 || sum > c.limit {
			t.Fatalf("%d of %d are in use: %v, wanted %v", sum, c.limit, each, c.leads.shares.accounts[key].target)
		}
		before := c.stored[key]
		writes := 0
		for range 10 {
			c.second()
			if !maps.Equal(before, c.stored[key]) {
				writes, before = writes+1, c.stored[key]
			}
		}
		if writes > 0 {
			t.Errorf("%d writes while nothing changed", writes)
		}
	})
}

func still(int) func() time.Duration { return func() time.Duration { return 0 } }

// A node alone has the whole rate with its first answer, after a restart too.
func TestSoleNodeHasAllAtOnce(t *testing.T) {
	c := newCluster(1, 1000, still(0))
	for _, begin := range []func(*machine){func(*machine) {}, c.start} {
		begin(c.all[0])
		c.elect(c.all[0])
		c.all[0].found = c.all[0]
		c.ask(c.all[0])
		c.settleMail()
		if sum, _ := c.used(); sum != 1000 {
			t.Errorf("%d of 1000", sum)
		}
	}
}

// A new leader renews at once what it knows, and gives what a dead node had to
// others after one lease.
func TestNewLeaderRenewsAtOnce(t *testing.T) {
	c := newCluster(3, 9000, still(0))
	c.elect(c.all[0])
	for range 10 {
		c.second()
	}
	_, before := c.used()
	c.all[0].up = false
	c.now += 10 * time.Second
	c.elect(c.all[1])
	for _, m := range c.all[1:] {
		m.found = c.leads
		c.ask(m)
		c.settleMail()
	}
	if _, each := c.used(); each[1] != before[1] || each[2] != before[2] || before[1] < 2900 {
		t.Errorf("after the fail-over %v, before %v", each, before)
	}
	for range 6 {
		c.second()
	}
	if _, each := c.used(); each[1]+each[2] != 9000 {
		t.Errorf("the dead node's share was not given away: %v", each)
	}
}

func TestDivide(t *testing.T) {
	for name, c := range map[string]struct {
		limit  uint64
		demand []uint64
		want   []uint64
	}{
		"idle":          {900, []uint64{0, 0, 0}, []uint64{300, 300, 300}},
		"one busy":      {900, []uint64{0, 0, 9000}, []uint64{30, 30, 840}},
		"all busy":      {900, []uint64{9000, 1 << 40, 5000}, []uint64{300, 300, 300}},
		"one modest":    {900, []uint64{100, 9000, 9000}, []uint64{100, 400, 400}},
		"enough":        {900, []uint64{100, 200, 300}, []uint64{200, 300, 400}},
		"alone":         {900, []uint64{5}, []uint64{900}},
		"no limit":      {0, []uint64{5, 6}, []uint64{0, 0}},
		"less than one": {2, []uint64{5, 6, 7}, []uint64{0, 1, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			holders := map[uint64]*holder{}
			for i, d := range c.demand {
				holders[uint64(i)] = &holder{demand: d}
			}
			split := divide(c.limit, holders)
			got := make([]uint64, len(c.demand))
			for i := range got {
				got[i] = split[uint64(i)]
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// The split of an account that has no limit any more goes, but not while it may
// be in use.
func TestAccountsWithoutALimitAreForgotten(t *testing.T) {
	limit := uint64(1000)
	s := NewShares(1, ShareLease, map[Key]Split{key: {1: 600, 2: 400}}, func(Key) uint64 { return limit }, begin)
	if changes := s.Plan(begin.Add(2 * shareSweep)); len(changes) != 0 {
		t.Errorf("%v", changes)
	}
	limit = 0
	changes := s.Plan(begin.Add(4 * shareSweep))
	if len(changes) != 1 || len(changes[0].Split) != 0 {
		t.Fatalf("%v", changes)
	}
	s.Written()
	if len(s.accounts) != 0 {
		t.Errorf("%d accounts are left", len(s.accounts))
	}
}

func TestSplitEncoding(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		split := Split(rapid.MapOfN(rapid.Uint64(), rapid.Uint64(), 0, 20).Draw(t, "split"))
		got, err := ParseSplit(split.Encode(nil))
		if err != nil || !maps.Equal(split, got) {
			t.Fatalf("%v became %v, %v", split, got, err)
		}
	})
}

func FuzzParseSplit(f *testing.F) {
	f.Add(Split{1: 2, 3: 4}.Encode(nil))
	f.Add([]byte{1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		if s, err := ParseSplit(b); err == nil {
			if again, err := ParseSplit(s.Encode(nil)); err != nil || !maps.Equal(s, again) {
				t.Errorf("%x: %v, then %v, %v", b, s, again, err)
			}
		}
	})
}
