package fake

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// shelf remembers the devices of one fake and what each got. P is the vendor's
// push. The owner sets most and keep before use.
type shelf[P any] struct {
	most int // devices; further ones are not remembered
	keep int // pushes, and message ids, of one device; the oldest go first

	mu      sync.Mutex
	byToken map[string]*shelved[P]
	doubled int64
}

// shelved is one device.
type shelved[P any] struct {
	fault    string // the vendor's code for this token; empty = live
	received []P
	shown    []shownPush[P]
	ids      []messageIDs
	jobs     []string
	minute   span
}

type shownPush[P any] struct {
	key  string // a later push with this key replaces it; empty = none does
	push P
}

func newShelf[P any](most, keep int) *shelf[P] {
	return &shelf[P]{most: most, keep: keep, byToken: map[string]*shelved[P]{}}
}

// set gives token a state: a fault, or "" for live.
func (s *shelf[P]) set(token, fault string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if d := s.add(token); d != nil {
		d.fault = fault
	}
}

func (s *shelf[P]) add(token string) *shelved[P] {
	d := s.byToken[token]
	if d == nil && len(s.byToken) < s.most {
		d = &shelved[P]{}
		s.byToken[token] = d
	}
	return d
}

// fault is what is wrong with token, unknown when it was never set and not any.
func (s *shelf[P]) fault(token, unknown string, anyDevice bool) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.byToken[token]
	switch {
	case d != nil:
		return d.fault
	case anyDevice:
		s.add(token)
		return ""
	}
	return unknown
}

// perMinute reports whether token may have one more push this minute.
func (s *shelf[P]) perMinute(token string, limit int, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.byToken[token]
	return d == nil || d.minute.spend(limit, time.Minute, now)
}

// first reports whether job is new to token, and notes it. An empty job is new.
func (s *shelf[P]) first(token, job string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.byToken[token]
	if d == nil || job == "" {
		return true
	}
	if slices.Contains(d.jobs, job) {
		return false
	}
	d.jobs = appendRing(d.jobs, job, s.keep)
	return true
}

// record keeps a push; show: the device draws it, over one with the same key.
// message and id count pushes of one message under several push ids.
func (s *shelf[P]) record(token string, push P, show bool, key, message, id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.byToken[token]
	if d == nil {
		return
	}
	d.received = appendRing(d.received, push, s.keep)
	if message != "" && d.doubles(message, id, s.keep) {
		s.doubled++
	}
	if !show {
		return
	}
	if key != "" {
		d.shown = slices.DeleteFunc(d.shown, func(p shownPush[P]) bool { return p.key == key })
	}
	d.shown = appendRing(d.shown, shownPush[P]{key, push}, s.keep)
}

// doubles reports whether id is the second distinct one of message.
func (d *shelved[P]) doubles(message, id string, keep int) bool {
	i := slices.IndexFunc(d.ids, func(m messageIDs) bool { return m.message == message })
	if i < 0 {
		d.ids = appendRing(d.ids, messageIDs{message: message, first: id}, keep)
		return false
	}
	if m := &d.ids[i]; m.first != id && m.second == "" {
		m.second = id
		return true
	}
	return false
}

// view copies what token received and shows, oldest first.
func (s *shelf[P]) view(token string) (received, shown []P, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.byToken[token]
	if d == nil {
		return nil, nil, false
	}
	for _, p := range d.shown {
		shown = append(shown, p.push)
	}
	return slices.Clone(d.received), shown, true
}

// span counts what happens within a time that starts with the first.
type span struct {
	start time.Time
	count int
}

// spend reports whether one more fits within limit per length.
func (s *span) spend(limit int, length time.Duration, now time.Time) bool {
	if now.Sub(s.start) >= length {
		*s = span{start: now}
	}
	s.count++
	return s.count <= limit
}

// tally counts the requests of one fake.
type tally struct {
	requests, accepted, open, peak atomic.Int64

	mu    sync.Mutex
	codes map[string]int64
}

// Tally is what a fake saw since its start.
type Tally struct {
	// Requests to send arrived whole.
	Requests int64
	// Accepted counts the tokens whose push was taken, those whose answer a
	// fault then withheld included.
	Accepted int64
	// Codes counts the refusals, of requests and of tokens, by the vendor's
	// code; scripted ones excepted.
	Codes map[string]int64
	// Peak is the greatest number of send requests open at one time.
	Peak int64
	// Doubled is the number of (token, data key "m") pairs that were taken
	// under more than one push id.
	Doubled int64
}

func (t *tally) opened() {
	open := t.open.Add(1)
	for peak := t.peak.Load(); open > peak && !t.peak.CompareAndSwap(peak, open); peak = t.peak.Load() {
	}
}

// count counts a refusal; the codes are a closed set.
func (t *tally) count(code string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.codes == nil {
		t.codes = map[string]int64{}
	}
	t.codes[code]++
}

func (t *tally) read(doubled int64) Tally {
	t.mu.Lock()
	defer t.mu.Unlock()
	return Tally{
		Requests: t.requests.Load(), Accepted: t.accepted.Load(), Codes: maps.Clone(t.codes),
		Peak: t.peak.Load(), Doubled: doubled,
	}
}

func (s *shelf[P]) doubles() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.doubled
}
