package placement

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/rouse-im/rouse/cluster/roster"
)

const (
	conductEvery = 500 * time.Millisecond
	// A conductor that had nothing to do for settleFor since it was woken last looks
	// each restEvery.
	settleFor    = 3 * time.Second
	restEvery    = 5 * time.Second
	maxChanges   = 8  // of configurations, under way at once
	maxHandOvers = 32 // of leaderships, under way at once
	yieldTime    = 500 * time.Millisecond
	// handOverTime is an election timeout and what the loop may need: a transfer
	// that has not happened by then does not happen.
	handOverTime = 1500 * time.Millisecond
	retryAfter   = 2 * time.Second // what has failed
	hurryFor     = 10 * time.Second
)

// ConductorOptions of a Conductor; what is not marked as optional is needed.
type ConductorOptions struct {
	// Self is this node.
	Self   uint64
	Roster *roster.Roster
	Rules  Rules
	// Alive tells whether a node is alive, without blocking.
	Alive func(node uint64) bool
	// Fit tells whether a node should lead, as far as this one knows, without blocking:
	// it is alive and in reach, its disk has room and it hears the leader of the meta
	// group.
	Fit func(node uint64) bool
	// Groups are those of which this node has a replica.
	Groups func() []uint16
	// Leads tells whether this node leads a group, all of it applied; it does not
	// block.
	Leads func(group uint16) (term uint64, ok bool)
	// Status, Change, Transfer and Remove are those of the replicas. Change and
	// Remove do not wait for what they begin.
	Status   func(group uint16) (Status, error)
	Change   func(group uint16, to Configuration, done func(error))
	Transfer func(group uint16, to uint64) error
	Remove   func(group uint16, done func(error))
	// Yield makes a group ready for its leadership to be given away; it ends with
	// ctx, and then leadership is given away nevertheless.
	Yield func(ctx context.Context, group uint16) error
	// Kept tells that leadership was not given away after Yield; optional.
	Kept func(group uint16, term uint64)
	// GiveEvery is the pace at which leaderships are given to others for balance;
	// 0 = 2 s.
	GiveEvery time.Duration
	Logger    *slog.Logger
}

// Conductor takes the groups that its node leads to where their records want
// them, and drops replicas that have no part.
type Conductor struct {
	ConductorOptions
	roster <-chan struct{}
	wake   chan struct{}
	eyes   Sightings
	calls  sync.WaitGroup // of Yield and Transfer
	slots  chan struct{}  // holds an entry for each of them

	mu       sync.Mutex
	pulse    chan struct{} // closed by the next Wake
	going    bool          // the node is going away: DrainSelf has begun
	busy     map[uint16]bool
	pause    map[uint16]time.Time // not before
	held     map[uint16]tenure
	why      map[uint16]string // of groups that are on their way
	count    counts
	changes  int
	lastGive time.Time
	ordered  uint64 // orders to rebalance that were seen
	hurry    time.Time
}

// tenure is a leadership of this node.
type tenure struct {
	term  uint64
	since time.Time
}

// NewConductor makes a Conductor that does nothing before Run.
func NewConductor(o ConductorOptions) *Conductor {
	if o.GiveEvery == 0 {
		o.GiveEvery = 2 * time.Second
	}
	return &Conductor{
		ConductorOptions: o, roster: o.Roster.Changed(), wake: make(chan struct{}, 1), slots: make(chan struct{}, maxHandOvers),
		pulse: make(chan struct{}), busy: make(map[uint16]bool), pause: make(map[uint16]time.Time), held: make(map[uint16]tenure),
		why: make(map[uint16]string), ordered: o.Roster.View().Rebalances(),
	}
}

