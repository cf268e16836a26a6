package bench

import (
	"context"
	"errors"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

// replicated: what three replicas cost against one, on the same CPUs: presence
// events, and messages with their pushes, each on the disks of two nodes before it
// is answered.
func replicated(ctx context.Context, r *runner) (err error) {
	one, err := r.startPair(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, one.stop()) }()
	t, err := r.startTrio(ctx, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.stop()) }()
	three, err := r.startPair(ctx, t)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, three.node.hangUp(), three.fake.stop()) }()
	if err := r.warm(ctx, one, three); err != nil {
		return err
	}
	for i, n := range t.nodes {
		if err := r.record(n.child, "cluster-"+t.seats[i].Name); err != nil {
			return err
		}
	}
	if err := r.record(one.node.child, "cluster-alone"); err != nil {
		return err
	}
	if err := r.compareIntake(ctx, one.node, three.node); err != nil {
		return err
	}
	if err := r.comparePushes(ctx, one, three); err != nil {
		return err
	}
	r.add(clusterRate, "events that the client sent to the cluster again", float64(three.node.repeated.Load()), "", nil)
	return nil
}

// startPair is an engine, or the cluster t in its place, with a fake vendor.
func (r *runner) startPair(ctx context.Context, t *trio) (_ *rig, err error) {
	g := &rig{runner: r, users: r.Size.Users}
	defer func() {
		if err != nil {
			err = errors.Join(err, g.stop())
		}
	}()
	if g.fake, err = r.spawn(ctx, "fake"); err != nil {
		return g, err
	}
	if err := g.fake.call("Start", Nothing{}, &g.vendor); err != nil {
		return g, err
	}
	if t == nil {
		g.node, err = r.startNode(ctx, 0)
	} else {
		g.node, err = t.load(ctx, "bench")
	}
	if err != nil {
		return g, err
	}
	if err := g.node.credential(ctx, g.vendor, 0); err != nil {
		return g, err
	}
	r.say("  binding %d tokens", g.users)
	return g, g.node.bind(ctx, g.users, notifier)
}

func (r *runner) warm(ctx context.Context, rigs ...*rig) error {
	for _, g := range rigs {
		_, err := g.node.presence(ctx, r.Size.Users, r.Size.Users, 1, 0)
		if err != nil {
			return err
		}
		if err := g.allOffline(ctx); err != nil {
			return err
		}
		if _, err := g.enginePushes(ctx, r.Size.Pushes/4); err != nil {
			return err
		}
	}
	return nil
}

// allOffline ends every session, so that messages wake somebody.
func (g *rig) allOffline(ctx context.Context) error {
	g.node.session++
	return g.node.send(ctx, g.users, func(i int) *rousev1.Event {
		return presenceOf(i, g.node.session, rousev1.SessionState_SESSION_STATE_DISCONNECTED)
	})
}

func presenceOf(user int, session uint64, state rousev1.SessionState) *rousev1.Event {
	return &rousev1.Event{Kind: &rousev1.Event_Presence{Presence: &rousev1.PresenceEvent{
		UserId: userID(user), DeviceId: deviceID(user, 0), Session: session, State: state,
	}}}
}

const clusterRate = "cluster-rate"

func (r *runner) compareIntake(ctx context.Context, one, three *node) error {
	var alone, rates, ratios, cost []float64
	for range r.Size.Rounds {
		a, err := one.presence(ctx, r.Size.Events, r.Size.Users, 1, 0)
		if err != nil {
			return err
		}
		b, err := three.presence(ctx, r.Size.Events, r.Size.Users, 1, 0)
		if err != nil {
			return err
		}
		alone, rates = append(alone, a.rate), append(rates, b.rate)
		ratios, cost = append(ratios, b.rate/a.rate), append(cost, float64(b.cpu)/float64(max(a.cpu, 1)))
	}
	r.median(clusterRate, "one node: presence events on disk", alone, "/s", nil)
	r.median(clusterRate, "three replicas: presence events on two disks", rates, "/s", nil)
	r.median(clusterRate, "rate of presence events, three replicas ÷ one node", ratios, "", atLeast(0.4))
	r.median(clusterRate, "CPU of an event in all processes, three replicas ÷ one node", cost, "", nil)
	return nil
}

func (r *runner) comparePushes(ctx context.Context, one, three *rig) error {
	for _, g := range []*rig{one, three} {
		if err := g.allOffline(ctx); err != nil {
			return err
		}
	}
	var alone, rates, ratios []float64
	for range r.Size.Rounds {
		a, err := one.enginePushes(ctx, r.Size.Pushes)
		if err != nil {
			return err
		}
		b, err := three.enginePushes(ctx, r.Size.Pushes)
		if err != nil {
			return err
		}
		alone, rates, ratios = append(alone, a.rate), append(rates, b.rate), append(ratios, b.rate/a.rate)
	}
	r.median(clusterRate, "one node: pushes", alone, "/s", nil)
	r.median(clusterRate, "three replicas: pushes", rates, "/s", nil)
	r.median(clusterRate, "rate of pushes, three replicas ÷ one node", ratios, "", atLeast(0.4))
	return nil
}
