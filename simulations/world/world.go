// Package world makes up what happens to a population of phones: the same
// scenario and seed always make the same events, one after the other, without
// keeping those that were made.
//
// Every device has its own source of random numbers, so that what one does
// changes little when others are left out.
package world

import (
	"fmt"
	"hash/fnv"
	"iter"
	"math/rand/v2"
	"time"

	"github.com/rouse-im/rouse/simulations"
	"github.com/rouse-im/rouse/simulations/scenarios"
)

// World of a scenario and a seed. It is used by one goroutine; Events may be
// called once.
type World struct {
	s       *scenarios.Scenario
	seed    uint64
	end     simulations.Offset
	regions []region
	users   []user
	devices []device
	groups  []group
	nodes   []node

	queue queue // of devices and groups, by their next time
	later later // what follows by itself
	n     uint64
	last  uint64 // number of the last message
	out   func(simulations.Event) bool
	over  bool // nobody wants more
}

type region struct {
	zone   *time.Location
	name   string
	brands []weighted
	hours  rhythm
}

// node is an IM node.
type node struct {
	incarnation uint32 // 0 = it has not started yet
	down        bool
}

// New makes the population. The scenario must be valid. Memory is in proportion
// to the number of devices, some 200 bytes each.
func New(s *scenarios.Scenario, seed uint64) (*World, error) {
	w := &World{s: s, seed: seed, end: simulations.At(s.Length), nodes: make([]node, s.IM.Nodes)}
	for _, r := range s.Regions {
		zone, err := time.LoadLocation(r.Zone)
		if err != nil {
			return nil, fmt.Errorf("region %s: %w", r.Name, err)
		}
		w.regions = append(w.regions, region{zone: zone, name: r.Zone, brands: weights(r.Phones.Of), hours: newRhythm(s.Rhythm, s.Start, zone)})
	}
	w.populate()
	w.gather()
	w.queue.init(w)
	return w, nil
}

// random numbers of one thing in the world.
func (w *World) random(kind string, i uint64) rand.PCG {
	h := fnv.New64a()
	_, _ = h.Write([]byte(kind)) // never fails
	return *rand.NewPCG(w.seed, h.Sum64()^i*0x9e3779b97f4a7c15)
}

// Events in order of time. They share nothing with the world but the slices of
// recipients, which do not change.
func (w *World) Events() iter.Seq[simulations.Event] {
	return func(yield func(simulations.Event) bool) {
		w.out = yield
		for i := range w.nodes {
			w.imUp(0, i)
		}
		for i, o := range w.s.IM.Outages {
			w.later.add(simulations.At(o.At), follow{kind: followDown, ref: uint64(i)})
		}
		w.planErasures()
		for !w.over {
			at, due := w.queue.next()
			if f, ok := w.later.due(at); ok {
				if f.at >= w.end {
					return
				}
				w.follow(f)
				continue
			}
			if at >= w.end {
				return
			}
			w.act(at, due)
		}
	}
}

func (w *World) act(at simulations.Offset, due uint32) {
	if i := int(due); i < len(w.devices) {
		w.live(at, &w.devices[i])
	} else {
		w.speak(at, &w.groups[i-len(w.devices)])
	}
	w.queue.fix()
}

// tell hands an event out.
func (w *World) tell(e simulations.Event) {
	if w.over {
		return
	}
	w.n++
	e.N = w.n
	if !w.out(e) {
		w.over = true
	}
}

func nodeName(i int) string { return fmt.Sprintf("im-%d", i) }

func (w *World) imUp(at simulations.Offset, i int) {
	w.nodes[i].incarnation++
	w.nodes[i].down = false
	w.tell(simulations.Event{At: at, Kind: simulations.IMUp, Node: nodeName(i), Incarnation: uint64(w.nodes[i].incarnation)})
}

// liveNode is an IM node that is up; false if none is.
func (w *World) liveNode(r *rand.Rand) (int, bool) {
	first := r.IntN(len(w.nodes))
	for k := range w.nodes {
		if i := (first + k) % len(w.nodes); !w.nodes[i].down {
			return i, true
		}
	}
	return 0, false
}

// outage ends IM nodes: their sessions are over without a word, and the devices
// come back a little later.
func (w *World) outage(at simulations.Offset, o scenarios.Outage, ref uint64) {
	hit := map[int]bool{}
	for i := range w.nodes {
		if (o.All || o.Node == i) && !w.nodes[i].down {
			hit[i] = true
			w.nodes[i].down = true
			w.tell(simulations.Event{At: at, Kind: simulations.IMDown, Node: nodeName(i), Incarnation: uint64(w.nodes[i].incarnation)})
		}
	}
	for i := range w.devices {
		d := &w.devices[i]
		if !d.online() || !hit[int(d.node)] {
			continue
		}
		r := rand.New(&d.rng)
		d.inFront, d.state = d.state == foreground, lost
		if d.then == actHost {
			continue // a guest does not wait for it
		}
		// A look that goes on ends when it would have; who is not looking comes back too.
		d.then, d.next = actReturn, at+max(1, draw(r, w.s.IM.Reconnect))
	}
	w.queue.init(w)
	w.later.add(at+simulations.At(o.For), follow{kind: followUp, ref: ref})
}
