package route

import (
	"cmp"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/rouse-im/rouse/actors"
	actorv1 "github.com/rouse-im/rouse/api/rouse/actor/v1"
)

// request is one question on its way to the leader of a shard. It is parked, or
// an attempt of it is in flight to a peer; it ends once, with an answer or by
// being handed to the local shard.
type request struct {
	id       uint32 // 1..maxID
	sent     uint8  // number of the last attempt, modulo 256
	seq      uint64 // order of admission
	shard    uint16
	ask      *actorv1.Ask // as sent last; never changes once it was sent
	size     int          // of ask, bytes
	deadline time.Time
	envelope *actors.Envelope      // a user's command; nil = the next two are set
	local    func()                // hands it to the local shard
	done     func(*actorv1.Answer) // takes the answer
	relayed  bool                  // it is another node's, and goes to the leader alone

	began      time.Time // of the first of the attempts to one address in a row
	beganAt    string    // that address
	toward     string    // the leader that the last attempt is for
	peer       *peer     // of the attempt in flight, or
	way        *way      // where it is parked,
	prev, next *request  // between these
	attempts   int       // that got no answer in time
	redirects  int       // in a row, without waiting
	timer      timer
}

// maxID keeps ids and numbers of attempts together in 32 bits.
const maxID = 1<<24 - 1

// tag names an attempt to who answers it.
func (r *request) tag() uint32 { return r.id<<8 | uint32(r.sent) }

// attempt makes the message of the next attempt. relay is how long a node that is
// not the leader has to bring it there; 0 = it shall not.
func (r *request) attempt(relay time.Duration) *actorv1.Ask {
	if r.sent++; r.ask.GetId() != 0 {
		r.ask = &actorv1.Ask{Shard: uint32(r.shard), App: r.ask.GetApp(), User: r.ask.GetUser(), Body: r.ask.Body}
	}
	r.ask.Id, r.ask.RelayMs = uint64(r.tag()), uint32(relay.Milliseconds())
	return r.ask
}

// goesRound tells that the attempt in flight is with a node that relays it.
func (r *request) goesRound() bool { return r.peer != nil && r.peer.address != r.toward }

// of finds the request of a tag, nil when it has ended; late tells that the tag is
// of an earlier attempt.
func (s *state) of(tag uint64) (r *request, late bool) {
	r = s.pending[uint32(tag)>>8]
	return r, r != nil && uint8(tag) != r.sent
}

// peer is an address with attempts in flight.
type peer struct {
	address string
	flying  map[uint32]*request
	bytes   int
}

// effect is what the shell has to do, in order for each address and for the local
// shards; one of the three is set.
type effect struct {
	send  *actorv1.Ask
	tell  proto.Message // nobody answers it
	local *request
	to    string // of send and tell
	shard uint16
}

// ending is a request that has its answer. No order binds it.
type ending struct {
	q    *request
	with *actorv1.Answer
}

// state decides where requests go; time is an argument.
type state struct {
	limits
	local  func(shard uint16) bool
	leader func(shard uint16) (address string, term uint64, ok bool)
	self   func() string
	// cut tells that the connections to an address ended, relays are the addresses
	// that may be asked to bring a request to a shard's leader, the best first.
	cut    func(address string) bool
	relays func(shard uint16) []string

	pending map[uint32]*request
	bytes   int // of pending
	parked  int
	lastID  uint32
	seq     uint64
	peers   map[string]*peer
	ways    map[uint16]*way // one for each shard, made when needed
	silent  map[string]silence
	usual   usual
	timers  timers
	counts  counts
	effects []effect
	ends    []ending
}

// limits of a router.
type limits struct {
	maxPending, maxBytes int           // under way at all
	window, windowBytes  int           // in flight to one peer
	attempt, attemptMax  time.Duration // time of the first attempt, which doubles
	pause, pauseMax      time.Duration // before parked requests are tried again, which doubles
	deadline             time.Duration // of a request without one
}

// counts are events since the start.
type counts struct{ sent, relayed, redirected, late, undelivered, refused, expired uint64 }

func newState(l limits) *state {
	return &state{limits: l, pending: map[uint32]*request{}, peers: map[string]*peer{}, ways: map[uint16]*way{}, silent: map[string]silence{}}
}

