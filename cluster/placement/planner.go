package placement

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/rouse-im/rouse/cluster/roster"
	"github.com/rouse-im/rouse/storage"
)

const (
	planEvery   = time.Second
	watchEvery  = 5 * time.Second        // where another node plans
	busyEvery   = 200 * time.Millisecond // while replicas move
	leastRest   = 20 * time.Millisecond  // between two turns, however much happens
	observeTime = 2 * time.Second        // for all answers
	writeTime   = 5 * time.Second
	// sureAfter is three times the time in which a leader that is cut off notices:
	// what it told unchanged for so long, it told as the leader. By then it does not
	// go by a former record either.
	sureAfter = 3 * time.Second
)

// PlannerOptions of a Planner; all are needed.
type PlannerOptions struct {
	Roster *roster.Roster
	Rules  Rules
	// Alive tells whether a node is alive, without blocking.
	Alive func(node uint64) bool
	// DiskLow tells whether a living node has no room to lead, nor for new replicas,
	// without blocking.
	DiskLow func(node uint64) bool
	// Deaf tells whether a living node hears no leader of the meta group, without
	// blocking.
	Deaf func(node uint64) bool
	// Leads tells whether this node leads the meta group, all of it applied.
	Leads func() (term uint64, ok bool)
	// Observe asks the leaders of these groups how they are. It ends with ctx;
	// what was not told is left out.
	Observe func(ctx context.Context, groups []uint16) map[uint16]Observed
	// Propose writes to the meta group under a term, as storage.Store.Propose does.
	Propose func(term uint64, ms []storage.Mutation, done func(error))
	Logger  *slog.Logger
}

// Planner keeps the records of placement as Plan wants them, while its node
// leads the meta group. It sees all nodes' deaths on every node.
type Planner struct {
	PlannerOptions
	Sightings
	changed <-chan struct{}
	wake    chan struct{} // holds one
	term    uint64        // of the last turn as a leader, 0 = it was none
	heard   map[uint16]heard
	moving  bool // as was told last
}

// heard is what the leader of a group tells, the same since a time, under a record
// that wants the same replicas since then.
type heard struct {
	Observed
	want  roster.Placement
	since time.Time
}

// NewPlanner makes a Planner that does nothing before Run.
func NewPlanner(o PlannerOptions) *Planner {
	return &Planner{PlannerOptions: o, changed: o.Roster.Changed(), wake: make(chan struct{}, 1), heard: make(map[uint16]heard)}
}

// Wake says that the living, who leads the meta group, or a group on this node may have
// changed. It does not block.
func (p *Planner) Wake() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// Run plans on each change of the members, when it is woken, and every second, or more
// often while replicas move, until ctx ends. Where another node plans it only looks who lives.
func (p *Planner) Run(ctx context.Context) {
	timer := time.NewTimer(planEvery)
	defer timer.Stop()
	for {
		p.turn(ctx, time.Now())
		timer.Reset(leastRest)
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		timer.Reset(p.rest())
		select {
		case <-ctx.Done():
			return
		case <-p.changed:
		case <-p.wake:
		case <-timer.C:
		}
	}
}

func (p *Planner) rest() time.Duration {
	switch {
	case p.term == 0:
		return watchEvery
	case len(p.heard) > 0:
		return busyEvery
	}
	return planEvery
}

func (p *Planner) turn(ctx context.Context, now time.Time) {
	p.Look(p.Roster.View(), p.Alive, now)
	term, leads := p.Leads()
	if !leads {
		p.term = 0
		clear(p.heard)
		return
	}
	if term != p.term {
		p.term = term
		p.Doubt(now)
		clear(p.heard)
	}
	p.observe(ctx, p.Roster.View(), now)
	ctx, cancel := context.WithTimeout(ctx, writeTime)
	defer cancel()
	err := p.Roster.Update(ctx, func(ms []storage.Mutation, done func(error)) { p.Propose(term, ms, done) },
		func(v *roster.View) ([]storage.Mutation, error) { return p.mutations(v, now) })
	if err != nil && !errors.Is(err, context.Canceled) {
		p.Logger.Warn("placement: a plan was not written; it is made again in a second", "error", err)
	}
	p.tell()
}

