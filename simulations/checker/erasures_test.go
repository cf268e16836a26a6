package checker

import (
	"slices"
	"testing"

	"github.com/rouse-im/rouse/simulations"
)

// forgotten is a good run of which nothing of ann is left.
func forgotten() *History {
	h := good()
	h.Outcomes = slices.DeleteFunc(h.Outcomes, func(o Outcome) bool { return o.User == "ann" })
	h.Stored, h.Counters = nil, nil
	h.Faults = h.Faults[:1] // clocks are right
	return h
}

const erasedAt = simulations.Offset(60_000)

func erase() simulations.Event { return simulations.Event{Kind: simulations.Erase, User: "ann"} }

// What was told of a user before he was erased is missed by nobody; what was told
// after it is, and what is done for him after it shows.
func TestErasure(t *testing.T) {
	for name, c := range map[string]struct {
		also func(h *History)
		want []string // breached
	}{
		"nothing": {func(*History) {}, nil},
		"a push on its way": {func(h *History) {
			h.Pushes = append(h.Pushes, Push{At: erasedAt + 900, Notifier: "ios", Token: "t1", PushID: "late", Answer: "accepted"})
		}, nil},
		"a push much later": {func(h *History) {
			h.Pushes = append(h.Pushes, Push{At: erasedAt + 1100, Notifier: "ios", Token: "t1", PushID: "late", Answer: "accepted"})
		}, []string{"one-push-id", "no-removed-token"}},
		"a message after it": {func(h *History) {
			h.happens(301, erasedAt+10, simulations.Event{Kind: simulations.Message, Message: "new", To: []string{"ann"}})
		}, []string{"acked-is-stored"}},
		"a message after it, by a clock ahead": {func(h *History) {
			h.happens(301, erasedAt+10, simulations.Event{Kind: simulations.Message, Message: "new", To: []string{"ann"}})
			h.Faults = append(h.Faults, simulations.Fault{N: 2, At: 30_000, Kind: simulations.ClockJump, Nodes: []int{0}, Delay: 1000})
		}, nil},
		"a session after it": {func(h *History) {
			h.happens(301, erasedAt+10, simulations.Event{Kind: simulations.Presence, User: "ann", Device: "phone", State: simulations.Connected, Session: 2})
		}, []string{"acked-is-stored"}},
		"a token after it": {func(h *History) {
			h.happens(301, erasedAt+10, simulations.Event{Kind: simulations.Bind, User: "ann", Device: "phone", Notifier: "ios", Token: "t1"})
		}, []string{"acked-is-stored"}},
		"a token while it was under way": {func(h *History) {
			h.happens(301, erasedAt+2, simulations.Event{Kind: simulations.Bind, User: "ann", Device: "phone", Notifier: "ios", Token: "t1"})
		}, nil},
		"somebody who was not erased": {func(h *History) {
			h.happens(301, 10, simulations.Event{Kind: simulations.Message, Message: "other", To: []string{"carl"}})
		}, []string{"acked-is-stored"}},
	} {
		t.Run(name, func(t *testing.T) {
			h := forgotten()
			h.happens(300, erasedAt, erase())
			c.also(h)
			for _, check := range []string{"acked-is-stored", "one-outcome", "one-push-id", "none-after-online", "no-removed-token", "quiet-times"} {
				want := 0
				if slices.Contains(c.want, check) {
					want = 1
				}
				if n := breachesOf(h, check); n != want {
					t.Errorf("%s: %d breaches, want %d: %v", check, n, want, Broken(h.Run()))
				}
			}
		})
	}
	if breachesOf(forgotten(), "acked-is-stored") == 0 || breachesOf(forgotten(), "one-push-id") == 0 {
		t.Error("nothing is missed of a user who was not erased")
	}
}

// An erasure without an answer may come true at any time; one that was refused does not.
func TestErasureWithoutAnAnswer(t *testing.T) {
	for status, missed := range map[string]bool{"unknown": false, "refused": true} {
		h := forgotten()
		h.happens(300, 0, erase())
		h.Acks[len(h.Acks)-1].Status = status
		if got := breachesOf(h, "acked-is-stored") > 0; got != missed {
			t.Errorf("%s: missed %v, want %v", status, got, missed)
		}
	}
}

// A device that was online is so no more for a user who was erased: his next token is
// one of a phone that was never seen.
func TestErasureEndsSessions(t *testing.T) {
	for erased, want := range map[bool]int{true: 0, false: 1} {
		h := good()
		h.happens(300, 40_000, simulations.Event{Kind: simulations.Presence, User: "ann", Device: "phone", State: simulations.Connected, Session: 2, Node: "im-0"})
		if erased {
			h.happens(301, 50_000, erase())
		}
		h.message(302, 60_000, "new")
		if n := breachesOf(h, "none-after-online"); n != want {
			t.Errorf("erased %v: %d breaches, want %d", erased, n, want)
		}
	}
}

// A push without an outcome counts against the day's quota, unless its user was erased:
// then nobody knows whether it was a call.
func TestErasureAndQuotas(t *testing.T) {
	for erased, want := range map[bool]int{true: 0, false: 1} {
		h := good()
		took := uint64(0)
		for i := range h.Pushes {
			if p := &h.Pushes[i]; p.Notifier == "ios" && p.Answer == "accepted" {
				took++
			}
		}
		h.Limits.Quotas = map[string]uint64{"ios": took}
		h.Pushes = append(h.Pushes, Push{At: erasedAt - 100, Notifier: "ios", Token: "t1", PushID: "late", Answer: "accepted"})
		if erased {
			h.happens(300, erasedAt, erase())
		}
		if n := breachesOf(h, "within-limits"); n != want {
			t.Errorf("erased %v: %d breaches, want %d: %v", erased, n, want, Broken(h.Run()))
		}
	}
}
