package fake

import (
	"maps"
	"sync"
	"sync/atomic"
)

// APNsStats counts what a fake saw since its start.
type APNsStats struct {
	// Requests arrived whole; Accepted of them were taken, those whose answer
	// a fault then withheld included.
	Requests, Accepted int64
	// Reasons counts the errors answered, scripted ones excepted.
	Reasons map[string]int64
	// Connections completed the TLS handshake, Open of them are open now;
	// Refused streams were above the limit.
	Connections, Open, Refused int64
	// Peak is the greatest number of requests open at one time.
	Peak int64
	// Bearers is the number of distinct valid provider tokens seen.
	Bearers int64
	// Doubled is the number of (device token, payload key "m") pairs that were
	// taken under more than one apns-id.
	Doubled int64
}

type apnsStats struct {
	requests, accepted, connections, refused, open, peak, bearers, doubled atomic.Int64

	mu      sync.Mutex
	reasons map[string]int64
}

// Stats returns the counts so far.
func (a *APNs) Stats() APNsStats {
	open := int64(len(a.open()))
	s := &a.stats
	s.mu.Lock()
	defer s.mu.Unlock()
	return APNsStats{
		Requests: s.requests.Load(), Accepted: s.accepted.Load(), Reasons: maps.Clone(s.reasons),
		Connections: s.connections.Load(), Open: open, Refused: s.refused.Load(), Peak: s.peak.Load(),
		Bearers: s.bearers.Load(), Doubled: s.doubled.Load(),
	}
}

// reason counts an error answer; reasons are a closed set (apns_check.go).
func (s *apnsStats) reason(reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reasons[reason]++
}

func (s *apnsStats) opened() {
	open := s.open.Add(1)
	for peak := s.peak.Load(); open > peak && !s.peak.CompareAndSwap(peak, open); peak = s.peak.Load() {
	}
}
