package lane

import (
	"time"

	"golang.org/x/time/rate"
)

// pace says how many pushes may go, and when: a token bucket at the configured
// rate, a pause when the vendor asks for one, and a lower rate after that, which
// grows back. A lane without a configured rate gets one when it is throttled,
// from what it sent before.
type pace struct {
	bucket  *rate.Limiter
	nominal rate.Limit // configured
	burst   int        // configured
	// ceiling is where a lowered rate ends and the nominal one returns;
	// 0 = the rate is the nominal one.
	ceiling   rate.Limit
	until     time.Time // end of the pause
	loweredAt time.Time
	grownAt   time.Time
	throttles int // in a row
	why       obstacle
	sent      meter
}

// learnedMin, pushes per second, is the least that an unlimited lane is taken to
// have sent before its first throttling: a quiet lane has not shown its rate.
const learnedMin = 50

// floorShare is the part of the ceiling below which the rate never falls, and
// growShare what it regains each second: half is regained in 25 s.
const (
	floorShare = 1.0 / 16
	growShare  = 1.0 / 50
)

func newPace(o Options) pace {
	p := pace{nominal: rate.Limit(o.PerSecond), burst: o.Burst}
	if o.PerSecond == 0 {
		p.nominal = rate.Inf
	}
	p.bucket = rate.NewLimiter(p.nominal, p.burst)
	return p
}

// configure sets a new nominal rate and forgets what the vendor said, but not
// what was sent.
func (p *pace) configure(o Options, now time.Time) {
	fresh := newPace(o)
	p.bucket.SetLimitAt(now, fresh.nominal)
	p.bucket.SetBurstAt(now, fresh.burst)
	fresh.bucket, fresh.sent = p.bucket, p.sent
	*p = fresh
}

// take tells whether one push may go now and counts it.
func (p *pace) take(now time.Time) bool {
	if now.Before(p.until) {
		return false
	}
	p.grow(now)
	if !p.bucket.AllowN(now, 1) {
		return false
	}
	p.sent.add(now)
	return true
}

// next is when take will be true again. It waits for the tokens of a
// millisecond, as far as the burst goes, so that a fast lane does not wake for
// each push.
func (p *pace) next(now time.Time) time.Time {
	if now.Before(p.until) {
		return p.until
	}
	limit := p.bucket.Limit()
	tokens := p.bucket.TokensAt(now)
	if limit == rate.Inf || tokens >= 1 {
		return now
	}
	want := max(1, min(float64(limit)/1000, float64(p.bucket.Burst())))
	wait := (want - tokens) / float64(limit) * float64(time.Second)
	return now.Add(time.Duration(min(wait, float64(retryAfterMax))) + time.Microsecond)
}

// throttle notes that the vendor refused a push sent at sentAt for the sake of
// the rate, and asked for a pause (0 = did not say). Of the pushes that were in
// flight together only the first lowers the rate.
func (p *pace) throttle(sentAt time.Time, asked time.Duration, why obstacle, now time.Time) {
	pause := clampRetryAfter(asked, doubled(throttlePause, throttlePauseMax, p.throttles), retryAfterMax)
	first := p.loweredAt.IsZero() || sentAt.After(p.loweredAt)
	if first {
		p.lower(now)
		p.throttles++
		p.loweredAt, p.why = now, why
	} else if asked <= 0 {
		return
	}
	if end := now.Add(pause); end.After(p.until) {
		p.until = end
	}
	p.grownAt = p.until
}

func (p *pace) lower(now time.Time) {
	limit := p.bucket.Limit()
	if p.ceiling == 0 {
		p.ceiling = p.nominal
		if p.nominal == rate.Inf {
			limit = max(learnedMin, p.sent.perSecond(now))
			p.ceiling = 2 * limit
			p.bucket.SetBurstAt(now, int(limit/10))
		}
	}
	p.bucket.SetLimitAt(now, max(limit/2, p.ceiling*floorShare))
}

// succeed notes that the vendor took a push sent at sentAt.
func (p *pace) succeed(sentAt time.Time) {
	if sentAt.After(p.loweredAt) {
		p.throttles = 0
	}
}

// grow raises a lowered rate by growShare for each whole second since the pause.
func (p *pace) grow(now time.Time) {
	if p.ceiling == 0 {
		return
	}
	seconds := now.Sub(p.grownAt) / time.Second
	if seconds <= 0 {
		return
	}
	p.grownAt = p.grownAt.Add(seconds * time.Second)
	limit := p.bucket.Limit() + p.ceiling*growShare*rate.Limit(seconds)
	if limit >= p.ceiling {
		limit, p.ceiling = p.nominal, 0
		p.bucket.SetBurstAt(now, p.burst)
	}
	p.bucket.SetLimitAt(now, limit)
}

// meter counts sends in windows of one second.
type meter struct {
	from      time.Time
	n, before int
}

func (m *meter) add(now time.Time) {
	m.turn(now)
	m.n++
}

func (m *meter) turn(now time.Time) {
	age := now.Sub(m.from)
	if age < time.Second {
		return
	}
	m.before = 0
	if age < 2*time.Second {
		m.before = m.n
	}
	m.from, m.n = now, 0
}

// perSecond is what was sent in the last whole window, or in the one under way
// if that is more.
func (m *meter) perSecond(now time.Time) rate.Limit {
	m.turn(now)
	return rate.Limit(max(m.n, m.before))
}
