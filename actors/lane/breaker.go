package lane

import (
	"time"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

// obstacle is why a push has not got its verdict yet; the last one becomes the
// reason of a push that expires.
type obstacle struct {
	reason rousev1.Reason
	code   string // vendor's own, empty when it gave no answer
}

// breaker stops sending while the vendor gives no useful answer. Open, it lets
// one push through at a time to probe; only that probe's answer closes it, as
// answers to earlier sends tell about the past.
type breaker struct {
	o       *Options
	open    bool
	probing bool
	// credential: it opened because the vendor refuses the credential.
	credential bool
	why        obstacle
	failures   int       // in a row, while closed
	silentAt   time.Time // of the last one without an answer that counted
	opened     int       // times in a row, while open
	until      time.Time
}

func (b *breaker) allows(now time.Time) bool {
	return !b.open || !b.probing && !now.Before(b.until)
}

// next is when a push may go, if the wait has an end that is known: it has none
// while a probe is out.
func (b *breaker) next() (at time.Time, known bool) {
	return b.until, b.open && !b.probing
}

// send notes that a push goes and tells whether it is a probe.
func (b *breaker) send() (probe bool) {
	b.probing = b.open
	return b.open
}

// succeed notes an answer that shows vendor and credential at work.
func (b *breaker) succeed(probe bool) {
	if !b.open || probe {
		*b = breaker{o: b.o}
	}
}

// silent notes a send without an answer. Sends that were under way together
// count as one: a connection that breaks ends many of them, and says no more
// about the vendor than one.
func (b *breaker) silent(probe bool, sentAt time.Time, why obstacle, now time.Time) {
	if !b.open && !sentAt.After(b.silentAt) {
		return
	}
	b.silentAt = now
	b.fail(probe, why, now)
}

// fail notes a transient answer, or none.
func (b *breaker) fail(probe bool, why obstacle, now time.Time) {
	switch {
	case !b.open:
		if b.failures++; b.failures >= b.o.BreakerFailures {
			b.trip(false, why, now)
		}
	case probe:
		b.trip(b.credential, why, now)
	}
}

// refuse notes that the vendor refused the credential.
func (b *breaker) refuse(probe bool, why obstacle, now time.Time) {
	if !b.open || probe || !b.credential {
		b.trip(true, why, now)
	}
}

// trip opens the breaker, or keeps it open for longer.
func (b *breaker) trip(credential bool, why obstacle, now time.Time) {
	if b.credential != credential {
		b.opened = 0
	}
	base, most := b.o.BreakerPause, b.o.BreakerPauseMax
	if credential {
		base, most = b.o.CredentialPause, b.o.CredentialPauseMax
		if why.reason != rousev1.Reason_REASON_CREDENTIAL_REJECTED {
			why = b.why
		}
	}
	b.until = now.Add(doubled(base, most, b.opened))
	b.open, b.probing, b.credential, b.why = true, false, credential, why
	b.opened++
}

func (b *breaker) state() Breaker {
	switch {
	case !b.open:
		return BreakerClosed
	case b.probing:
		return BreakerProbing
	}
	return BreakerOpen
}
