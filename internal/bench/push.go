package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/vendors/fake"
)

const (
	title = "Ann Example"
	body  = "Are you coming to the station tonight, or shall I wait for you at home?"
	// defaultStreams of a connection, and how many connections there are by default.
	defaultStreams = 900
	slow           = 50 * time.Millisecond
	// fewStreams is what a small machine can keep busy at the slow vendor.
	fewStreams = 100
)

// message n of a round for user to. What a phone gets of it is barePayload.
func message(round, n, to int) *rousev1.Event {
	return &rousev1.Event{Kind: &rousev1.Event_Message{Message: &rousev1.MessageEvent{
		MessageId: fmt.Sprintf("message-%d-%09d", round, n), Recipients: []string{userID(to)}, Sender: userID(to + 1),
		ConversationType: rousev1.ConversationType_CONVERSATION_TYPE_DIRECT, ConversationId: userID(to + 1),
		Content: &rousev1.Content{Title: title, Body: body, Sound: "default"},
	}}}
}

// rig is the three processes of a comparison of pushes.
type rig struct {
	*runner
	node       *node
	fake, bare *child
	vendor     Vendor
	users      int
	round      int
}

func (r *runner) startRig(ctx context.Context) (_ *rig, err error) {
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
	if g.bare, err = r.spawn(ctx, "bare"); err != nil {
		return g, err
	}
	if err := g.bare.call("Start", g.vendor, &Nothing{}); err != nil {
		return g, err
	}
	if g.node, err = r.startNode(ctx, 0); err != nil {
		return g, err
	}
	if err := g.node.credential(ctx, g.vendor, 0); err != nil {
		return g, err
	}
	r.say("  binding %d tokens", g.users)
	if err := g.node.bind(ctx, g.users, notifier); err != nil {
		return g, err
	}
	// Connections, pools and caches are warm in all rounds that count.
	if _, err := g.barePushes(g.Size.Pushes/4, defaultStreams); err != nil {
		return g, err
	}
	_, err = g.enginePushes(ctx, g.Size.Pushes/4)
	return g, err
}

func (g *rig) stop() error {
	var errs []error
	if g.node != nil {
		errs = append(errs, g.node.stop())
	}
	for _, c := range []*child{g.bare, g.fake} {
		if c != nil {
			errs = append(errs, c.stop())
		}
	}
	return errors.Join(errs...)
}

// barePushes runs one round of the bare loop.
func (g *rig) barePushes(pushes, workers int) (took, error) {
	return g.pushed(g.bare, "CPU", pushes, func() error {
		return g.bare.call("Run", Round{Pushes: pushes, Workers: workers}, &Nothing{})
	})
}

// enginePushes runs one round of messages, each for one of the users in turn.
func (g *rig) enginePushes(ctx context.Context, pushes int) (took, error) {
	g.round++
	return g.pushed(g.node.child, "Settled", pushes, func() error {
		return g.node.send(ctx, pushes, func(i int) *rousev1.Event { return message(g.round, i, i%g.users) })
	})
}

// pushed measures a round: the rate in its middle, between a tenth and nine
// tenths of the pushes, as the fake sees it; the cost of all of it.
func (g *rig) pushed(of *child, settled string, pushes int, work func() error) (t took, err error) {
	var before fake.APNsStats
	var cpuBefore, cpuAfter time.Duration
	if err := errors.Join(g.fake.call("Stats", Nothing{}, &before), of.call("CPU", Nothing{}, &cpuBefore)); err != nil {
		return t, err
	}
	marks := [3]int{pushes / 10, pushes * 9 / 10, pushes}
	var at [len(marks)]time.Time
	reached := make(chan error, len(marks))
	for i := range marks {
		go func() { reached <- g.fake.call("Await", before.Accepted+int64(marks[i]), &at[i]) }()
	}
	if err := work(); err != nil {
		return t, err
	}
	for range marks {
		err = errors.Join(err, <-reached)
	}
	if err = errors.Join(err, of.call(settled, Nothing{}, &cpuAfter)); err != nil {
		return t, err
	}
	t.rate = float64(marks[1]-marks[0]) / max(at[1].Sub(at[0]), time.Millisecond).Seconds()
	t.cpu = (cpuAfter - cpuBefore) / time.Duration(pushes)
	return t, nil
}

// sides are rounds of the bare loop and of the engine, in turns.
type sides struct {
	bareRate, engineRate, bareCPU, engineCPU, cpuRatio, rateRatio []float64
}

func (g *rig) compare(ctx context.Context, pushes, workers int) (s sides, err error) {
	for range g.Size.Rounds {
		b, err := g.barePushes(pushes, workers)
		if err != nil {
			return s, err
		}
		e, err := g.enginePushes(ctx, pushes)
		if err != nil {
			return s, err
		}
		s.bareRate, s.engineRate = append(s.bareRate, b.rate), append(s.engineRate, e.rate)
		s.bareCPU, s.engineCPU = append(s.bareCPU, micros(b.cpu)), append(s.engineCPU, micros(e.cpu))
		s.cpuRatio = append(s.cpuRatio, float64(b.cpu)/float64(max(e.cpu, 1)))
		s.rateRatio = append(s.rateRatio, e.rate/b.rate)
	}
	return s, nil
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// pushes: what the engine costs above the client of the vendor.
func pushes(ctx context.Context, r *runner) (err error) {
	g, err := r.startRig(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, g.stop()) }()
	if err := errors.Join(r.record(g.node.child, "engine"), r.record(g.bare, "bare")); err != nil {
		return err
	}
	s, err := g.compare(ctx, g.Size.Pushes, defaultStreams)
	if err != nil {
		return err
	}
	r.median("push", "bare apns2: CPU of a push", s.bareCPU, "µs", nil)
	r.median("push", "engine, all durable: CPU of a push", s.engineCPU, "µs", nil)
	r.median("push", "pushes per CPU second, engine ÷ bare", s.cpuRatio, "", atLeast(0.7))
	r.median("push", "bare apns2: pushes", s.bareRate, "/s", nil)
	r.median("push", "engine, with load and fake on the same CPUs: pushes", s.engineRate, "/s", nil)
	return nil
}

// slowPushes: whether the streams of a connection are kept busy.
func slowPushes(ctx context.Context, r *runner) (err error) {
	g, err := r.startRig(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, g.stop()) }()
	if err := g.fake.call("Delay", slow, &Nothing{}); err != nil {
		return err
	}
	for _, streams := range []int{defaultStreams, fewStreams} {
		most := float64(streams) / slow.Seconds()
		what := "default configuration (1 connection, 900 streams)"
		if streams != defaultStreams {
			what = fmt.Sprintf("%d streams", streams)
			if err := g.node.credential(ctx, g.vendor, streams); err != nil {
				return err
			}
		}
		s, err := g.compare(ctx, min(g.Size.Pushes, 2*int(most)), streams)
		if err != nil {
			return err
		}
		var part, bare []float64
		for i := range s.engineRate {
			part, bare = append(part, s.engineRate[i]/most), append(bare, s.bareRate[i]/most)
		}
		r.median("latency", what+": pushes", s.engineRate, "/s", nil)
		r.median("latency", what+": part of streams ÷ latency", part, "", atLeast(0.9))
		r.median("latency", fmt.Sprintf("bare apns2, %d streams: part of streams ÷ latency", streams), bare, "", nil)
		r.median("latency", "rate, engine ÷ bare", s.rateRatio, "", nil)
	}
	return nil
}
