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
	answered(t, h, map[string][]string{"quiet": {"accepted", "accepted"}, "moved": {"none", "accepted"}, "once": {"accepted"}})
}

// Who had an answer and goes on leading has no reason to send again. Who is elected
// again has one: what it had not written by then is lost. So has who was deposed and
// is cut off, until it notices.
func TestDoubtIsOfLeadersThatFell(t *testing.T) {
	h := &History{
		Faults: []simulations.Fault{{At: 900, For: 5000, Nodes: []int{0}}},
		Leads: []Lead{
			{By: "a", Shard: 1, Term: 1, To: 1500},
			{By: "b", Shard: 1, Term: 2, From: 1600, To: 9000},
			{By: "c", Shard: 2, Term: 1, To: 9000},
			{By: "d", Shard: 3, Term: 1, To: 1500},
			{By: "d", Shard: 3, Term: 3, From: 1550, To: 3000},
			{By: "d", Shard: 3, Term: 3, From: 3200, To: 9000},
			{By: "e", Shard: 4, Term: 1, To: 5000},
			{By: "f", Shard: 4, Term: 2, From: 4000, To: 9000},
		},
		Pushes: []Push{
			{At: 1400, Answered: 1450, PushID: "moved", Answer: "accepted", By: "a", Shard: 1},
			{At: 1700, Answered: 1710, PushID: "moved", Answer: "accepted", By: "b", Shard: 1},
			{At: 100, Answered: 110, PushID: "durable", Answer: "accepted", By: "a", Shard: 1},
			{At: 1700, Answered: 1710, PushID: "durable", Answer: "accepted", By: "b", Shard: 1},
			{At: 1400, Answered: 1450, PushID: "same", Answer: "accepted", By: "c", Shard: 2},
			{At: 1700, Answered: 1710, PushID: "same", Answer: "accepted", By: "c", Shard: 2},
			{At: 1700, Answered: 1710, PushID: "early", Answer: "accepted", By: "b", Shard: 1},
			{At: 1800, Answered: 1810, PushID: "early", Answer: "accepted", By: "a", Shard: 1},
			{At: 1480, Answered: 1490, PushID: "elected again", Answer: "accepted", By: "d", Shard: 3},
			{At: 1600, Answered: 1610, PushID: "elected again", Answer: "accepted", By: "d", Shard: 3},
			{At: 4500, Answered: 4510, PushID: "cut off", Answer: "accepted", By: "f", Shard: 4},
			{At: 4600, Answered: 4610, PushID: "cut off", Answer: "accepted", By: "e", Shard: 4},
			{At: 5100, Answered: 5110, PushID: "it knows", Answer: "accepted", By: "f", Shard: 4},
			{At: 5300, Answered: 5310, PushID: "it knows", Answer: "accepted", By: "e", Shard: 4},
			{At: 2500, Answered: 2510, PushID: "within a term", Answer: "accepted", By: "d", Shard: 3},
			{At: 3300, Answered: 3310, PushID: "within a term", Answer: "accepted", By: "d", Shard: 3},
		},
	}
	h.Doubt(50)
	answered(t, h, map[string][]string{
		"moved": {"none", "accepted"}, "durable": {"accepted", "accepted"}, "same": {"accepted", "accepted"}, "early": {"accepted", "accepted"},
		"elected again": {"none", "accepted"}, "within a term": {"accepted", "accepted"},
		"cut off": {"none", "accepted"}, "it knows": {"accepted", "accepted"},
	})
}

func answered(t *testing.T, h *History, want map[string][]string) {
	t.Helper()
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