// admit takes a request in, or ends it as overloaded. One that comes back from the
// local shard waits first.
func (s *state) admit(r *request, back bool, now time.Time) {
	if r.deadline.IsZero() {
		r.deadline = now.Add(s.deadline)
	}
	if len(s.pending) >= s.maxPending || s.bytes+r.size > s.maxBytes {
		s.refuse(r)
		return
	}
	s.enter(r)
	if !now.Before(r.deadline) {
		s.expire(r)
		return
	}
	switch w := s.wayTo(r.shard); {
	case w.first != nil || back && s.local(r.shard):
		s.park(r, now) // behind those that came before
	case s.try(r, now):
	case s.full(r, now):
		s.finish(r)
		s.refuse(r)
	default:
		s.park(r, now)
	}
}

// enter gives a request its id.
func (s *state) enter(r *request) {
	for taken := true; taken; _, taken = s.pending[s.lastID] {
		s.lastID = s.lastID%maxID + 1
	}
	s.seq++
	r.id, r.seq, r.timer.req = s.lastID, s.seq, r
	s.pending[r.id] = r
	s.bytes += r.size
}

func (s *state) refuse(r *request) {
	s.counts.refused++
	s.ends = append(s.ends, ending{r, overloaded})
}

func (s *state) expire(r *request) {
	s.counts.expired++
	s.end(r, unavailable)
}

// full tells that the leader is known and that the window of the way there is full.
func (s *state) full(r *request, now time.Time) bool {
	to, ok := s.lead(r.shard)
	return ok && to != s.self() && !s.room(s.next(r, to, now), r)
}

func (s *state) room(to string, r *request) bool {
	p := s.peers[to]
	return p == nil || len(p.flying) < s.window && p.bytes+r.size <= s.windowBytes
}

// try hands a request to the local shard, or sends it to the leader or on the way
// round. It is false when there is none now, or no room on the way.
func (s *state) try(r *request, now time.Time) bool {
	if s.local(r.shard) {
		s.wayTo(r.shard).clear(s.pause)
		s.finish(r)
		s.effects = append(s.effects, effect{local: r, shard: r.shard})
		return true
	}
	leader, ok := s.lead(r.shard)
	if !ok || leader == s.self() {
		return false
	}
	to := s.next(r, leader, now)
	if !s.room(to, r) {
		return false
	}
	s.probed(to, now)
	p := s.peers[to]
	if p == nil {
		p = &peer{address: to, flying: map[uint32]*request{}}
		s.peers[to] = p
	}
	p.flying[r.id] = r
	p.bytes += r.size
	r.peer, r.toward = p, leader
	if r.beganAt != to {
		r.began, r.beganAt = now, to
	}
	limit := min(max(s.attempt, s.usual.patience())<<min(r.attempts, 10), s.attemptMax)
	due := earlier(now.Add(limit), r.deadline)
	s.timers.set(&r.timer, due)
	s.counts.sent++
	relay := time.Duration(0)
	if to != leader {
		s.counts.relayed++
		relay = max(due.Sub(now), time.Millisecond)
	}
	s.effects = append(s.effects, effect{send: r.attempt(relay), to: to, shard: r.shard})
	return true
}

// land takes a request out of flight, whose attempt came to nothing unless it ends.
func (s *state) land(r *request) (from string) {
	p := r.peer
	if p == nil {
		return ""
	}
	r.peer = nil
	delete(p.flying, r.id)
	if p.bytes -= r.size; len(p.flying) == 0 {
		delete(s.peers, p.address)
	}
	return p.address
}

// again sends a request that came back without an answer, or parks it: at once
// only if nothing of its shard waits and the way is not the one it came from.
func (s *state) again(r *request, from string, now time.Time) {
	to, ok := s.lead(r.shard)
	if s.wayTo(r.shard).first != nil || ok && s.next(r, to, now) == from && !s.local(r.shard) || !s.try(r, now) {
		s.park(r, now)
	}
}

// finish forgets a request.
func (s *state) finish(r *request) {
	delete(s.pending, r.id)
	s.bytes -= r.size
	s.timers.remove(&r.timer)
	s.land(r)
	s.unpark(r)
}

func (s *state) end(r *request, a *actorv1.Answer) {
	s.finish(r)
	s.ends = append(s.ends, ending{r, a})
}

