package checker

import (
	"testing"

	"github.com/rouse-im/rouse/simulations"
)

// A device that comes and goes within a millisecond is not online after it.
func TestOnlineEndsWithinAMillisecond(t *testing.T) {
	presence := func(n uint64, step uint64, state simulations.State) *simulations.Event {
		return &simulations.Event{N: n, At: 10, Kind: simulations.Presence, User: "u", Device: "d", State: state, Session: 1, Step: step}
	}
	history := func(left bool) *History {
		h := &History{
			Events: []*simulations.Event{presence(1, 0, simulations.Connected), {N: 3, At: 50, Kind: simulations.Message, Message: "m", To: []string{"u"}}},
			Acks:   []Ack{{Event: 1, Sent: 20, Answered: 20, Status: "accepted"}, {Event: 3, Sent: 50, Answered: 50, Status: "accepted"}},
			Outcomes: []Outcome{
				{Event: 3, User: "u", Device: "d", Message: "m", Status: "accepted", Reason: "queued", PushID: "p", Decided: 50},
			},
			Pushes: []Push{{At: 60, PushID: "p", Answer: "accepted"}},
		}
		if left {
			h.Events = append(h.Events[:1:1], presence(2, 1, simulations.Disconnected), h.Events[1])
			h.Acks = append(h.Acks, Ack{Event: 2, Sent: 20, Answered: 20, Status: "accepted"})
		}
		return h
	}
	for left, want := range map[bool]int{false: 1, true: 0} {
		for _, r := range history(left).Run() {
			if r.Name == "none-after-online" && (r.Breaches != want || r.Examined == 0) {
				t.Errorf("left: %v; %d breaches of %d examined, want %d", left, r.Breaches, r.Examined, want)
			}
		}
	}
}

// Whoever is told of by an IM node that never came up is not online.
func TestOnlineNeedsItsNode(t *testing.T) {
	h := good()
	h.happens(300, 900, simulations.Event{Kind: simulations.Presence, User: "ann", Device: "phone", State: simulations.Connected, Session: 1, Step: 2, Node: "im-0", Incarnation: 7})
	h.Stored[0].Step = 2
	if err := Broken(h.Run()); err != nil {
		t.Errorf("found: %v", err)
	}
}

// A token that its owner may have given back need not be there; one that is there no
// more although he surely kept it is missed.
func TestLogoutThatMayHaveBeenApplied(t *testing.T) {
	for status, want := range map[string]int{"accepted": 0, "duplicate": 0, "unknown": 0, "stale": 1, "refused": 1} {
		h := good()
		h.happens(300, 40_000, simulations.Event{Kind: simulations.Presence, User: "ann", Device: "phone", State: simulations.LoggedOut, Session: 1, Step: 2, Unbind: true, Node: "im-0"})
		h.Acks[len(h.Acks)-1].Status = status
		h.Stored[0].Step, h.Stored[0].Tokens = 2, nil
		if n := breachesOf(h, "acked-is-stored"); n != want {
			t.Errorf("the logout was %s, and the token is gone: %d breaches, want %d", status, n, want)
		}
	}
}

// A bind without an answer that is known may have replaced a token.
func TestBindThatMayHaveBeenApplied(t *testing.T) {
	for status, want := range map[string]int{"unknown": 0, "refused": 1} {
		h := good()
		h.happens(300, 40_000, simulations.Event{Kind: simulations.Bind, User: "ann", Device: "phone", Notifier: "ios", Token: "t2", Zone: "UTC"})
		h.Acks[len(h.Acks)-1].Status = status
		h.Stored[0].Tokens = map[string]string{"ios": "t2"}
		if n := breachesOf(h, "acked-is-stored"); n != want {
			t.Errorf("the second bind was %s: %d breaches, want %d", status, n, want)
		}
	}
}

// Of two users who bound a token, a node whose clock was set back takes the one for the
// last who was not: also when his bind was sent before, and applied only after that.
func TestBindThatWaitedForAJump(t *testing.T) {
	for answered, want := range map[simulations.Offset]int{29_999: 1, 30_001: 0} { // the jump is at 30_000
		h := good()
		h.happens(300, 300, simulations.Event{Kind: simulations.Bind, User: "bob", Device: "phone", Notifier: "ios", Token: "t1", Zone: "UTC"})
		h.happens(301, 29_900, simulations.Event{Kind: simulations.Bind, User: "ann", Device: "phone", Notifier: "ios", Token: "t1", Zone: "UTC"})
		h.Acks[len(h.Acks)-1].Answered = answered
		h.Stored[0].Tokens = nil
		h.Stored = append(h.Stored, Stored{User: "bob", Device: "phone", Tokens: map[string]string{"ios": "t1"}})
		if n := breachesOf(h, "acked-is-stored"); n != want {
			t.Errorf("ann's bind was answered at %v, and bob has the token: %d breaches, want %d", answered, n, want)
		}
	}
}

func breachesOf(h *History, name string) int {
	for _, r := range h.Run() {
		if r.Name == name {
			return r.Breaches
		}
	}
	return -1
}