// tell logs when replicas begin to move, and when all are in place.
func (p *Planner) tell() {
	v, open := p.Roster.View(), 0
	for _, record := range v.Placements() {
		if !record.Settled {
			open++
		}
	}
	if p.moving == (open > 0) {
		return
	}
	p.moving = open > 0
	if p.moving {
		p.Logger.Info("placement: replicas move", "groups", open, "of", len(v.Placements()), "nodes", len(v.Members()))
		return
	}
	p.Logger.Info("placement: all replicas are where they shall be", "groups", len(v.Placements()), "nodes", len(v.Members()))
}

// observe asks about the groups that are not settled.
func (p *Planner) observe(ctx context.Context, v *roster.View, now time.Time) {
	var open []uint16
	for group, record := range v.Placements() {
		if !record.Settled {
			open = append(open, group)
		}
	}
	told := make(map[uint16]Observed)
	if len(open) > 0 {
		slices.Sort(open)
		ctx, cancel := context.WithTimeout(ctx, observeTime)
		defer cancel()
		told = p.Observe(ctx, open)
	}
	maps.DeleteFunc(p.heard, func(group uint16, _ heard) bool { _, ok := told[group]; return !ok })
	for group, x := range told {
		was, ok := p.heard[group]
		want := v.Placements()[group]
		if !ok || was.Leader != x.Leader || was.Term != x.Term || !was.Conf.same(x.Conf) || !was.want.SameReplicas(want) {
			was.since = now
		}
		p.heard[group] = heard{x, want, was.since}
	}
}

// mutations are what brings the records to the plan for this moment.
func (p *Planner) mutations(v *roster.View, now time.Time) ([]storage.Mutation, error) {
	changes := Plan(p.state(v, now), p.Rules, now)
	ms, err := roster.Place(changes)
	if err != nil {
		return nil, err
	}
	for _, m := range v.Members() {
		if !m.GetLeaving() || !v.Unused(m.GetNode()) {
			continue
		}
		gone, err := v.Forget(m.GetNode(), now)
		if err != nil {
			return nil, err
		}
		p.Logger.Info("placement: a node has left", "node", roster.NodeID(m.GetNode()), "name", m.GetName())
		ms = append(ms, gone...)
	}
	if len(changes) > 0 {
		p.Logger.Debug("placement: planned", "groups", len(changes))
	}
	return ms, nil
}

func (p *Planner) state(v *roster.View, now time.Time) State {
	s := State{Nodes: p.nodes(v, now), Records: v.Placements(), Observed: make(map[uint16]Observed, len(p.heard))}
	for group, x := range p.heard {
		x.Sure = now.Sub(x.since) >= sureAfter && x.want.SameReplicas(v.Placements()[group])
		s.Observed[group] = x.Observed
	}
	return s
}

// nodes are the members as seen, with what they tell of their disks.
func (p *Planner) nodes(v *roster.View, now time.Time) []Node {
	nodes := p.Nodes(v, now)
	for i := range nodes {
		nodes[i].DiskLow, nodes[i].Deaf = p.DiskLow(nodes[i].ID), p.Deaf(nodes[i].ID)
	}
	return nodes
}

// Preview is what the records would become in the end, by group, if the nodes
// stayed as they are: those that would change. It may be called on any node.
func (p *Planner) Preview(now time.Time) map[uint16]roster.Placement {
	v := p.Roster.View()
	p.Look(v, p.Alive, now)
	nodes := p.nodes(v, now)
	after := make(map[uint16]roster.Placement)
	for group, record := range v.Placements() {
		after[group] = desired(group, record, nodes, p.Rules, now)
	}
	for group, leader := range Leaders(after, nodes, p.Rules, now) {
		x := after[group]
		x.Leader = leader
		after[group] = x
	}
	maps.DeleteFunc(after, func(group uint16, x roster.Placement) bool { return x.Equal(v.Placements()[group]) })
	return after
}