// answered ends a request, or sends it to where it was redirected. An answer to an
// earlier attempt is as good as any; to a request that has ended it is nothing.
func (s *state) answered(a *actorv1.Answer, now time.Time) {
	r, late := s.of(a.GetId())
	switch {
	case r == nil:
	case a.GetRedirect() != nil:
		if !late && r.peer != nil {
			s.redirected(r, a.GetRedirect(), now)
		}
	default:
		if r.peer != nil && r.peer.address == r.beganAt {
			s.usual.learn(now.Sub(r.began))
			delete(s.silent, r.beganAt)
		}
		s.end(r, a)
		if w := s.wayTo(r.shard); w.clear(s.pause) && w.first != nil {
			s.wake(w, now)
		}
	}
}

// maxRedirects are followed without waiting: two nodes may each take the other
// for the leader.
const maxRedirects = 3

func (s *state) redirected(r *request, to *actorv1.Redirect, now time.Time) {
	s.counts.redirected++
	delete(s.silent, r.peer.address)
	from := s.goesOtherwise(r)
	s.wayTo(r.shard).redirect(from, to.GetLeader(), to.GetTerm())
	if r.redirects++; r.redirects > maxRedirects {
		s.park(r, now)
		return
	}
	s.again(r, from, now)
}

// undelivered: an attempt met no actor, or a full mailbox.
func (s *state) undelivered(tag uint32, now time.Time) {
	r, late := s.of(uint64(tag))
	if r == nil || late || r.peer == nil {
		return
	}
	s.counts.undelivered++
	s.quiet(r.peer.address, now)
	from := s.goesOtherwise(r)
	s.wayTo(r.shard).distrust(from)
	s.again(r, from, now)
}

// down: what is in flight to an address will not be answered.
func (s *state) down(address string, now time.Time) {
	for _, w := range s.ways {
		if w.hint.address == address {
			w.distrust(address)
		}
	}
	p := s.peers[address]
	if p == nil {
		return
	}
	lost := make([]*request, 0, len(p.flying))
	for _, r := range p.flying {
		lost = append(lost, r)
	}
	slices.SortFunc(lost, func(a, b *request) int { return cmp.Compare(a.seq, b.seq) })
	for _, r := range lost {
		s.land(r)
		s.wayTo(r.shard).distrust(address)
	}
	for _, r := range lost {
		s.again(r, address, now)
	}
}

// moved sends what is in flight to a former leader of a shard to the one that it
// has now, and tries what waits.
func (s *state) moved(shard uint16, now time.Time) {
	if to, ok := s.lead(shard); ok || s.local(shard) {
		for _, r := range s.astray(shard, to) {
			from := s.land(r)
			s.again(r, from, now)
		}
	}
	if w := s.ways[shard]; w != nil && w.first != nil {
		s.wake(w, now)
	}
}

// astray are the requests of a shard that are in flight to others than its leader,
// in the order in which they came.
func (s *state) astray(shard uint16, leader string) (lost []*request) {
	for _, p := range s.peers {
		for _, r := range p.flying {
			if r.shard == shard && r.toward != leader {
				lost = append(lost, r)
			}
		}
	}
	slices.SortFunc(lost, func(a, b *request) int { return cmp.Compare(a.seq, b.seq) })
	return lost
}

// turn does what is due, and returns when to call it again; zero = never.
func (s *state) turn(now time.Time) (next time.Time) {
	for len(s.timers) > 0 && !now.Before(s.timers[0].due) {
		switch t := s.timers[0]; {
		case t.way != nil:
			s.wake(t.way, now)
		case !now.Before(t.req.deadline):
			s.expire(t.req)
		default:
			s.late(t.req, now)
		}
	}
	if len(s.timers) == 0 {
		return time.Time{}
	}
	return s.timers[0].due
}

// late: an attempt has no answer yet. The next one has more time: to a slow leader
// it is a burden.
func (s *state) late(r *request, now time.Time) {
	s.counts.late++
	w := s.wayTo(r.shard)
	if !r.goesRound() { // else it may be the leader that is silent
		s.quiet(r.peer.address, now)
	}
	from := s.goesOtherwise(r)
	if w.hint.address == from {
		w.hint = hint{}
	}
	r.attempts++
	r.redirects = 0
	if w.first != nil || !s.try(r, now) {
		s.park(r, now)
	}
}
