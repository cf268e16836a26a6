package courier

import (
	"net/http"
	"strconv"
	"time"
)

const maxRetryAfter = 24 * time.Hour

// retryAfter reads seconds or an HTTP date; what makes no sense is 0.
func retryAfter(header string, now time.Time) time.Duration {
	if header == "" {
		return 0
	}
	if seconds, err := strconv.ParseInt(header, 10, 64); err == nil {
		return time.Duration(min(max(seconds, 0), int64(maxRetryAfter/time.Second))) * time.Second
	}
	if at, err := http.ParseTime(header); err == nil {
		return min(max(at.Sub(now), 0), maxRetryAfter)
	}
	return 0
}
