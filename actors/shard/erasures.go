package shard

import "time"

// erasures are the numbers of the last users' erasures that this node carried out.
// A repeat that comes late, when the user has come back, must not erase him again,
// and nothing may be kept of an erased user in his record. So they are known to this
// node only, until it ends: a repeat goes to where the first attempt went, or to who
// leads now, which is this node still unless leadership went on within the minute.
type erasures struct {
	last [maxErasures]erasure
	next int
}

type erasure struct {
	op uint64
	at time.Time
}

const (
	// maxErasures bounds them in each shard.
	maxErasures = 64
	// erasuresFor is longer than any repeat is under way, see actors/user/repeat.go.
	erasuresFor = time.Minute
)

func (e *erasures) add(op uint64, now time.Time) {
	if op == 0 {
		return
	}
	e.last[e.next] = erasure{op, now}
	e.next = (e.next + 1) % maxErasures
}

// have is asked with op != 0.
func (e *erasures) have(op uint64, now time.Time) bool {
	for _, x := range e.last {
		if x.op == op && now.Sub(x.at) < erasuresFor {
			return true
		}
	}
	return false
}
