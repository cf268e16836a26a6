package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/internal/demo"
)

// steady sends so many messages at an even rate, to the users in turn. The load
// does not wait for answers: a message that the engine takes late is late for its
// vendor too.
func (n *node) steady(ctx context.Context, perSecond, count, users int) error {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	start := time.Now()
	return n.send(ctx, count, func(i int) *rousev1.Event {
		due := start.Add(time.Duration(i) * time.Second / time.Duration(perSecond))
		for time.Now().Before(due) {
			<-tick.C
		}
		m := message(0, i, i%users)
		m.GetMessage().MessageId = timed(i, time.Now())
		return m
	})
}

// messagesIn is how many come at a rate in a time.
func messagesIn(perSecond float64, length time.Duration) int {
	return int(perSecond * length.Seconds())
}

// ward is an engine with the fakes of all vendors.
type ward struct {
	*runner
	node  *node
	fakes *child
	names []string // of the credentials, to which the users are bound in turn
	users int
}

// So many users that none gets two messages within a second.
const delayedUsers, hangingUsers = 4000, 1800

// startWard has the credentials of one vendor, or of all when it is empty.
func (r *runner) startWard(ctx context.Context, only string, users int) (_ *ward, err error) {
	w := &ward{runner: r, users: min(users, r.Size.Users)}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.stop())
		}
	}()
	if w.fakes, err = r.spawn(ctx, "vendors"); err != nil {
		return w, err
	}
	var texts [][]byte
	if err := w.fakes.call("Start", Nothing{}, &texts); err != nil {
		return w, err
	}
	credentials, err := readCredentials(texts)
	if err != nil {
		return w, err
	}
	if w.node, err = r.startNode(ctx, 0); err != nil {
		return w, err
	}
	for _, c := range credentials {
		if c.GetName() == demo.IOSVoIP || only != "" && demo.VendorOf(c.GetName()) != only {
			continue
		}
		if err := w.node.put(ctx, c); err != nil {
			return w, err
		}
		w.names = append(w.names, c.GetName())
	}
	r.say("  binding %d tokens of %d vendors", w.users, len(w.names))
	if err := w.node.bind(ctx, w.users, w.names...); err != nil {
		return w, err
	}
	// Connections and access tokens are there in all that counts.
	_, err = w.times(ctx, r.Size.PerSecond, max(r.Size.Quiet/4, time.Second/10), "")
	return w, err
}

func (w *ward) stop() error {
	var errs []error
	if w.fakes != nil { // first, so that requests without an answer end
		errs = append(errs, w.fakes.stop())
	}
	if w.node != nil {
		errs = append(errs, w.node.stop())
	}
	return errors.Join(errs...)
}

// times sends at an even rate and answers how long the pushes took, without those
// of one vendor, which may never come.
func (w *ward) times(ctx context.Context, perSecond int, length time.Duration, but string) ([]time.Duration, error) {
	count, want := messagesIn(float64(perSecond), length), Want{But: but}
	for i := range count {
		if demo.VendorOf(w.names[i%w.users%len(w.names)]) != but {
			want.Count++
		}
	}
	if err := w.node.steady(ctx, perSecond, count, w.users); err != nil {
		return nil, err
	}
	t := Times{}
	err := w.fakes.call("Times", want, &t)
	return t.but(but), err
}

// delays: how long a push takes to the vendor at a moderate rate.
func delays(ctx context.Context, r *runner) (err error) {
	w, err := r.startWard(ctx, demo.APNs, delayedUsers)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.stop()) }()
	if err := r.record(w.node.child, "delay"); err != nil {
		return err
	}
	const perSecond = 2000
	var p50, p99, rate []float64
	for range r.Size.Rounds {
		start := time.Now()
		times, err := w.times(ctx, perSecond, r.Size.Quiet, "")
		if err != nil {
			return err
		}
		rate = append(rate, float64(len(times))/time.Since(start).Seconds())
		p50, p99 = append(p50, millis(percentile(times, 50))), append(p99, millis(percentile(times, 99)))
	}
	r.median("delay", "messages", rate, "/s", nil)
	r.median("delay", "p50 from the IM node to the vendor", p50, "ms", atMost(2))
	r.median("delay", "p99 from the IM node to the vendor", p99, "ms", atMost(5))
	return nil
}

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// phase is rounds of the workload hang, of the same length.
type phase struct {
	all      []time.Duration
	p50, p99 []float64 // of each round
}

func (w *ward) phase(ctx context.Context, p *phase, rounds int, but string) error {
	for range rounds {
		times, err := w.times(ctx, w.Size.PerSecond, w.Size.Quiet, but)
		if err != nil {
			return err
		}
		p.all = append(p.all, times...)
		p.p50, p.p99 = append(p.p50, millis(percentile(times, 50))), append(p.p99, millis(percentile(times, 99)))
	}
	return nil
}

// hang: what the others notice when one vendor does not answer any more. It is
// quiet before and after.
func hang(ctx context.Context, r *runner) (err error) {
	w, err := r.startWard(ctx, "", hangingUsers)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.stop()) }()
	if err := r.record(w.node.child, "hang"); err != nil {
		return err
	}
	const hung = demo.Huawei
	rounds := max(1, int(r.Size.Hang/r.Size.Quiet))
	rest := max(1, rounds/6)
	var quiet, hanging phase
	r.say("  rounds of %v: %d quiet, %d in which %s does not answer, %d quiet", r.Size.Quiet, rest, rounds, demo.Name(hung), rest)
	if err := w.phase(ctx, &quiet, rest, hung); err != nil {
		return err
	}
	if err := w.fakes.call("Hang", hung, &Nothing{}); err != nil {
		return err
	}
	err = w.phase(ctx, &hanging, rounds, hung)
	if err = errors.Join(err, w.fakes.call("Heal", hung, &Nothing{})); err != nil {
		return err
	}
	if err := w.phase(ctx, &quiet, rest, hung); err != nil {
		return err
	}
	during := fmt.Sprintf("%s hangs for %v", demo.Name(hung), r.Size.Hang)
	r.whole("hang", "quiet, all vendors but "+demo.Name(hung)+": p50", millis(percentile(quiet.all, 50)), quiet.p50, "ms")
	r.whole("hang", during+", the others: p50", millis(percentile(hanging.all, 50)), hanging.p50, "ms")
	r.whole("hang", "quiet, all vendors but "+demo.Name(hung)+": p99", millis(percentile(quiet.all, 99)), quiet.p99, "ms")
	r.whole("hang", during+", the others: p99", millis(percentile(hanging.all, 99)), hanging.p99, "ms")
	r.add("hang", "p99, hanging ÷ quiet", float64(percentile(hanging.all, 99))/float64(percentile(quiet.all, 99)), "", atMost(2))
	return nil
}
