package gateway

import (
	"sync"
	"time"

	"golang.org/x/time/rate"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

// maxBuckets bounds the keys that are remembered; beyond it all start anew with
// a full burst.
const maxBuckets = 1 << 16

// rates caps what is done with each API key.
type rates struct {
	perSecond rate.Limit
	burst     int
	refusal   *rousev1.Error

	mu      sync.Mutex
	buckets map[string]*rate.Limiter
}

// newRates: the text of refusals names the rate.
func newRates(perSecond, burst int, text string) *rates {
	return &rates{
		perSecond: rate.Limit(perSecond), burst: burst, buckets: make(map[string]*rate.Limiter),
		refusal: complaint(rousev1.ErrorCode_ERROR_CODE_RATE_LIMITED, text, perSecond),
	}
}

func (r *rates) allow(keyID string, now time.Time) bool { return r.bucket(keyID).AllowN(now, 1) }

func (r *rates) bucket(keyID string) *rate.Limiter {
	r.mu.Lock()
	defer r.mu.Unlock()
	b, ok := r.buckets[keyID]
	if !ok {
		if len(r.buckets) >= maxBuckets {
			clear(r.buckets)
		}
		b = rate.NewLimiter(r.perSecond, r.burst)
		r.buckets[keyID] = b
	}
	return b
}
