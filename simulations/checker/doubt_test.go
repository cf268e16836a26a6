package checker

import (
	"testing"

	"github.com/rouse-im/rouse/simulations"
)

func TestDoubtIsOfFaultsAlone(t *testing.T) {
	h := &History{
		Faults: []simulations.Fault{{At: 1000, For: 500, Nodes: []int{0}}},
		Pushes: []Push{
			{At: 100, PushID: "quiet", Answer: "accepted"},
			{At: 200, PushID: "quiet", Answer: "accepted"},
			{At: 1400, PushID: "moved", Answer: "accepted"},
			{At: 1600, PushID: "moved", Answer: "accepted"},
			{At: 1450, PushID: "once", Answer: "accepted"},
		},
	}
	h.Doubt(50)
	want := map[string][]string{"quiet": {"accepted", "accepted"}, "moved": {"none", "accepted"}, "once": {"accepted"}}
	got := map[string][]string{}
	for _, p := range h.Pushes {
		got[p.PushID] = append(got[p.PushID], p.Answer)
	}
	for id, answers := range want {
		for i := range answers {
			if got[id][i] != answers[i] {
				t.Errorf("push %s was answered %v, want %v", id, got[id], answers)
				break
			}
		}
	}
}
