package placement

import (
	"sync"
	"time"

	"github.com/rouse-im/rouse/cluster/roster"
)

// Sightings remember since when members have been alive or dead, as one node
// sees it. Methods may be called concurrently.
type Sightings struct {
	mu    sync.Mutex
	seen  map[uint64]sighting
	moved time.Time // last change of any
}

type sighting struct {
	alive bool
	since time.Time
	last  time.Time // alive, zero = never
}

// Look notes who of the members is alive now.
func (s *Sightings) Look(v *roster.View, alive func(uint64) bool, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := make(map[uint64]sighting, len(v.Members()))
	for _, m := range v.Members() {
		was, known := s.seen[m.GetNode()]
		if was.alive {
			was.last = now // until now
		}
		if is := alive(m.GetNode()); !known || was.alive != is {
			was.alive, was.since, s.moved = is, now, now
		}
		if was.alive {
			was.last = now
		}
		next[m.GetNode()] = was
	}
	s.seen = next
}

// Doubt lets all deaths begin now: what was seen while this node was cut off
// proves nothing of the others.
func (s *Sightings) Doubt(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, x := range s.seen {
		if !x.alive {
			x.since = now
			s.seen[id] = x
		}
	}
}

// Nodes are the members for Plan. Who has not been looked at is dead as of now.
func (s *Sightings) Nodes(v *roster.View, now time.Time) []Node {
	s.mu.Lock()
	defer s.mu.Unlock()
	nodes := make([]Node, 0, len(v.Members()))
	for _, m := range v.Members() {
		x, ok := s.seen[m.GetNode()]
		if !ok {
			x.since = now
		}
		nodes = append(nodes, Node{ID: m.GetNode(), Zone: m.GetZone(), Draining: m.GetDraining(), Leaving: m.GetLeaving(), Alive: x.alive, Since: x.since})
	}
	return nodes
}

// DeadFor tells how long a member has been seen dead; 0 = it is alive, or unknown.
func (s *Sightings) DeadFor(node uint64, now time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if x, ok := s.seen[node]; ok && !x.alive {
		return now.Sub(x.since)
	}
	return 0
}

// LastSeen is when a member was last seen alive; zero = never.
func (s *Sightings) LastSeen(node uint64) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen[node].last
}

// stableFor tells how long nobody has come, died or returned.
func (s *Sightings) stableFor(now time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return now.Sub(s.moved)
}
