package live

import (
	"maps"
	"slices"
	"time"

	"github.com/rouse-im/rouse/simulations"
)

// latencies counts times by size: steps of an eighth, from 1 µs up.
type latencies struct {
	n     int64
	most  time.Duration
	steps [256]int64
}

func (l *latencies) add(d time.Duration) {
	l.n++
	l.most = max(l.most, d)
	l.steps[step(d)]++
}

// step of a time: three bits behind its highest one.
func step(d time.Duration) int {
	us := max(1, uint64(d/time.Microsecond))
	high := 0
	for x := us; x > 1; x >>= 1 {
		high++
	}
	low := us << 3 >> high & 7
	return min(255, high<<3|int(low))
}

// quantile is at most an eighth above the true one.
func (l *latencies) quantile(q float64) time.Duration {
	left := int64(q * float64(l.n))
	for i, n := range l.steps {
		if left -= n; left < 0 {
			return min(l.most, time.Duration((8+uint64(i&7)+1)<<(i>>3)>>3)*time.Microsecond)
		}
	}
	return l.most
}

// Figures of a run.
type Figures struct {
	Took   time.Duration `json:"took_ns"`
	Behind time.Duration `json:"behind_ns"` // at most, behind the clock of the run
	Events int64         `json:"events"`
	// Answers by status, and times from an event to its answer by kind.
	Answers map[string]int64 `json:"answers"`
	Times   []Times          `json:"times"`
	Pushes  map[string]int64 `json:"pushes"`
	// ToVendor is from a message to the vendor, in runs that are only measured.
	ToVendor Times  `json:"to_vendor"`
	Nodes    []Cost `json:"nodes"`
	// Moved is how often a node was seen to have lost leaderships that it did not
	// hand over: by faults, or because the machine gave it no time.
	Moved int `json:"moved"`
}

// Times of one kind of event.
type Times struct {
	Kind string        `json:"kind"`
	N    int64         `json:"n"`
	P50  time.Duration `json:"p50_ns"`
	P99  time.Duration `json:"p99_ns"`
	Most time.Duration `json:"most_ns"`
}

// Cost of one node.
type Cost struct {
	Node       string  `json:"node"`
	CPUSeconds float64 `json:"cpu_s"`
	Memory     float64 `json:"memory_bytes"` // at most
	Disk       float64 `json:"disk_bytes"`
}

func times(kind string, l *latencies) Times {
	return Times{kind, l.n, l.quantile(0.5), l.quantile(0.99), l.most}
}

func (r *recorder) figures(s *stage, w *watcher, p *player) Figures {
	r.mu.Lock()
	defer r.mu.Unlock()
	f := Figures{
		Took: time.Since(r.start), Behind: p.behind, Events: r.told.Load(), Answers: maps.Clone(r.count), Pushes: maps.Clone(r.taken), ToVendor: times("message", &r.push),
	}
	for _, k := range simulations.Kinds {
		if l := r.times[k]; l != nil {
			f.Times = append(f.Times, times(string(k), l))
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, n := range s.fleet.Nodes() {
		f.Nodes = append(f.Nodes, Cost{n.Name, w.cpu[n.Name] + w.last[n.Name], w.most[n.Name], w.disk[n.Name]})
	}
	f.Moved = w.moved
	slices.SortFunc(f.Times, func(a, b Times) int { return int(min(1, max(-1, b.N-a.N))) })
	return f
}

// takenBy is how many pushes a vendor took so far.
func (r *recorder) takenBy(vendor string) int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.taken[vendor]
}
