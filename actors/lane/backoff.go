package lane

import (
	"time"

	"github.com/cespare/xxhash/v2"
)

// backoff is the pause before the next attempt of a push: exponential with full
// jitter, random in (0, base * 2^(attempts-1)] capped at most, and a pure
// function of the push id and its attempts, so that a test can repeat it.
func backoff(base, most time.Duration, pushID string, attempts int) time.Duration {
	limit := doubled(base, most, attempts-1)
	h := xxhash.Sum64String(pushID) + uint64(attempts)*0x9e3779b97f4a7c15
	// splitmix64: neighbouring attempts get unrelated fractions.
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	h ^= h >> 31
	fraction := float64(h>>11+1) / (1 << 53)
	return max(1, time.Duration(fraction*float64(limit)))
}

// clampRetryAfter turns what a vendor asked for into a pause in (0, most]:
// nothing, zero and negative mean standard.
func clampRetryAfter(asked, standard, most time.Duration) time.Duration {
	if asked <= 0 {
		return standard
	}
	return min(asked, most)
}

// doubled is base * 2^times, at most most.
func doubled(base, most time.Duration, times int) time.Duration {
	for range times {
		if base >= most/2 {
			return most
		}
		base *= 2
	}
	return min(base, most)
}
