package lane

import (
	"time"

	"github.com/rouse-im/rouse/internal/quota"
)

// Options of one lane. A zero field takes its default.
type Options struct {
	// PerSecond bounds what goes in any second: requests, of which each may carry
	// many pushes, or pushes with PerPush; 0 = unlimited.
	PerSecond float64
	// Shared: PerSecond is for several nodes together. Each sends what SetShare
	// allows it, and nothing before that or without one.
	Shared bool
	// PerPush: the vendor counts devices. A request is then cut so that it fits
	// Burst.
	PerPush bool
	// Burst is how many may go at once after a quiet time, which the steady rate
	// leaves room for; a fiftieth of PerSecond by default, at least 1.
	Burst int
	// QueueLimit bounds the pushes reserved and not yet ended; 100,000 by default.
	QueueLimit int
	// SendTimeout bounds one send; 15 s by default. A send also ends 2 s after
	// its push expired.
	SendTimeout time.Duration
	// BackoffBase and BackoffMax bound the pause after an attempt without a
	// verdict: random in (0, base * 2^(attempts-1)], at most max; 500 ms and 1 min.
	BackoffBase, BackoffMax time.Duration
	// BreakerFailures one after the other, without an answer or with a transient
	// one, open the breaker; 10 by default. One push probes after BreakerPause,
	// which doubles up to BreakerPauseMax; 5 s and 1 min.
	BreakerFailures               int
	BreakerPause, BreakerPauseMax time.Duration
	// CredentialPause and CredentialPauseMax are the same for a credential that
	// the vendor refuses, where one answer opens the breaker; 30 s and 5 min.
	CredentialPause, CredentialPauseMax time.Duration
	// Quota bounds the pushes of a day.
	Quota Quota
}

// Quota is what a vendor grants an account for a day, by class: call, IM, system,
// marketing. Pushes over a bound wait for the next day.
type Quota struct {
	Limits [quota.Classes]uint64 // 0 = no bound
	// Zone of the vendor's midnight; UTC by default.
	Zone *time.Location
	// Probe is how often one push asks whether a quota that the vendor called
	// used up has been raised; 0 = none does before the vendor's midnight.
	Probe time.Duration
	// Account keeps what is used; by default the one that the lane has, in memory
	// alone.
	Account *quota.Account
}

const (
	// sendGrace lets a send that began shortly before its push expired get its answer.
	sendGrace = 2 * time.Second
	// retryAfterMax bounds what a vendor may ask for when it throttles.
	retryAfterMax = time.Hour
	// throttlePause is the pause when a vendor throttles and does not say for how
	// long; it doubles with each throttling in a row, up to throttlePauseMax.
	throttlePause    = time.Second
	throttlePauseMax = time.Minute
	// quotaPauseMax bounds the pause of a class whose quota is used up: a day on
	// which clocks are set back, twice.
	quotaPauseMax = 26 * time.Hour
	// poisonPanics is how often a push may make its sender panic before it fails.
	poisonPanics = 3
)

func (o Options) withDefaults() Options {
	if o.PerSecond < 0 {
		o.PerSecond = 0
	}
	orInt(&o.Burst, max(1, int(min(o.PerSecond, 1e6)*burstShare)))
	orInt(&o.QueueLimit, 100_000)
	orInt(&o.BreakerFailures, 10)
	orDuration(&o.SendTimeout, 15*time.Second)
	orDuration(&o.BackoffBase, 500*time.Millisecond)
	orDuration(&o.BackoffMax, time.Minute)
	orDuration(&o.BreakerPause, 5*time.Second)
	orDuration(&o.BreakerPauseMax, time.Minute)
	orDuration(&o.CredentialPause, 30*time.Second)
	orDuration(&o.CredentialPauseMax, 5*time.Minute)
	if o.Quota.Zone == nil {
		o.Quota.Zone = time.UTC
	}
	return o
}

func orInt(v *int, standard int) {
	if *v <= 0 {
		*v = standard
	}
}

func orDuration(v *time.Duration, standard time.Duration) {
	if *v <= 0 {
		*v = standard
	}
}
