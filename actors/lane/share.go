package lane

import (
	"time"

	"golang.org/x/time/rate"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

// share is what this node may use of a rate that it shares with others.
type share struct {
	perSecond float64
	until     time.Time // nothing may be sent from then on
}

func (s share) usable(now time.Time) bool { return s.perSecond > 0 && now.Before(s.until) }

// SetShare gives the lane of a shared rate its part of it: perSecond until then,
// or until the next call. It takes effect at once, also for what is queued.
func (l *Lane) SetShare(perSecond float64, until time.Time) {
	now, old := l.now(), l.share.Swap(&share{perSecond, until})
	if old == nil || old.perSecond != perSecond || !old.usable(now) {
		l.post(shareChanged{})
	}
}

// shareChanged wakes a lane that may have waited for its share.
type shareChanged struct{}

// Owed admits the message: there is one for each change of the share.
func (shareChanged) Owed() {}

// Reject does nothing: a stopped lane has no use for a share.
func (shareChanged) Reject() {}

// steady is the rate that keeps every second within perSecond, the burst
// included.
func steady(perSecond float64, burst int) rate.Limit {
	return rate.Limit(max(min(perSecond-float64(burst-1), perSecond*steadyShare), perSecond/2))
}

// closed tells that nothing may go for want of a share.
func (p *pace) closed(now time.Time) bool { return p.shared && !p.part.usable(now) }

// use takes a share as the nominal rate. What was found of the vendor's limit
// was found with the former share, and scales with it.
func (p *pace) use(part share, now time.Time) {
	p.part = part
	if !p.shared || part.perSecond <= 0 {
		return
	}
	burst := max(1, int(float64(p.wholeBurst)*part.perSecond/p.whole))
	nominal := steady(part.perSecond, burst)
	if nominal == p.nominal && burst == p.burst {
		return
	}
	scale := nominal / p.nominal
	p.nominal, p.burst = nominal, burst
	limit := nominal
	if p.ceiling != 0 {
		limit = p.bucket.Limit() * scale
		p.ceiling, p.found, p.probeStep = p.ceiling*scale, p.found*scale, p.probeStep*scale
	}
	p.set(limit, now)
}

// shareObstacle is why pushes of a lane without a share wait.
var shareObstacle = obstacle{reason: rousev1.Reason_REASON_NO_SHARE}

// Demand is what the lane would send in a second without a limit, as the vendor
// counts: what it took lately and what waits.
func (s *Stats) Demand(now time.Time) float64 {
	demand := 0.0
	if now.Sub(s.at) < 2*time.Second {
		demand = s.taken
	}
	queued := 0
	for _, n := range s.Queued {
		queued += n
	}
	return demand + float64(queued)/float64(max(1, s.batch))
}
