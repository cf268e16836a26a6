package world

import (
	"container/heap"
	"iter"
	"math/rand/v2"

	"github.com/rouse-im/rouse/simulations"
	"github.com/rouse-im/rouse/simulations/scenarios"
)

// maxHeld bounds the events that are on their way; beyond it the next one is
// told at once.
const maxHeld = 1 << 18

// Disturb turns what happened into what IM nodes tell: later, twice, out of
// order, or not at all when the node dies with it. The reasons are kept with
// each delivery. Events of one node keep their order but for those that are
// late. Deliveries come in order of their time; what is lost comes when it
// would have been told, marked as lost.
//
// What does not go through an IM node (binds, settings, policies, vendors) is
// told at once.
func Disturb(s *scenarios.Scenario, seed uint64, events iter.Seq[simulations.Event]) iter.Seq[simulations.Delivery] {
	return func(yield func(simulations.Delivery) bool) {
		x := &disturber{
			s: s.IM, r: rand.New(rand.NewPCG(seed, 0xd157)), keep: simulations.At(s.IM.LoseLast),
			order: map[string]simulations.Offset{}, late: map[string]*held{}, yield: yield,
		}
		for e := range events {
			if !x.take(e) {
				return
			}
		}
		x.release(never)
	}
}

type disturber struct {
	s     scenarios.IM
	r     *rand.Rand
	keep  simulations.Offset // how long an event is held at least, to be lost
	held  heldHeap
	n     uint64
	order map[string]simulations.Offset // by node, when its last event is told
	late  map[string]*held              // by user, what is late
	yield func(simulations.Delivery) bool
	over  bool
}

type held struct {
	simulations.Delivery
	n uint64 // breaks ties
}

func (x *disturber) take(e simulations.Event) bool {
	switch e.Kind {
	case simulations.Presence, simulations.Message, simulations.Read, simulations.Fetched, simulations.Recall:
		x.send(&e)
	case simulations.IMDown:
		x.crash(&e)
		x.hold(simulations.Delivery{Event: &e, At: e.At})
	default:
		x.hold(simulations.Delivery{Event: &e, At: e.At})
	}
	x.release(e.At - x.keep)
	for len(x.held) > maxHeld && !x.over {
		x.tell()
	}
	return !x.over
}

// send one event by its node.
func (x *disturber) send(e *simulations.Event) {
	d := simulations.Delivery{Event: e, At: e.At + draw(x.r, x.s.Delay)}
	if hit(x.r, x.s.Late) {
		d.At += draw(x.r, x.s.Lag)
		d.Why = append(d.Why, simulations.Delayed)
		h := x.hold(d)
		if e.User != "" {
			x.late[e.User] = h
		}
	} else {
		d.At = max(d.At, x.order[e.Node])
		x.order[e.Node] = d.At
		x.hold(d)
	}
	if hit(x.r, x.s.Repeat) {
		d.Copy, d.At = 1, d.At+1+draw(x.r, x.s.Lag)
		d.Why = []simulations.Cause{simulations.Repeated}
		x.hold(d)
	}
}

func (x *disturber) hold(d simulations.Delivery) *held {
	x.n++
	h := &held{d, x.n}
	heap.Push(&x.held, h)
	return h
}

// crash loses what the node had not told, and what it had told so shortly
// before that it may not have arrived.
func (x *disturber) crash(down *simulations.Event) {
	for _, h := range x.held {
		e := h.Event
		if e.Node == down.Node && e.Incarnation == down.Incarnation && e.Kind != simulations.IMUp && (h.At >= down.At || e.At > down.At-x.keep) {
			h.Lost = true
			h.Why = append(h.Why, simulations.Lost)
		}
	}
}

// release what is due.
func (x *disturber) release(until simulations.Offset) {
	for len(x.held) > 0 && x.held[0].At <= until && !x.over {
		x.tell()
	}
}

func (x *disturber) tell() {
	h := heap.Pop(&x.held).(*held)
	if e := h.Event; e.User != "" && h.Copy == 0 {
		switch l := x.late[e.User]; {
		case l == h:
			delete(x.late, e.User)
		case l != nil && e.N > l.Event.N && !l.Lost && !h.Lost:
			h.Why = append(h.Why, simulations.Reorder)
			if len(l.Why) < 2 {
				l.Why = append(l.Why, simulations.Reorder)
			}
		}
	}
	if !x.yield(h.Delivery) {
		x.over = true
	}
}

type heldHeap []*held

func (h heldHeap) Len() int { return len(h) }
func (h heldHeap) Less(i, j int) bool {
	return h[i].At < h[j].At || h[i].At == h[j].At && h[i].n < h[j].n
}
func (h heldHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }

// Push is for heap.Interface.
func (h *heldHeap) Push(v any) { *h = append(*h, v.(*held)) }

// Pop is for heap.Interface.
func (h *heldHeap) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}
