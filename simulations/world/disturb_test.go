package world

import (
	"slices"
	"testing"
	"time"

	"github.com/rouse-im/rouse/simulations"
)

func TestDisturb(t *testing.T) {
	causes := map[simulations.Cause]int{}
	for seed := range uint64(10) {
		s, w := open(t, "small", seed)
		happened, told := map[uint64]simulations.Event{}, map[uint64]int{}
		events := func(yield func(simulations.Event) bool) {
			for e := range w.Events() {
				happened[e.N] = e
				if !yield(e) {
					return
				}
			}
		}
		last := simulations.Offset(0)
		order := map[string]uint64{}
		for d := range Disturb(s, seed, events) {
			e := d.Event
			if d.At < e.At || d.At < last {
				t.Fatalf("event %d of %v is told at %v, after one at %v", e.N, e.At, d.At, last)
			}
			last = d.At
			for _, why := range d.Why {
				causes[why]++
			}
			if d.Lost != slices.Contains(d.Why, simulations.Lost) {
				t.Errorf("event %d: lost is %v, because of %v", e.N, d.Lost, d.Why)
			}
			if d.Copy == 0 {
				told[e.N]++
			}
			if len(d.Why) == 0 && e.Node != "" {
				if e.N < order[e.Node] {
					t.Errorf("event %d of %s is told after %d, and nothing says why", e.N, e.Node, order[e.Node])
				}
				order[e.Node] = e.N
			}
		}
		if len(told) != len(happened) {
			t.Errorf("seed %d: %d events happened, %d were told or lost", seed, len(happened), len(told))
		}
		for n, times := range told {
			if times != 1 {
				t.Errorf("event %d was told %d times for the first time", n, times)
			}
		}
	}
	for _, c := range []simulations.Cause{simulations.Delayed, simulations.Reorder, simulations.Repeated, simulations.Lost} {
		if causes[c] == 0 {
			t.Errorf("nothing is disturbed by %s", c)
		}
	}
}

func TestADyingNodeTakesItsLastWordsAlong(t *testing.T) {
	s, _ := open(t, "small", 1)
	s.IM.Late.Of, s.IM.Repeat.Of, s.IM.Delay.Kind, s.IM.Delay.Min, s.IM.LoseLast = 0, 0, "fixed", 0, 300*time.Millisecond
	at := func(n uint64, ms simulations.Offset, kind simulations.Kind, node string) simulations.Event {
		return simulations.Event{N: n, At: ms, Kind: kind, Node: node, Incarnation: 1, User: "u"}
	}
	events := []simulations.Event{
		at(1, 0, simulations.Presence, "a"), at(2, 900, simulations.Presence, "a"), at(3, 900, simulations.Presence, "b"), at(4, 1000, simulations.IMDown, "a"), at(5, 5000, simulations.Presence, "b"),
	}
	var lost []uint64
	for d := range Disturb(s, 1, slices.Values(events)) {
		if d.Lost {
			lost = append(lost, d.Event.N)
		}
	}
	if !slices.Equal(lost, []uint64{2}) {
		t.Errorf("lost are %v, want event 2 alone: less than 300 ms before the end of its node", lost)
	}
}
