package route

import (
	"time"

	actorv1 "github.com/rouse-im/rouse/api/rouse/actor/v1"
)

// A node that cannot reach the leader of a shard, though others can, sends its
// requests to one of them, which brings them there: one hop and no more, inside
// the same bounds. That it cannot is what the connections between nodes say, or
// that nothing was answered for a while; then one request now and then goes the
// direct way, to learn when it is open again.

const (
	// silentFor is how long an address gives no answer before it is passed by, and
	// between two requests that try it all the same.
	silentFor = time.Second
	// maxSilent bounds the addresses that are remembered as silent.
	maxSilent = 128
)

// silence is of an address where attempts ended without an answer.
type silence struct {
	since time.Time // the first of them
	probe time.Time // when one may be sent there again, once it is passed by
}

// quiet notes that an attempt ended without an answer.
func (s *state) quiet(address string, now time.Time) {
	if _, ok := s.silent[address]; ok || address == "" {
		return
	}
	if len(s.silent) >= maxSilent {
		clear(s.silent)
	}
	s.silent[address] = silence{since: now}
}

// reaches tells whether requests are sent straight to an address.
func (s *state) reaches(address string, now time.Time) bool {
	if s.cut(address) {
		return false
	}
	q, ok := s.silent[address]
	return !ok || now.Sub(q.since) < silentFor || !now.Before(q.probe)
}

// next is where a request goes to come to a leader: to the leader itself, or to a
// node that brings it there.
func (s *state) next(r *request, leader string, now time.Time) string {
	if r.relayed || s.reaches(leader, now) {
		return leader
	}
	w, all := s.wayTo(r.shard), s.relays(r.shard)
	for i := range all {
		a := all[(w.turn+i)%len(all)]
		if a != leader && a != s.self() && s.reaches(a, now) {
			return a
		}
	}
	return leader
}

// goesOtherwise takes a request out of flight; the node that was to bring it to its
// leader is asked after the others from now on.
func (s *state) goesOtherwise(r *request) (from string) {
	if r.goesRound() {
		s.wayTo(r.shard).turn++
	}
	return s.land(r)
}

// probed notes that a silent address gets a request.
func (s *state) probed(address string, now time.Time) {
	if q, ok := s.silent[address]; ok && now.Sub(q.since) >= silentFor {
		q.probe = now.Add(silentFor)
		s.silent[address] = q
	}
}

// relayed is a request of another node, which cannot reach the leader.
func (r *Router) relayed(ask *actorv1.Ask, local func(), done func(*actorv1.Answer)) *request {
	return &request{
		shard: uint16(ask.GetShard()), relayed: true, local: local,
		ask:      &actorv1.Ask{Shard: ask.GetShard(), App: ask.GetApp(), User: ask.GetUser(), Body: ask.Body},
		deadline: time.Now().Add(min(time.Duration(ask.GetRelayMs())*time.Millisecond, r.state.deadline)),
		done: func(a *actorv1.Answer) {
			if a == unavailable || a == closed { // the one that asks may know another way
				done(&actorv1.Answer{Redirect: &actorv1.Redirect{Shard: ask.GetShard()}})
				return
			}
			done(&actorv1.Answer{Status: a.GetStatus(), Error: a.GetError(), Response: a.GetResponse()})
		},
	}
}
