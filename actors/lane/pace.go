package lane

import (
	"time"

	"golang.org/x/time/rate"
)

// pace says how many pushes may go, and when: a token bucket at the configured
// rate, a pause when the vendor asks for one, and a lower rate after that. It
// counts what the vendor counts: requests, or pushes.
//
// When a vendor throttles what was sent at full speed, what it took in a second is
// the limit that was found. It is remembered: sending goes on at half of it, rises
// to a little below it and stays there, and tries more rarely and in small steps.
// A throttling that speed does not explain halves the rate for half a minute, and
// one at the configured rate, which jitter on the way explains, only dents it.
type pace struct {
	bucket  *rate.Limiter
	nominal rate.Limit // steady rate that keeps every second within the configured one, or within the share
	burst   int        // at that rate
	// whole and wholeBurst are configured; shared says that part of them is this
	// node's.
	whole      float64
	wholeBurst int
	shared     bool
	part       share
	found      rate.Limit // limit that was found; 0 = none was
	// ceiling is where a lowered rate ends for now; 0 = the rate is the nominal one.
	ceiling   rate.Limit
	until     time.Time // end of the pause
	loweredAt time.Time
	grownAt   time.Time
	probeAt   time.Time // when the ceiling may be raised above what was found
	probeStep rate.Limit
	short     bool // a push waited for the rate since the last look
	want      int  // tokens that the last take missed
	throttles int  // in a row
	dentedAt  time.Time
	why       obstacle
	taken     meter // by the vendor
}

// learnedMin in a second, or half of a rate below twice that, is the least that
// shows a limit: a quiet lane is throttled for other reasons.
const learnedMin = 50

const (
	// floorShare is the part of the ceiling below which the rate never falls, and
	// growShare what it regains each second: half is regained in 25 s.
	floorShare = 1.0 / 16
	growShare  = 1.0 / 50
	// foundShare of a found limit is used. Half of it is for foundHold, because the
	// limit may have been measured over the turn of two of the vendor's seconds.
	foundShare = 0.9
	foundHold  = time.Minute
	// A lane at dentShare of its configured rate or above was throttled because its
	// pushes came closer together than they left. The rate falls to dentShare, and is
	// regained in 3 s. If that happens twice within dentAgain the vendor grants less
	// than was configured.
	dentShare = 0.95
	dentAgain = time.Minute
	dentPause = 100 * time.Millisecond
	// A rate at its ceiling for probeAfter is raised by growShare, and each probeEvery
	// by twice as much as before, if pushes waited for it. So a limit that was no
	// limit, but a bad hour of the vendor, is forgotten in some minutes.
	probeAfter = 5 * time.Minute
	probeEvery = time.Minute
	// burstShare of a rate may go at once.
	burstShare = 1.0 / 50
	// steadyShare of a configured rate is used: the rest is for pushes that come
	// closer together than they left, up to 22 ms of a second.
	steadyShare = 0.978
)

func newPace(o Options) pace {
	p := pace{nominal: rate.Inf, burst: o.Burst, whole: o.PerSecond, wholeBurst: o.Burst, shared: o.Shared && o.PerSecond > 0}
	if o.PerSecond > 0 {
		p.nominal = steady(o.PerSecond, o.Burst)
	}
	p.bucket = rate.NewLimiter(p.nominal, p.burst)
	return p
}

// configure sets a new nominal rate. A limit that was found is forgotten if the
// rate is another one.
func (p *pace) configure(o Options, now time.Time) {
	fresh := newPace(o)
	if fresh.whole == p.whole && fresh.wholeBurst == p.wholeBurst && fresh.shared == p.shared {
		p.until, p.throttles = time.Time{}, 0
		return
	}
	p.bucket.SetLimitAt(now, fresh.nominal)
	p.bucket.SetBurstAt(now, fresh.burst)
	fresh.bucket, fresh.taken = p.bucket, p.taken
	part := p.part
	*p = fresh
	p.use(part, now)
}

// take tells whether one may go now, and n if there are so many, as far as the
// burst goes. It counts one.
func (p *pace) take(now time.Time, n int) bool {
	if now.Before(p.until) || p.closed(now) {
		return false
	}
	p.grow(now)
	p.want = max(1, min(n, p.bucket.Burst()))
	if p.bucket.Limit() != rate.Inf && p.bucket.TokensAt(now) < float64(p.want) || !p.bucket.AllowN(now, 1) {
		p.short = true
		return false
	}
	p.want = 1
	return true
}

// also counts one that goes together with the one of take, if there is room.
func (p *pace) also(now time.Time) bool { return p.bucket.AllowN(now, 1) }

