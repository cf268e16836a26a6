package vendortest

import (
	"testing"
	"time"

	"github.com/rouse-im/rouse/vendors"
)

// Granted is what a client makes of an answer to a request for a bearer.
type Granted struct {
	Value  string
	Expiry time.Time
	// Refusal is what pushes get when there is no bearer.
	Refusal vendors.Result
}

// FuzzGrant: no answer panics or makes a bearer that cannot be a header's
// value or is over already, and none without a bearer blames a token.
func FuzzGrant(f *testing.F, read func(status int, body []byte, now time.Time) Granted, seeds ...string) {
	for _, seed := range append(seeds, `{"error":"invalid_client"}`, `{}`, `[]`, `null`, `{"expires_in":-1}`, `<html>`, ``) {
		f.Add(200, []byte(seed))
		f.Add(401, []byte(seed))
		f.Add(503, []byte(seed))
	}
	now := time.Unix(1_800_000_000, 0)
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		got := read(status, body, now)
		if got.Value == "" {
			if o := got.Refusal.Outcome; o != vendors.CredentialBad && o != vendors.Throttled && o != vendors.Transient {
				t.Errorf("no bearer means %+v", got.Refusal)
			}
			if r := got.Refusal; r.Code == "" || len(r.Code) > 64 || r.RetryAfter < 0 || r.RetryAfter > 24*time.Hour {
				t.Errorf("out of bounds: %+v", r)
			}
			return
		}
		for i := range len(got.Value) {
			if c := got.Value[i]; c <= ' ' || c > '~' {
				t.Fatalf("a bearer with byte %#x", c)
			}
		}
		if status != 200 || !got.Expiry.After(now) || got.Expiry.After(now.AddDate(1, 0, 0)) {
			t.Errorf("HTTP %d gave a bearer until %v", status, got.Expiry)
		}
	})
}
