package memnet

import (
	"slices"
	"time"
)

// flow keeps the order of what travels one direction of one connection. It has
// no goroutine: a timer for the first arrival drains it. Guarded by Net.mu.
type flow struct {
	l        *link
	queue    []arrival
	timer    *time.Timer
	draining bool
}

type arrival struct {
	at time.Time
	do func() // called without the lock
}

func (l *link) flow() *flow { return &flow{l: l} }

// push sends size bytes; do is called when they are there.
func (f *flow) push(size int, do func()) {
	f.queue = append(f.queue, arrival{f.l.arrival(size), do}) // a sooner one waits for those before it
	if len(f.queue) == 1 && !f.draining {
		f.l.flows = append(f.l.flows, f)
		f.arm()
	}
}

// arm waits for the first arrival; a blocked link has none.
func (f *flow) arm() {
	if f.l.blocked() || len(f.queue) == 0 {
		return
	}
	if f.timer == nil {
		f.timer = time.AfterFunc(time.Until(f.queue[0].at), f.drain)
	} else {
		f.timer.Reset(time.Until(f.queue[0].at))
	}
}

// release sends on what waited for a blocked link.
func (f *flow) release() {
	if f.draining {
		return
	}
	soonest := time.Now().Add(f.l.late())
	for i := range f.queue {
		if f.queue[i].at.Before(soonest) {
			f.queue[i].at = soonest
		}
	}
	f.arm()
}

// drain hands over what has arrived, one at a time and in order.
func (f *flow) drain() {
	n := f.l.n
	n.mu.Lock()
	defer n.mu.Unlock()
	if f.draining {
		return
	}
	f.draining = true
	for len(f.queue) > 0 && !f.l.blocked() && !f.queue[0].at.After(time.Now()) {
		do := f.queue[0].do
		f.queue[0].do = nil
		f.queue = f.queue[1:]
		n.mu.Unlock()
		do()
		n.mu.Lock()
	}
	f.draining = false
	if len(f.queue) > 0 {
		f.arm()
		return
	}
	f.queue = nil
	if i := slices.Index(f.l.flows, f); i >= 0 {
		f.l.flows = slices.Delete(f.l.flows, i, i+1)
	}
}
