package bench

import (
	"context"
	"errors"
	"time"

	"github.com/rouse-im/rouse/vendors/fake"
)

const (
	limitPerSecond = 500
	// overload is the load by which the limit is exceeded.
	overload = 1.4
	// adapting is the time after the first refusal in which those that were
	// under way are refused too.
	adapting = time.Second
)

// limits: a vendor that enforces its rate, known to the engine or not.
func limits(ctx context.Context, r *runner) error {
	for _, c := range []struct {
		what  string
		known int
		least *Reach
	}{
		{"rate of the credential = the vendor's limit", limitPerSecond, atLeast(0.97)},
		{"no rate configured", 0, nil},
	} {
		if err := r.limit(ctx, c.what, c.known, c.least); err != nil {
			return err
		}
	}
	return nil
}

func (r *runner) limit(ctx context.Context, what string, known int, used *Reach) (err error) {
	s, err := r.startSquad(ctx, r.Size.Users/10, limitPerSecond)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	if err := errors.Join(s.node.put(ctx, hmsCredential(&s.vendor, false, known)), s.fake.call("Delay", vendorLatency, &Nothing{})); err != nil {
		return err
	}
	sent := make(chan error, 1)
	go func() {
		sent <- s.node.steady(ctx, limitPerSecond*overload, messagesIn(limitPerSecond*overload, r.Size.Limit), s.users)
	}()
	x, err := s.watch(sent)
	if err != nil {
		return err
	}
	r.add("limit", what+": part of the limit used", float64(x.accepted)/(limitPerSecond*max(x.length, time.Millisecond).Seconds()), "", used)
	r.add("limit", what+": refusals of the first adaptation", float64(x.first), "", nil)
	r.add("limit", what+": refusals after it", float64(x.later), "", atMost(0))
	return nil
}

// limited is what a vendor saw of a load above its limit, from its first pushes on.
type limited struct {
	accepted, first, later int64
	length                 time.Duration
}

// watch looks at the vendor until the load has ended.
func (s *squad) watch(sent <-chan error) (x limited, err error) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	var began, refused time.Time
	var before int64
	for {
		select {
		case <-tick.C:
		case err := <-sent:
			return x, err
		}
		var stats fake.HuaweiStats
		if err := s.fake.call("Stats", Nothing{}, &stats); err != nil {
			return x, err
		}
		now, n := time.Now(), stats.Codes[flowControl]
		if began.IsZero() && stats.Accepted > 0 {
			began, before = now, stats.Accepted
		}
		x.accepted, x.length = stats.Accepted-before, now.Sub(began)
		if n > 0 && refused.IsZero() {
			refused = now
		}
		if refused.IsZero() || now.Sub(refused) < adapting {
			x.first = n
		}
		x.later = n - x.first
	}
}
