package simulations

import "iter"

// Cause of a difference between what happened and what was told.
type Cause string

// Causes.
const (
	Delayed  Cause = "delay"   // told later
	Reorder  Cause = "reorder" // overtook, or was overtaken
	Repeated Cause = "repeat"  // told once more
	Lost     Cause = "lost"    // never told: its IM node died with it
)

// Delivery is an event as an IM node tells it. Those that are lost are not
// told; they are there so that a report can say so.
type Delivery struct {
	Event *Event  `json:"event"`
	At    Offset  `json:"at"`             // when it is told; >= Event.At
	Copy  int     `json:"copy,omitempty"` // 0 = the first time
	Why   []Cause `json:"why,omitempty"`
	Lost  bool    `json:"lost,omitempty"`
}

// Step is what an engine does next: exactly one of its fields is set.
type Step struct {
	At       Offset    `json:"at"`
	Delivery *Delivery `json:"delivery,omitempty"`
	Fault    *Fault    `json:"fault,omitempty"`
}

// Merge brings deliveries and faults, each in order of time, into one order.
// At the same time faults come first. Deliveries that are lost are left out.
func Merge(deliveries iter.Seq[Delivery], faults []Fault) iter.Seq[Step] {
	return func(yield func(Step) bool) {
		rest := faults
		until := func(at Offset) bool {
			for len(rest) > 0 && rest[0].At <= at {
				f := rest[0]
				rest = rest[1:]
				if !yield(Step{At: f.At, Fault: &f}) {
					return false
				}
			}
			return true
		}
		for d := range deliveries {
			if d.Lost {
				continue
			}
			if !until(d.At) || !yield(Step{At: d.At, Delivery: &d}) {
				return
			}
		}
		until(maxOffset)
	}
}

const maxOffset = Offset(1<<63 - 1)

// Plain tells every event at once, as IM nodes without faults would.
func Plain(events iter.Seq[Event]) iter.Seq[Delivery] {
	return func(yield func(Delivery) bool) {
		for e := range events {
			if !yield(Delivery{Event: &e, At: e.At}) {
				return
			}
		}
	}
}
