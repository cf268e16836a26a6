package lane

import (
	"time"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/internal/plant"
	"github.com/rouse-im/rouse/vendors"
)

// land takes the answer to the request that p leads: each of its pushes ends or
// goes back to the queue. What is about the whole lane is learned once.
func (s *state) land(p *push, now time.Time) {
	p.flight.n--
	if p.flight == s.flight {
		s.learnAll(p, now)
	}
	// One pause for all, so that they may go together again.
	pause := backoff(s.o.BackoffBase, s.o.BackoffMax, p.d.PushID, p.attempts)
	for q := range p.all() {
		q.inFlight = false
		q.b.inFlight = nil
		if p.answer.kind == answered {
			s.verdict(q, pause, now)
		} else {
			s.silence(q, p.answer.kind, pause, now)
		}
		s.queue.rank(q.b, now)
	}
	p.rest = nil
}

// learnAll draws from a request what it says about the whole lane. A panic is
// about the push: it counts against the vendor only as the answer that a probe
// owes.
func (s *state) learnAll(p *push, now time.Time) {
	switch {
	case p.answer.kind == answered:
		s.measure(p, now)
		for _, q := range lessons(p) {
			if q != nil {
				s.learn(q, p.probe, now)
			}
		}
	case p.answer.kind != panicked || p.probe:
		s.breaker.silent(p.probe, p.sentAt, p.answer.kind.obstacle(), now)
	}
}

// measure tells the pace how much of a request the vendor took.
func (s *state) measure(p *push, now time.Time) {
	n := 0
	for q := range p.all() {
		if worked(&q.answer.res) {
			n++
		}
	}
	if n > 0 && !s.o.PerPush {
		n = 1
	}
	if n > 0 {
		s.pace.succeed(p.sentAt, n, now)
	}
}

// worked tells that the vendor dealt with the push.
func worked(res *vendors.Result) bool {
	switch res.Outcome {
	case vendors.Accepted, vendors.TokenReplaced, vendors.TokenInvalid, vendors.Rejected:
		return true
	case vendors.Throttled, vendors.QuotaExhausted, vendors.CredentialBad, vendors.Transient:
	}
	return false
}

// verdict acts on what the vendor said of a push; pause is the request's backoff.
func (s *state) verdict(p *push, pause time.Duration, now time.Time) {
	res := &p.answer.res
	if unused(res) {
		s.quota.refused(classOf[p.level], p.sentAt)
	}
	p.doubt = p.doubt || res.Code == codeResults
	switch res.Outcome {
	case vendors.Accepted, vendors.TokenReplaced:
		e := s.end(p, rousev1.OutcomeStatus_OUTCOME_STATUS_ACCEPTED, obstacle{ReasonOf(res.Outcome), res.Code}, now)
		e.VendorID, e.NewToken = res.VendorID, res.NewToken
	case vendors.TokenInvalid:
		e := s.fail(p, ReasonOf(res.Outcome), now)
		e.TokenInvalid, e.InvalidSince = true, res.InvalidSince
	case vendors.Rejected:
		if plant.On(plant.RefusedPushRetried) {
			s.retry(p, ReasonOf(res.Outcome), now)
			return
		}
		e := s.fail(p, ReasonOf(res.Outcome), now)
		if plant.On(plant.DropTokenOnRefusal) {
			e.TokenInvalid = true
		}
	case vendors.Throttled:
		if res.Scope == vendors.ScopeDevice {
			s.holdDevice(p, now)
		}
		s.retry(p, ReasonOf(res.Outcome), now)
	case vendors.QuotaExhausted, vendors.CredentialBad:
		s.retry(p, ReasonOf(res.Outcome), now)
	case vendors.Transient:
		fallthrough
	default: // an outcome that is not known here
		p.back(pause, now)
		s.retry(p, ReasonOf(res.Outcome), now)
	}
}

// unused tells that the vendor said it did not take the push, so that it is not of
// the day's quota. Dead tokens and refused payloads may count at some vendors.
func unused(res *vendors.Result) bool {
	switch res.Outcome {
	case vendors.Throttled, vendors.QuotaExhausted, vendors.CredentialBad:
		return true
	case vendors.Transient:
		return res.Code != codeResults
	case vendors.Accepted, vendors.TokenReplaced, vendors.TokenInvalid, vendors.Rejected:
	}
	return false
}

