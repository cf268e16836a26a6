package bubble

import (
	"testing"

	"github.com/rouse-im/rouse/simulations"
	"github.com/rouse-im/rouse/simulations/checker"
)

// A doubtful answer that a token is invalid still costs the token.
func TestDoubtKeepsDrops(t *testing.T) {
	e := &Engine{vendors: &outside{pushes: []checker.Push{
		{At: 1000, Answered: 1400, Notifier: "ios", Token: "t", PushID: "p", Answer: "invalid-token"},
		{At: 1600, Answered: 9000, Notifier: "ios", Token: "t", PushID: "p", Answer: "none"},
	}}}
	h := &checker.History{Faults: []simulations.Fault{{At: 900, For: 500, Nodes: []int{0}}}, Pushes: e.sent()}
	h.Doubt(50)
	if got := h.Pushes[0].Answer; got != "none" {
		t.Errorf("the answer before the leadership ended is %q, want none", got)
	}
	if all := e.drops(); len(all) != 1 || all[0].token != "t" || all[0].from != 1000 {
		t.Errorf("tokens dropped: %+v, want t from 1 s on", all)
	}
}