// next is when take will be true again. It waits for the tokens of a
// millisecond, as far as the burst goes, so that a fast lane does not wake for
// each push. zero = not before there is a share.
func (p *pace) next(now time.Time) time.Time {
	if p.closed(now) {
		return time.Time{}
	}
	if now.Before(p.until) {
		return p.until
	}
	limit := p.bucket.Limit()
	tokens := p.bucket.TokensAt(now)
	if limit == rate.Inf || tokens >= float64(p.want) {
		return now
	}
	want := max(float64(p.want), min(float64(limit)/1000, float64(p.bucket.Burst())))
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
		if p.dent(now) {
			pause = clampRetryAfter(asked, dentPause, retryAfterMax)
		} else {
			p.lower(now)
		}
		p.throttles++
		p.loweredAt, p.why = now, why
	} else if asked <= 0 {
		return
	}
	if end := now.Add(pause); end.After(p.until) {
		p.until = end
	}
	p.grownAt = p.until
	if p.found > 0 {
		p.grownAt = p.until.Add(foundHold)
	}
}

// dent lowers the rate a little if jitter explains the throttling.
func (p *pace) dent(now time.Time) bool {
	least := p.nominal * dentShare
	if p.ceiling != 0 || p.nominal == rate.Inf || least < learnedMin || p.taken.perSecond(now) < least ||
		!p.dentedAt.IsZero() && now.Sub(p.dentedAt) < dentAgain {
		return false
	}
	p.dentedAt, p.ceiling = now, p.nominal
	p.set(least, now)
	return true
}

func (p *pace) lower(now time.Time) {
	limit, taken := p.bucket.Limit(), p.taken.perSecond(now)
	switch {
	case taken >= min(learnedMin, limit/2):
		p.found = min(limit, taken)
		limit, p.ceiling = p.found, p.found*foundShare
	case limit == rate.Inf:
		limit, p.ceiling = learnedMin, 2*learnedMin
	case p.ceiling == 0:
		p.ceiling = p.nominal
	}
	p.set(max(limit/2, p.ceiling*floorShare), now)
}

func (p *pace) set(limit rate.Limit, now time.Time) {
	burst := p.burst
	if p.nominal == rate.Inf && limit != rate.Inf {
		burst = max(1, int(limit*burstShare))
	}
	p.bucket.SetLimitAt(now, limit)
	p.bucket.SetBurstAt(now, burst)
}

// succeed notes that the vendor took n that were sent at sentAt.
func (p *pace) succeed(sentAt time.Time, n int, now time.Time) {
	if sentAt.After(p.loweredAt) {
		p.throttles = 0
	}
	p.taken.add(now, n)
}

// grow raises a lowered rate by growShare for each whole second since the pause.
func (p *pace) grow(now time.Time) {
	limit := p.bucket.Limit()
	seconds := now.Sub(p.grownAt) / time.Second
	switch {
	case p.ceiling == 0:
	case p.found > 0 && limit >= p.ceiling:
		p.probe(now)
	case seconds > 0:
		p.grownAt = p.grownAt.Add(seconds * time.Second)
		limit += max(p.found, p.ceiling) * growShare * rate.Limit(seconds)
		switch {
		case limit < p.ceiling:
		case p.found == 0:
			limit, p.ceiling = p.nominal, 0
		default:
			limit, p.probeAt, p.short = p.ceiling, now.Add(probeAfter), false
			p.probeStep = p.found * growShare
		}
		p.set(limit, now)
	}
}

// probe raises the ceiling a little if that tells anything.
func (p *pace) probe(now time.Time) {
	if now.Before(p.probeAt) {
		return
	}
	p.probeAt = now.Add(probeEvery)
	if !p.short {
		return
	}
	p.short = false
	p.ceiling += p.probeStep
	p.probeStep *= 2
	limit := p.ceiling
	if limit >= p.nominal {
		limit, p.ceiling, p.found = p.nominal, 0, 0
	}
	p.set(limit, now)
}

// perSecond is the rate in force, as it was configured if nothing lowered it; 0 =
// there is none.
func (p *pace) perSecond(configured float64) float64 {
	switch {
	case p.ceiling == 0 && p.shared && p.part.perSecond > 0:
		return p.part.perSecond
	case p.ceiling == 0:
		return configured
	}
	return float64(p.bucket.Limit())
}

// meter counts in windows of one second.
type meter struct {
	from      time.Time
	n, before int
}

func (m *meter) add(now time.Time, n int) {
	m.turn(now)
	m.n += n
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

// perSecond is the count of the last whole window, or of the one under way if
// that is more.
func (m *meter) perSecond(now time.Time) rate.Limit {
	m.turn(now)
	return rate.Limit(max(m.n, m.before))
}
