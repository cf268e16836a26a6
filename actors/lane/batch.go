package lane

import (
	"iter"
	"time"

	"github.com/rouse-im/rouse/vendors"
)

const (
	// linger is how long the first of pushes that may go together waits for the
	// others. Those that come meanwhile wait for the end of the same time.
	linger = 5 * time.Millisecond
	// maxPassed is how many ready pushes that do not fit are passed over in the
	// search for company; they keep their places.
	maxPassed = 64
)

// all are the pushes of the request that p leads, p first.
func (p *push) all() iter.Seq[*push] {
	return func(yield func(*push) bool) {
		if !yield(p) {
			return
		}
		for _, q := range p.rest {
			if !yield(q) {
				return
			}
		}
	}
}

// social: p may share a request. One that made its sender panic goes alone, so
// that it spoils no other.
func (p *push) social() bool { return p.d.Shared && p.panics == 0 }

// linger lets a new push wait for company. Calls never wait, nor do pushes that
// would expire meanwhile or that take the place of one that has waited.
func (s *state) linger(p, superseded *push, now time.Time) {
	if s.flight.batch < 2 || !p.social() || p.level == levelCall ||
		superseded != nil && !now.Before(superseded.notBefore) {
		return
	}
	if !now.Before(s.lingerEnd) {
		s.lingerEnd = now.Add(linger)
	}
	if p.d.N.Expires.After(s.lingerEnd) {
		p.notBefore = s.lingerEnd
	}
}

// company is how many tokens of the rate a request that p leads is worth waiting
// for: with a vendor that counts devices, those of all that may go with p.
func (s *state) company(p *push, now time.Time) int {
	if !s.o.PerPush || s.flight.batch < 2 || !p.social() || s.breaker.open {
		return 1
	}
	return min(s.flight.batch, s.queue.counts[p.level], s.quota.more(classOf[p.level], now))
}

// join gives p, which leaves now, the company of ready pushes that look the same
// and are of its level, each of another binding and to another token.
func (s *state) join(p *push, now time.Time) {
	if s.flight.batch < 2 || !p.social() || p.probe || s.queue.ready.len() == 0 {
		return
	}
	// What the quota has room for; a probe of a used-up one goes alone.
	most := min(s.flight.batch, s.quota.more(classOf[p.level], now)+1)
	tokens := map[string]bool{p.d.N.Token: true}
	var passed []*binding
	for len(tokens) < most && len(passed) < maxPassed {
		q := s.queue.next(now)
		if q == nil {
			break
		}
		if s.foreign(q, now) {
			continue
		}
		if !q.social() || q.level != p.level || tokens[q.d.N.Token] || !s.flight.same(p.d.N, q.d.N) {
			s.queue.unrank(q.b)
			passed = append(passed, q.b)
			continue
		}
		if s.o.PerPush && !s.pace.also(now) {
			break
		}
		tokens[q.d.N.Token] = true
		s.launch(q, now)
		p.rest = append(p.rest, q)
		if q.deadline.Before(p.deadline) {
			p.deadline = q.deadline
		}
	}
	for _, b := range passed {
		s.queue.rank(b, now)
	}
}

// lessons are what the answers of a request say about the whole lane, of each
// kind one. A transient one counts only if the vendor said nothing else.
func lessons(p *push) [4]*push {
	var worked, slow, spent, refused, failed *push
	for q := range p.all() {
		switch res := &q.answer.res; res.Outcome {
		case vendors.Accepted, vendors.TokenReplaced, vendors.TokenInvalid, vendors.Rejected:
			worked = q
		case vendors.Throttled:
			if res.Scope == vendors.ScopeDevice {
				worked = q
			} else {
				slow = longest(slow, q)
			}
		case vendors.QuotaExhausted:
			spent = longest(spent, q)
		case vendors.CredentialBad:
			refused = q
		case vendors.Transient:
			fallthrough
		default: // an outcome that is not known here
			failed = q
		}
	}
	if worked == nil && slow == nil && spent == nil && refused == nil {
		worked = failed
	}
	return [...]*push{worked, slow, spent, refused}
}

// longest is the one whose answer asks for the longer pause; p may be nil.
func longest(p, q *push) *push {
	if p == nil || q.answer.res.RetryAfter > p.answer.res.RetryAfter {
		return q
	}
	return p
}