// Wake says that a group has changed here: its leader, its configuration, or
// that there is one. It does not block.
func (c *Conductor) Wake() {
	c.mu.Lock()
	close(c.pulse)
	c.pulse = make(chan struct{})
	c.mu.Unlock()
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// Run conducts until ctx ends, and returns when its calls have.
func (c *Conductor) Run(ctx context.Context) {
	timer := time.NewTimer(conductEvery)
	defer timer.Stop()
	defer c.calls.Wait()
	for woken := time.Now(); ; {
		now := time.Now()
		if c.turn(ctx, now) {
			woken = now
		}
		rest := conductEvery
		if now.Sub(woken) >= settleFor {
			rest = restEvery
		}
		timer.Reset(rest)
		select {
		case <-ctx.Done():
			return
		case <-c.roster:
			woken = time.Now()
		case <-c.wake:
			woken = time.Now()
		case <-timer.C:
		}
	}
}

// Why tells what a group that this node leads is waiting for, in words; empty =
// it is not moving.
func (c *Conductor) Why(group uint16) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.why[group]
}

// turn takes a step for each group that is not as it shall be; open = there are.
func (c *Conductor) turn(ctx context.Context, now time.Time) (open bool) {
	view := c.Roster.View()
	c.eyes.Look(view, c.Alive, now)
	c.mu.Lock()
	if n := view.Rebalances(); n != c.ordered {
		c.ordered, c.hurry = n, now.Add(hurryFor)
	}
	c.mu.Unlock()
	for _, group := range c.Groups() {
		record, placed := view.Placement(group)
		term, leads := c.Leads(group)
		if !c.ready(group, term, leads, now) || !placed {
			open = true
			continue
		}
		switch {
		case leads && !c.inPlace(record):
			open = true
			c.conduct(ctx, group, term, view, record, now)
		case leads:
			c.say(group, "")
		case group != MetaGroup && record.Settled && !record.Has(c.Self):
			open = true
			c.drop(group)
		}
	}
	return open
}

// inPlace: the group is as its record wants it, and this node may lead it.
func (c *Conductor) inPlace(record roster.Placement) bool {
	return record.Settled && (record.Leader == c.Self || record.Leader == 0) && (c.Fit(c.Self) || !slices.ContainsFunc(record.Voters, c.Fit))
}

// heir is the voter that shall lead a group in the place of this node; 0 = none, now.
// A node that is not fit gives to any that is, before a record says so; a fit one gives
// to no other.
func (c *Conductor) heir(group uint16, s *Status, record roster.Placement) uint64 {
	if c.Fit(c.Self) {
		return Give(c.Self, s, record, c.Fit)
	}
	if to := Successor(c.Self, group, s, record, c.Fit); to != 0 {
		return to
	}
	return Give(c.Self, s, record, c.Alive)
}

// ready notes who leads, and tells whether something may be done for a group.
func (c *Conductor) ready(group uint16, term uint64, leads bool, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case !leads:
		delete(c.held, group)
		delete(c.why, group)
	case c.held[group].term != term:
		c.held[group] = tenure{term, now}
	}
	return !c.busy[group] && !c.going && !now.Before(c.pause[group])
}

// conduct takes the next step for a group that this node leads.
func (c *Conductor) conduct(ctx context.Context, group uint16, term uint64, view *roster.View, record roster.Placement, now time.Time) {
	status, err := c.Status(group)
	if err != nil {
		return // it is led no more, or the node stops
	}
	step := Next(c.Self, &status, record, c.Alive)
	c.say(group, step.Why)
	switch step.Do {
	case Change:
		c.change(group, step)
	case Transfer:
		c.handOver(ctx, group, term, step.To)
	case Nothing, Wait:
		if to := c.heir(group, &status, record); to != 0 && c.mayGive(group, view, now) {
			c.handOver(ctx, group, term, to)
		}
	}
}

func (c *Conductor) say(group uint16, why string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, moved := c.why[group]; moved && why == "" {
		c.count.moves++
	}
	if c.why[group] = why; why == "" {
		delete(c.why, group)
	}
}

