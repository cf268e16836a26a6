package route

import "time"

// way is what is known of how to reach the leader of a shard, and the requests
// that wait for it, in the order in which they came, so that none overtakes another
// when the leader is found.
type way struct {
	shard uint16
	hint  hint
	// doubt is an address that turned a request away without a better one: a single
	// request is sent there before the others.
	doubt       string
	turn        int // which of the relays is asked first
	first, last *request
	pause       time.Duration // before the next try
	timer       timer
}

// hint is a leader that was named by a shard.
type hint struct {
	address string
	term    uint64
}

func (s *state) wayTo(shard uint16) *way {
	w := s.ways[shard]
	if w == nil {
		w = &way{shard: shard, pause: s.pause}
		w.timer.way = w
		s.ways[shard] = w
	}
	return w
}

// lead is where a shard is led as far as is known.
func (s *state) lead(shard uint16) (address string, ok bool) {
	address, term, ok := s.leader(shard)
	if w := s.ways[shard]; w != nil && w.hint.address != "" && (!ok || w.hint.term > term) {
		return w.hint.address, true
	}
	return address, ok
}

// redirect notes whom a shard at address from named as leader; empty = nobody.
func (w *way) redirect(from, leader string, term uint64) {
	if leader == "" || leader == from {
		w.distrust(from)
	} else if term >= w.hint.term {
		w.hint = hint{leader, term}
	}
}

// distrust notes that an address is no way to the leader now.
func (w *way) distrust(address string) {
	if w.doubt = address; w.hint.address == address {
		w.hint = hint{}
	}
}

// clear notes that the leader was reached. It is true if that was in doubt.
func (w *way) clear(pause time.Duration) bool {
	doubted := w.doubt != ""
	w.doubt, w.pause = "", pause
	return doubted
}

// park lets a request wait with the others of its shard.
func (s *state) park(r *request, now time.Time) {
	w := s.wayTo(r.shard)
	if w.first == nil {
		s.timers.set(&w.timer, now.Add(w.pause))
	}
	r.redirects = 0
	w.insert(r)
	s.parked++
	s.timers.set(&r.timer, r.deadline)
}

// insert puts one that comes back before those that came later.
func (w *way) insert(r *request) {
	after := w.last
	for after != nil && after.seq > r.seq {
		after = after.prev
	}
	r.way, r.prev = w, after
	if after == nil {
		r.next, w.first = w.first, r
	} else {
		r.next, after.next = after.next, r
	}
	if r.next == nil {
		w.last = r
	} else {
		r.next.prev = r
	}
}

func (s *state) unpark(r *request) {
	w := r.way
	if w == nil {
		return
	}
	if r.prev == nil {
		w.first = r.next
	} else {
		r.prev.next = r.next
	}
	if r.next == nil {
		w.last = r.prev
	} else {
		r.next.prev = r.prev
	}
	r.way, r.prev, r.next = nil, nil, nil
	s.parked--
	if w.first == nil {
		s.timers.remove(&w.timer)
	}
}

// wake tries the requests that wait for a shard, in order, until one has to stay.
func (s *state) wake(w *way, now time.Time) {
	to, _ := s.lead(w.shard)
	probe := w.doubt != "" && to == w.doubt && !s.local(w.shard)
	w.pause = min(2*w.pause, s.pauseMax)
	for r := w.first; r != nil && s.try(r, now); r = w.first {
		s.unpark(r)
		if probe {
			break
		}
	}
	if w.first != nil {
		s.timers.set(&w.timer, now.Add(w.pause))
	}
}
