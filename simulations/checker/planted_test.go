package checker_test

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/simulations"
	"github.com/rouse-im/rouse/simulations/checker"
	"github.com/rouse-im/rouse/simulations/model"
	"github.com/rouse-im/rouse/simulations/scenarios"
	"github.com/rouse-im/rouse/simulations/world"
)

// bug is what an engine that else follows the rules does wrong.
type bug struct {
	name string
	// hears changes or drops (false) what the engine is told.
	hears func(*simulations.Event) bool
	// lease that the engine believes in; 0 = the right one.
	lease time.Duration
	// does changes what it did.
	does func(*checker.History)
	// caught by: "model", or the name of a check.
	caught string
}

func deaf(kind simulations.Kind) func(*simulations.Event) bool {
	return func(e *simulations.Event) bool { return e.Kind != kind }
}

// inOrderOfArrival makes a later session of every presence.
func inOrderOfArrival() func(*simulations.Event) bool {
	order := uint64(1 << 32)
	return func(e *simulations.Event) bool {
		if e.Kind == simulations.Presence {
			order++
			e.Session, e.Step = order, 0
		}
		return true
	}
}

var bugs = []bug{
	{name: "forgets reads", hears: deaf(simulations.Read), caught: "model"},
	{name: "forgets recalls", hears: deaf(simulations.Recall), caught: "model"},
	{name: "forgets fetches and connections for badges", hears: func(e *simulations.Event) bool {
		return e.Kind != simulations.Presence || e.State != simulations.Background
	}, caught: "model"},
	{name: "resets badges when an app is put away", hears: func(e *simulations.Event) bool {
		if e.Kind == simulations.Presence && e.State == simulations.Disconnected {
			e.Kind = simulations.Fetched // and stays online
		}
		return true
	}, caught: "model"},
	{name: "lets stale presence win", hears: inOrderOfArrival(), caught: "model"},
	{name: "ignores policies", hears: deaf(simulations.Policy), caught: "model"},
	{name: "ignores wishes", hears: deaf(simulations.Settings), caught: "model"},
	{name: "believes dead IM nodes", lease: 24 * time.Hour, caught: "model"},
	{name: "leaves a token with its former user", hears: func(e *simulations.Event) bool {
		if e.Kind == simulations.Bind {
			e.Token += e.User // nobody else's
		}
		return true
	}, caught: "model"},
	{name: "does not see devices come back", hears: func(e *simulations.Event) bool {
		return e.Kind != simulations.Presence || e.State != simulations.Connected || e.N%3 != 0
	}, caught: "none-after-online"},
	{name: "wakes people in quiet windows", hears: deaf(simulations.Settings), caught: "quiet-times"},
	{name: "drops an outcome", does: func(h *checker.History) { h.Outcomes = h.Outcomes[1:] }, caught: "acked-is-stored"},
	{name: "loses the last write of a shard", does: func(h *checker.History) { h.Stored[0].Session-- }, caught: "acked-is-stored"},
	{name: "leaves an outcome open", does: func(h *checker.History) { h.Outcomes[5].Status = "pending" }, caught: "one-outcome"},
	{name: "counts an outcome twice", does: func(h *checker.History) {
		h.Counters = append(h.Counters, checker.Counter{Name: "outcomes", Label: "accepted", Value: 1})
	}, caught: "one-outcome"},
	{name: "retries under a new id", does: func(h *checker.History) {
		p := h.Pushes[0]
		p.PushID += "-2"
		h.Pushes = append(h.Pushes, p)
	}, caught: "one-push-id"},
	{name: "sends again after an answer", does: func(h *checker.History) { h.Pushes = append(h.Pushes, h.Pushes[0]) }, caught: "one-push-id"},
	{name: "keeps a removed token in the lane", does: func(h *checker.History) {
		for i := range h.Events {
			if e := h.Events[i]; e.Unbind {
				late := e.At + 60_000
				for _, b := range h.Events[:i] {
					if b.Kind == simulations.Bind && b.User == e.User && b.Device == e.Device && !rebound(h.Events[i:], b.Token) {
						h.Pushes = append(h.Pushes, checker.Push{At: late, Notifier: b.Notifier, Token: b.Token, PushID: h.Pushes[0].PushID, Answer: "error"})
					}
				}
			}
		}
	}, caught: "no-removed-token"},
	{name: "overruns a limit after a fail-over", does: func(h *checker.History) {
		h.Limits.Rates = map[string]checker.Rate{"ios": {PerSecond: 1, Burst: 5}}
		for i := range 20 {
			h.Pushes = append(h.Pushes, checker.Push{At: 1_800_000, Notifier: "ios", Token: fmt.Sprint("x", i), PushID: h.Pushes[0].PushID, Answer: "error"})
		}
	}, caught: "within-limits"},
	{name: "lets two nodes write", does: func(h *checker.History) {
		h.Commits = []checker.Commit{{Shard: 1, Epoch: 3, Node: "a", Index: 9}, {Shard: 1, Epoch: 3, Node: "b", Index: 10}}
	}, caught: "one-writer"},
}