// mayGive paces what is given away for balance alone. A node that drains,
// leaves or is not fit does not wait; nor does anyone after an order to rebalance.
func (c *Conductor) mayGive(group uint16, view *roster.View, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	self, _ := view.Member(c.Self)
	if self.GetDraining() || self.GetLeaving() || !c.Fit(c.Self) || now.Before(c.hurry) {
		return true
	}
	if c.eyes.stableFor(now) < c.Rules.StableFor || now.Sub(c.held[group].since) < c.Rules.StableFor || now.Sub(c.lastGive) < c.GiveEvery {
		return false
	}
	c.lastGive = now
	return true
}

// change begins a change of configuration, if not too many are under way.
func (c *Conductor) change(group uint16, step Step) {
	c.mu.Lock()
	if c.changes >= maxChanges {
		c.mu.Unlock()
		return
	}
	c.changes++
	c.busy[group] = true
	c.mu.Unlock()
	c.Logger.Debug("placement: change", "group", group, "step", step.Why, "voters", step.Conf.Voters, "learners", step.Conf.Learners)
	c.Change(group, step.Conf, func(err error) {
		c.mu.Lock()
		c.changes--
		c.count.end(stepChange, err)
		c.mu.Unlock()
		c.ended(group, err)
	})
}

// drop removes a replica that has no part. The replicas refuse it while there
// is a leader that counts on it.
func (c *Conductor) drop(group uint16) {
	c.mu.Lock()
	c.busy[group] = true
	c.mu.Unlock()
	c.Remove(group, func(err error) {
		c.mu.Lock()
		c.count.end(stepRemove, err)
		c.mu.Unlock()
		c.ended(group, err)
	})
}

// ended ends what made a group busy. It does not block.
func (c *Conductor) ended(group uint16, err error) {
	c.mu.Lock()
	delete(c.busy, group)
	delete(c.pause, group)
	if err != nil {
		c.pause[group] = time.Now().Add(retryAfter)
	}
	c.mu.Unlock()
	if err != nil {
		c.Logger.Debug("placement: a step failed; it is tried again", "group", group, "error", err)
	}
	c.Wake()
}

// handOver gives a leadership away, if not too many are under way.
func (c *Conductor) handOver(ctx context.Context, group uint16, term, to uint64) {
	select {
	case c.slots <- struct{}{}:
	default:
		return
	}
	c.mu.Lock()
	c.busy[group] = true
	c.mu.Unlock()
	c.calls.Go(func() {
		err := c.give(ctx, group, term, to)
		<-c.slots
		c.ended(group, err)
	})
}

// give gives a leadership away and waits until it is gone.
func (c *Conductor) give(ctx context.Context, group uint16, term, to uint64) error {
	yielding, cancel := context.WithTimeout(ctx, yieldTime)
	err := c.Yield(yielding, group)
	cancel()
	if err != nil {
		c.Logger.Debug("placement: leadership goes with work under way", "group", group, "error", err)
	}
	waiting, cancel := context.WithTimeout(ctx, handOverTime)
	defer cancel()
	if err = c.Transfer(group, to); err == nil {
		err = c.gone(waiting, group, term)
	}
	c.mu.Lock()
	c.count.end(stepTransfer, err)
	c.mu.Unlock()
	if err == nil {
		return nil
	}
	if now, leads := c.Leads(group); leads && now == term && c.Kept != nil {
		c.Kept(group, term)
	}
	return err
}

// gone waits until a leadership is over.
func (c *Conductor) gone(ctx context.Context, group uint16, term uint64) error {
	for {
		c.mu.Lock()
		pulse := c.pulse
		c.mu.Unlock()
		if now, leads := c.Leads(group); !leads || now != term {
			return nil
		}
		select {
		case <-pulse:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// led are the groups that this node leads, ascending.
func (c *Conductor) led() []uint16 {
	return slices.DeleteFunc(slices.Clone(c.Groups()), func(group uint16) bool {
		_, leads := c.Leads(group)
		return !leads
	})
}
