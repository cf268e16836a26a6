package replica

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"
)

// chaos drives a world with random faults and remembers what was acknowledged.
type chaos struct {
	*world
	t       *testing.T
	groups  []uint16
	next    int
	acked   map[uint16]map[string]bool // guarded by world.mu
	ended   map[string]int             // guarded by world.mu
	began   int
	members []uint64 // of the meta group, at the end
}

// TestChaos crashes, cuts, slows down and reconfigures clusters at random. At the
// end every acknowledged entry is there, once, and all replicas have applied the
// same entries in the same order.
func TestChaos(t *testing.T) {
	seeds := 30
	if testing.Short() {
		seeds = 6
	}
	if n, err := strconv.Atoi(os.Getenv("REPLICA_SEEDS")); err == nil {
		seeds = n
	}
	first := 1
	if n, err := strconv.Atoi(os.Getenv("REPLICA_SEED")); err == nil {
		first, seeds = n, 1
	}
	for seed := first; seed < first+seeds; seed++ {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				nodes := 3 + 2*(seed%2)
				bounds := limits{entries: 60, bytes: 1 << 20, trailingEntries: 20, trailingBytes: 1 << 19, most: 2 << 20, alone: 8 << 10, trim: 1 << 10}
				c := &chaos{
					world: newWorldOf(t, nodes, uint64(seed), bounds), t: t, groups: []uint16{0, 1, 2},
					acked: map[uint16]map[string]bool{}, ended: map[string]int{},
				}
				defer c.end()
				c.run()
			})
		})
	}
}

func (c *chaos) run() {
	found(c.t, c.nodes[1], c.groups...)
	for _, g := range c.groups {
		c.acked[g] = map[string]bool{}
		c.leader(g)
	}
	if c.rng.IntN(3) > 0 {
		c.grow(3, c.groups...)
	}
	for range 80 {
		c.fault()
		c.propose(1 + c.rng.IntN(40))
		c.pass(time.Duration(c.rng.IntN(300)) * time.Millisecond)
		if c.t.Failed() {
			return
		}
	}
	c.heal()
	c.check()
}

// fault makes one fault, or ends one.
func (c *chaos) fault() {
	ids := slices.Sorted(maps.Keys(c.nodes))
	id := ids[c.rng.IntN(len(ids))]
	n := c.nodes[id]
	switch c.rng.IntN(12) {
	case 0, 1:
		if !n.down {
			c.crash(id, c.rng.IntN(3)*50)
		}
	case 2, 3, 4:
		if n.down {
			c.restart(id)
		}
	case 5:
		c.isolate(id, true)
	case 6, 7:
		c.reconnect()
	case 8:
		c.mu.Lock()
		c.cut[[2]uint64{id, ids[c.rng.IntN(len(ids))]}] = true
		c.mu.Unlock()
	case 9:
		c.mu.Lock()
		c.loss = c.rng.IntN(3) * 10
		c.latency = time.Duration(1+c.rng.IntN(30)) * time.Millisecond
		c.mu.Unlock()
	case 10:
		for _, g := range c.groups {
			if !n.down {
				_ = n.engine.Transfer(g, ids[c.rng.IntN(len(ids))])
			}
		}
	case 11:
		c.reconfigure(ids)
	}
}

func (c *chaos) reconnect() {
	c.mu.Lock()
	clear(c.cut)
	c.loss = 0
	c.mu.Unlock()
}

func (c *chaos) reconfigure(ids []uint64) {
	c.rng.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
	voters := 1 + c.rng.IntN(len(ids))
	learners := c.rng.IntN(len(ids) - voters + 1)
	want := Configuration{ids[:voters], ids[voters : voters+learners]}
	g := c.groups[c.rng.IntN(len(c.groups))]
	for _, n := range c.nodes {
		if !n.down {
			n.engine.Change(g, want, func(error) {})
		}
	}
}

// propose gives entries to whoever may lead. An acknowledgement counts unless the
// power was cut before it.
func (c *chaos) propose(entries int) {
	for range entries {
		g := c.groups[c.rng.IntN(len(c.groups))]
		for _, id := range slices.Sorted(maps.Keys(c.nodes)) {
			n := c.nodes[id]
			if n.down {
				continue
			}
			c.next++
			what := fmt.Sprintf("%06d", c.next)
			c.began++
			n.engine.Propose(g, 0, entry(g, what), func(err error) {
				c.mu.Lock()
				defer c.mu.Unlock()
				c.ended[what]++
				if err == nil && !n.down {
					c.acked[g][what] = true
				}
			})
		}
	}
}

func (c *chaos) heal() {
	c.reconnect()
	c.mu.Lock()
	c.latency = time.Millisecond
	c.mu.Unlock()
	for id, n := range c.nodes {
		if n.down {
			c.restart(id)
		}
	}
}

func (c *chaos) check() {
	for _, g := range c.groups {
		c.leader(g)
		c.wait("an entry commits after all", func() bool { return c.leader(g).put(g, "last") == nil })
		c.same(g)
		l := c.leader(g)
		if g == 0 {
			s := l.status(g)
			c.members = slices.Concat(s.Voters, s.Learners)
		}
		lost := 0
		for what := range c.acked[g] {
			if !l.has(g, what) {
				lost++
			}
		}
		if lost > 0 {
			c.t.Errorf("group %d: %d of %d acknowledged entries are lost", g, lost, len(c.acked[g]))
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	once := 0
	for what, n := range c.ended {
		if n != 1 {
			c.t.Errorf("entry %s ended %d times", what, n)
		}
		once++
	}
	if once != c.began {
		c.t.Errorf("%d of %d entries ended", once, c.began)
	}
	total := 0
	for _, a := range c.acked {
		total += len(a)
	}
	if total == 0 {
		c.t.Error("nothing was acknowledged: the test tests nothing")
	}
	c.sequences()
}

// sequences compares what the nodes applied to the meta group since they were
// opened: the end of one is the end of all.
func (c *chaos) sequences() {
	var longest []string
	for id, n := range c.nodes {
		if slices.Contains(c.members, id) && len(n.seen) > len(longest) {
			longest = n.seen
		}
	}
	for id, n := range c.nodes {
		if !slices.Contains(c.members, id) {
			continue
		}
		if !slices.Equal(n.seen, longest[len(longest)-len(n.seen):]) {
			c.t.Errorf("node %d applied %d entries to the meta group in another order", id, len(n.seen))
		}
	}
}