func rebound(after []*simulations.Event, token string) bool {
	return slices.ContainsFunc(after, func(e *simulations.Event) bool { return e.Kind == simulations.Bind && e.Token == token })
}

const lease = 10 * time.Second

// play lets an engine with a bug live through a small world. It takes calls when
// they are sent, and answers a little later.
func play(t *testing.T, seed uint64, b bug) (*checker.History, *model.Model) {
	t.Helper()
	s, err := scenarios.Load("small")
	if err != nil {
		t.Fatal(err)
	}
	w, err := world.New(s, seed)
	if err != nil {
		t.Fatal(err)
	}
	right := model.New(model.Options{Start: s.Start, Lease: lease})
	engine := model.New(model.Options{Start: s.Start, Lease: cmp.Or(b.lease, time.Millisecond)})
	h := &checker.History{Limits: checker.Limits{Start: s.Start, Handover: 1000}}
	r := rand.New(rand.NewPCG(seed, 1))
	at, kept := map[uint64]simulations.Offset{}, map[[2]string]*checker.Stored{}
	busy := simulations.Offset(0)
	for d := range world.Disturb(s, seed, w.Events()) {
		if d.Lost {
			continue
		}
		e := d.Event
		busy = max(busy+1, d.At) // one call a millisecond: who comes first is certain
		answered := busy + simulations.Offset(r.IntN(20))
		if d.Copy == 0 {
			h.Events = append(h.Events, e)
			h.Acks = append(h.Acks, checker.Ack{Event: e.N, Sent: busy, Answered: answered, Status: status(kept, e)})
			at[e.N] = busy
		}
		right.Tell(model.Call{Event: e, Sent: busy, Answered: answered})
		heard := *e
		if b.hears == nil || b.hears(&heard) {
			engine.Tell(model.Call{Event: &heard, Sent: busy, Answered: busy})
		}
		store(kept, e)
	}
	act(h, engine, at)
	for _, key := range slices.SortedFunc(maps.Keys(kept), func(a, b [2]string) int { return slices.Compare(a[:], b[:]) }) {
		h.Stored = append(h.Stored, *kept[key])
	}
	if b.does != nil {
		b.does(h)
	}
	return h, right
}