// learn draws from the answer to one push what it says about the whole lane.
func (s *state) learn(p *push, probe bool, now time.Time) {
	res := &p.answer.res
	s.worked = s.worked || works(res.Outcome)
	switch res.Outcome {
	case vendors.Accepted, vendors.TokenReplaced, vendors.TokenInvalid, vendors.Rejected:
		s.breaker.succeed(probe)
		if res.Outcome == vendors.Accepted || res.Outcome == vendors.TokenReplaced {
			s.quota.taken(classOf[p.level], p.sentAt, now)
		}
	case vendors.Throttled:
		if res.Scope != vendors.ScopeDevice {
			s.pace.throttle(p.sentAt, res.RetryAfter, obstacle{rousev1.Reason_REASON_VENDOR_THROTTLED, res.Code}, now)
		}
		s.breaker.succeed(probe)
	case vendors.QuotaExhausted:
		s.quota.exhaust(classOf[p.level], res.RetryAfter, res.Code, now)
		s.breaker.succeed(probe)
	case vendors.CredentialBad:
		s.breaker.refuse(probe, obstacle{rousev1.Reason_REASON_CREDENTIAL_REJECTED, res.Code}, now)
	case vendors.Transient:
		fallthrough
	default: // an outcome that is not known here
		s.breaker.fail(probe, obstacle{rousev1.Reason_REASON_VENDOR_UNAVAILABLE, res.Code}, now)
	}
}

// works: the vendor took the credential.
func works(o vendors.Outcome) bool {
	return o == vendors.Accepted || o == vendors.TokenReplaced || o == vendors.TokenInvalid || o == vendors.Rejected
}

// obstacle is the one that a send without an answer is.
func (k answerKind) obstacle() obstacle {
	switch k {
	case timedOut:
		return obstacle{rousev1.Reason_REASON_VENDOR_TIMEOUT, ""}
	case panicked:
		return obstacle{rousev1.Reason_REASON_VENDOR_UNAVAILABLE, "panic"}
	}
	return obstacle{rousev1.Reason_REASON_VENDOR_UNAVAILABLE, ""}
}

// silence acts on a push without an answer. The vendor may have taken it: it is
// repeated under the same id. Panics of its sender are counted for each push.
func (s *state) silence(p *push, kind answerKind, pause time.Duration, now time.Time) {
	why := kind.obstacle()
	p.answer.res = vendors.Result{Code: why.code}
	p.doubt = true
	if kind == panicked {
		p.panics++
	}
	if p.panics >= poisonPanics {
		s.fail(p, rousev1.Reason_REASON_PAYLOAD_REJECTED, now)
		return
	}
	p.back(pause, now)
	s.retry(p, why.reason, now)
}

func (s *state) fail(p *push, reason rousev1.Reason, now time.Time) *Ended {
	e := s.end(p, rousev1.OutcomeStatus_OUTCOME_STATUS_FAILED, obstacle{reason, p.answer.res.Code}, now)
	e.VendorID = p.answer.res.VendorID
	return e
}

// back sets the pause of a push before its next attempt.
func (p *push) back(pause time.Duration, now time.Time) {
	p.notBefore = now.Add(max(pause, min(p.answer.res.RetryAfter, retryAfterMax)))
}

// holdDevice keeps all pushes of the binding back.
func (s *state) holdDevice(p *push, now time.Time) {
	standard := backoff(s.o.BackoffBase, s.o.BackoffMax, p.d.PushID, p.attempts)
	p.b.hold = now.Add(clampRetryAfter(p.answer.res.RetryAfter, standard, retryAfterMax))
	p.b.why = obstacle{rousev1.Reason_REASON_VENDOR_THROTTLED, p.answer.res.Code}
}

// retry puts a push without a verdict back into the queue, unless it is no
// longer wanted there.
func (s *state) retry(p *push, reason rousev1.Reason, now time.Time) {
	p.why = obstacle{reason, p.answer.res.Code}
	switch newer := s.queue.sameCollapse(p); {
	case p.forgotten:
		s.drop(p)
	case p.cancel != nil:
		s.end(p, p.cancel.Status, obstacle{p.cancel.Reason, p.why.code}, now)
	case s.mode == removed:
		s.end(p, rousev1.OutcomeStatus_OUTCOME_STATUS_FAILED, obstacle{rousev1.Reason_REASON_NO_NOTIFIER, p.why.code}, now)
	case s.mode == draining:
		// It stays without an end, and a Cancel may still reach it.
		s.queue.add(p, now)
	case newer != nil:
		newer.since = min(newer.since, p.since)
		s.end(p, rousev1.OutcomeStatus_OUTCOME_STATUS_SUPERSEDED, obstacle{rousev1.Reason_REASON_COLLAPSED, p.why.code}, now)
	default:
		s.retries++
		s.queue.add(p, now)
	}
}
