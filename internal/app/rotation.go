package app

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/rouse-im/rouse/vendors"
)

// askAgain is how long the previous credential is used unasked after the vendor
// refused the new one. One push then tries the new one again.
const askAgain = 30 * time.Second

// rotation sends with a new credential, and with the one that it replaced while
// the vendor refuses the new one and until has not come. A push goes through
// both under the same id only when the first was refused as a whole.
type rotation struct {
	fresh, old vendors.Sender
	until      time.Time
	// trust is when the new credential is asked again, in Unix ns.
	trust atomic.Int64
	// refusal is the vendor's code for the new credential; nil = not refused last.
	refusal atomic.Pointer[string]
}

// rotated joins two senders of one vendor; the new one's kind is that of both.
func rotated(fresh, old vendors.Sender, until time.Time) (vendors.Sender, *rotation) {
	r := &rotation{fresh: fresh, old: old, until: until}
	f, many := fresh.(vendors.BatchSender)
	o, both := old.(vendors.BatchSender)
	if many && both {
		return &batchRotation{rotation: r, fresh: f, old: o}, r
	}
	return r, r
}

// MaxInFlight is the new sender's.
func (r *rotation) MaxInFlight() int { return r.fresh.MaxInFlight() }

// Close closes both.
func (r *rotation) Close() {
	r.fresh.Close()
	r.old.Close()
}

// Send implements vendors.Sender.
func (r *rotation) Send(ctx context.Context, n *vendors.Notification) (vendors.Result, error) {
	first := r.refused()
	if asked := time.Now(); r.turn(asked) {
		var err error
		if first, err = r.fresh.Send(ctx, n); err != nil {
			return first, err
		}
		r.learn(first, asked)
	}
	if first.Outcome != vendors.CredentialBad || !time.Now().Before(r.until) {
		return first, nil
	}
	second, err := r.old.Send(ctx, n)
	if err == nil && second.Outcome == vendors.CredentialBad {
		return r.refused(), nil
	}
	return second, err
}

// turn tells whether the new credential is to be asked now: always, but for a
// while after it was refused; then by one push. A clock that was set back since
// makes that while no longer.
func (r *rotation) turn(now time.Time) bool {
	trust, again := r.trust.Load(), now.Add(askAgain).UnixNano()
	return !now.Before(r.until) || (now.UnixNano() >= trust || trust > again) &&
		(trust == 0 || r.trust.CompareAndSwap(trust, again))
}

// learn notes what the vendor says of the new credential. Answers that say
// nothing of it change nothing.
func (r *rotation) learn(result vendors.Result, now time.Time) {
	switch result.Outcome {
	case vendors.CredentialBad:
		r.refusal.Store(&result.Code)
		r.trust.Store(now.Add(askAgain).UnixNano())
	case vendors.Accepted, vendors.TokenReplaced, vendors.TokenInvalid, vendors.Rejected:
		r.refusal.Store(nil)
		r.trust.Store(0)
	case vendors.Throttled, vendors.QuotaExhausted, vendors.Transient:
	}
}

// refused is the vendor's last word on the new credential.
func (r *rotation) refused() vendors.Result {
	result := vendors.Result{Outcome: vendors.CredentialBad}
	if code := r.refusal.Load(); code != nil {
		result.Code = *code
	}
	return result
}

// batchRotation is a rotation of senders that take many tokens.
type batchRotation struct {
	*rotation
	fresh, old vendors.BatchSender
}

// MaxBatch is what both take.
func (r *batchRotation) MaxBatch() int { return min(r.fresh.MaxBatch(), r.old.MaxBatch()) }

// Same holds when it does for both.
func (r *batchRotation) Same(a, b *vendors.Notification) bool {
	return r.fresh.Same(a, b) && r.old.Same(a, b)
}

// SendBatch implements vendors.BatchSender: the previous credential sends to
// those tokens for which the new one was refused.
func (r *batchRotation) SendBatch(ctx context.Context, n *vendors.Notification, tokens []string) ([]vendors.Result, error) {
	results := make([]vendors.Result, len(tokens))
	if asked := time.Now(); r.turn(asked) {
		var err error
		if results, err = r.fresh.SendBatch(ctx, n, tokens); err != nil || len(results) != len(tokens) {
			return results, err
		}
		for _, result := range results {
			r.learn(result, asked)
		}
	} else {
		for i := range results {
			results[i] = r.refused()
		}
	}
	if !time.Now().Before(r.until) {
		return results, nil
	}
	var places []int
	var left []string
	for i, result := range results {
		if result.Outcome == vendors.CredentialBad {
			places, left = append(places, i), append(left, tokens[i])
		}
	}
	if len(left) == 0 {
		return results, nil
	}
	rest := *n
	rest.Token = left[0]
	again, err := r.old.SendBatch(ctx, &rest, left)
	return r.merge(results, places, again, err)
}

// merge puts the previous credential's answers in their places. Without any,
// an error is that of all only when no token has a verdict.
func (r *batchRotation) merge(results []vendors.Result, places []int, again []vendors.Result, err error) ([]vendors.Result, error) {
	if err != nil && len(places) == len(results) {
		return nil, err
	}
	for i, place := range places {
		switch {
		case err != nil || i >= len(again):
			results[place] = vendors.Result{Outcome: vendors.Transient, Code: "rouse:NO_ANSWER"}
		case again[i].Outcome != vendors.CredentialBad:
			results[place] = again[i]
		}
	}
	return results, nil
}