// act does what the engine decided.
func act(h *checker.History, engine *model.Model, at map[uint64]simulations.Offset) {
	said := map[[2]string]bool{}
	for _, x := range engine.Expect() {
		key := [2]string{x.User, x.Message}
		if len(x.Either) == 0 || said[key] {
			continue
		}
		said[key] = true
		for _, d := range x.Either[0] {
			o := checker.Outcome{Event: x.Event, User: x.User, Message: x.Message, Device: d.Device, Status: "suppressed", Reason: d.Reason.String(), Decided: at[x.Event], Ended: at[x.Event]}
			if strings.HasSuffix(o.Reason, "_QUEUED") || strings.HasSuffix(o.Reason, "_DELAYED") {
				o.Status, o.PushID, o.Badge, o.Ended = "accepted", x.Message+"/"+x.User+"/"+d.Device, &d.Badge, o.Decided+4
				h.Pushes = append(h.Pushes, checker.Push{At: o.Ended, Vendor: "apns", Notifier: "any", Token: o.PushID, PushID: o.PushID, Answer: "accepted"})
			}
			h.Outcomes = append(h.Outcomes, o)
		}
	}
}

// status of an event: a session that is over does not come back.
func status(kept map[[2]string]*checker.Stored, e *simulations.Event) string {
	d := kept[[2]string{e.User, e.Device}]
	if e.Kind == simulations.Presence && d != nil && (e.Session < d.Session || e.Session == d.Session && e.Step <= d.Step) {
		return "stale"
	}
	return "accepted"
}

// store what is kept of sessions; tokens are checked elsewhere.
func store(kept map[[2]string]*checker.Stored, e *simulations.Event) {
	if e.Kind != simulations.Presence && e.Kind != simulations.Bind {
		return
	}
	key := [2]string{e.User, e.Device}
	d := kept[key]
	if d == nil {
		d = &checker.Stored{User: e.User, Device: e.Device, Tokens: map[string]string{}}
		kept[key] = d
	}
	switch {
	case e.Kind == simulations.Bind:
		for _, other := range kept {
			if other.Tokens[e.Notifier] == e.Token {
				delete(other.Tokens, e.Notifier)
			}
		}
		d.Tokens[e.Notifier] = e.Token
	case e.Session > d.Session || e.Session == d.Session && e.Step > d.Step:
		d.Session, d.Step = e.Session, e.Step
	}
}

// caught lists who finds something: checks by name, and "model".
func caught(h *checker.History, right *model.Model) (by []string, first string) {
	decided := map[[2]string][]model.Decision{}
	for _, o := range h.Outcomes {
		d := model.Decision{Device: o.Device, Badge: -1, Reason: rousev1.Reason(rousev1.Reason_value[o.Reason])}
		if o.Badge != nil {
			d.Badge = *o.Badge
		}
		key := [2]string{o.User, o.Message}
		decided[key] = append(decided[key], d)
	}
	for _, x := range right.Expect() {
		if err := x.Allows(decided[[2]string{x.User, x.Message}]); err != nil && len(by) == 0 {
			by, first = append(by, "model"), err.Error()
		}
	}
	for _, r := range h.Run() {
		if r.Breaches > 0 {
			by, first = append(by, r.Name), cmp.Or(first, r.Findings[0].Text)
		}
	}
	return by, first
}

// An engine that follows the rules is not accused, whatever the IM nodes do.
func TestRightEnginesAreNotAccused(t *testing.T) {
	for seed := range uint64(12) {
		h, right := play(t, seed, bug{})
		if by, first := caught(h, right); len(by) > 0 {
			t.Errorf("seed %d: accused by %v: %s", seed, by, first)
		}
		if n := len(right.Lost()); n > 5 {
			t.Errorf("seed %d: nothing is said of %d users: %v", seed, n, right.Lost())
		}
	}
}

// Every planted bug is caught by what is there to catch it, in a few worlds.
func TestPlantedBugsAreCaught(t *testing.T) {
	for _, b := range bugs {
		t.Run(b.name, func(t *testing.T) {
			for seed := range uint64(12) {
				h, right := play(t, seed, b)
				if by, first := caught(h, right); slices.Contains(by, b.caught) {
					t.Logf("seed %d: %v: %s", seed, by, first)
					return
				}
			}
			t.Errorf("not caught by %s in 12 worlds", b.caught)
		})
	}
}
