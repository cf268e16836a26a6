package client

import "time"

// backoff is the pause after failed attempt n (from 1): first doubled n-1 times,
// at most most, of which random (0 <= random < 1) takes up to a half away, so
// that many clients do not come back as one.
func backoff(n int, first, most time.Duration, random float64) time.Duration {
	d := most
	if n < 30 && first<<(n-1) < most {
		d = first << (n - 1)
	}
	return d - time.Duration(random*float64(d)/2)
}
