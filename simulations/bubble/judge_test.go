package bubble

import (
	"testing"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/simulations"
	"github.com/rouse-im/rouse/simulations/checker"
	"github.com/rouse-im/rouse/simulations/model"
)

// An event that is a duplicate when it is told first was repeated by a router: it
// counts as accepted. What a repeat of the IM node is answered says nothing of it.
func TestDuplicateThatWasToldOnce(t *testing.T) {
	logout := &simulations.Event{N: 639, Kind: simulations.Presence, User: "u", Device: "d", State: simulations.LoggedOut, Session: 3, Step: 1, Unbind: true}
	call := func(at simulations.Offset, s rousev1.ItemStatus) model.Call {
		return model.Call{Event: logout, User: "u", Sent: at, Answered: at + 1, Status: s}
	}
	e := &Engine{clients: &clients{told: []told{
		{Call: call(10, rousev1.ItemStatus_ITEM_STATUS_DUPLICATE)},
		{Call: call(20, rousev1.ItemStatus_ITEM_STATUS_STALE), copy: 1},
	}}}
	h := &checker.History{}
	e.acks(h)
	if want := (checker.Ack{Event: 639, Sent: 10, Answered: 11, Status: "accepted"}); len(h.Acks) != 1 || h.Acks[0] != want {
		t.Errorf("acks: %+v, want %+v", h.Acks, want)
	}
}

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
