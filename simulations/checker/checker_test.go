package checker

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rouse-im/rouse/simulations"
)

// good is a run in which every check has something to look at and finds nothing.
func good() *History {
	h := &History{Limits: Limits{
		Start: time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC), Handover: 1000, Drain: 10_000,
		Rates: map[string]Rate{"ios": {PerSecond: 100, Burst: 10}},
	}}
	h.Events = append(h.Events, &simulations.Event{N: 900, Kind: simulations.IMUp, Node: "im-0"})
	h.happens(1, 0, simulations.Event{Kind: simulations.Presence, User: "ann", Device: "phone", State: simulations.Connected, Session: 1, Zone: "UTC", Node: "im-0"})
	h.happens(2, 10, simulations.Event{Kind: simulations.Bind, User: "ann", Device: "phone", Notifier: "ios", Token: "t1", Zone: "UTC"})
	h.happens(3, 20, simulations.Event{Kind: simulations.Presence, User: "ann", Device: "phone", State: simulations.Disconnected, Session: 1, Step: 1, Zone: "UTC", Node: "im-0"})
	h.happens(4, 30, simulations.Event{Kind: simulations.Settings, User: "ann", Wish: &simulations.Wish{QuietStart: 60, QuietEnd: 120}})
	h.message(5, 1000, "m1")
	for i := range 60 { // quiet times of APNs, then a fault of FCM
		h.message(uint64(10+i), simulations.Offset(2000+100*i), fmt.Sprintf("q%d", i))
		h.message(uint64(100+i), simulations.Offset(20_000+100*i), fmt.Sprintf("f%d", i))
	}
	h.Faults = []simulations.Fault{
		{N: 1, At: 19_000, For: 8_000, Kind: simulations.VendorDown, Vendor: "fcm"},
		{N: 2, At: 30_000, Kind: simulations.ClockJump, Nodes: []int{0}, Delay: -1000},
	}
	h.message(200, 31_000, "d1")
	h.Outcomes[len(h.Outcomes)-1].Delayed = true
	h.Pushes = append(h.Pushes, Push{At: 32_000, Vendor: "apns", Notifier: "ios", Token: "t1", PushID: "none", Answer: "throttled", RetryAfter: 3000})
	h.Outcomes = append(h.Outcomes, Outcome{Event: 6, User: "bob", Message: "m2", Device: "tab", Notifier: "ios", Status: "expired", Reason: "TTL", PushID: "none", Decided: 31_900, Ended: 40_000})
	h.Stored = []Stored{{User: "ann", Device: "phone", Session: 1, Step: 1, Tokens: map[string]string{"ios": "t1"}}}
	h.Dropped = []Dropped{{At: 50_000, Notifier: "ios", Token: "t0", Since: 40_000, Bound: 30_000}}
	h.Commits = []Commit{{Shard: 1, Epoch: 1, Node: "a", Index: 1}, {Shard: 1, Epoch: 2, Node: "b", Index: 2}}
	for i := range h.Pushes {
		p := &h.Pushes[i]
		p.By, p.Shard, p.Answered = "a", 1, p.At+5
	}
	h.Leads = []Lead{{By: "a", Shard: 1, Term: 1, To: 100_000}}
	h.Registers = []Register{{Key: "ann", Write: true, Value: "x", Call: 1, Return: 3}, {Key: "ann", Client: 1, Value: "x", Call: 4, Return: 5, Event: 9}}
	h.Gauges = []Gauge{{At: 25_000, Node: "a", Name: "queue", Value: 5, Bound: 10, Backlog: true}, {At: 35_000, Node: "a", Name: "queue", Bound: 10, Backlog: true}}
	h.Counters = []Counter{{Name: "outcomes", Label: "accepted", Value: 122}}
	h.Probes = []Probe{{Name: "long id", Answer: "typed-error", Counted: true}}
	h.Stops = []Stop{{Node: "a", Asked: 1000, Done: 2000, Deadline: 5000}}
	h.Accesses = []Access{{App: "one", Of: "two", What: "a user"}}
	h.Canaries = []Canary{{What: "a token", Where: "logs", Bytes: 10}, {What: "zoe", Where: "store", Bytes: 10, Erased: "zoe"}}
	h.Writes = []Write{{"w1", "new key"}}
	h.Audits = []Audit{{"w1", "root"}}
	return h
}

func (h *History) happens(n uint64, at simulations.Offset, e simulations.Event) {
	e.N, e.At = n, at
	h.Events = append(h.Events, &e)
	h.Acks = append(h.Acks, Ack{Event: n, Sent: at, Answered: at + 5, Status: "accepted"})
}

// message that is pushed to ann's phone.
func (h *History) message(n uint64, at simulations.Offset, id string) {
	h.happens(n, at, simulations.Event{Kind: simulations.Message, Message: id, From: "bob", To: []string{"ann"}})
	h.Outcomes = append(h.Outcomes, Outcome{
		Event: n, User: "ann", Message: id, Device: "phone", Notifier: "ios", Status: "accepted", Reason: "DELIVERED_TO_VENDOR", PushID: "p-" + id, Decided: at + 3, Ended: at + 20,
	})
	h.Pushes = append(h.Pushes, Push{At: at + 10, Vendor: "apns", Notifier: "ios", Token: "t1", PushID: "p-" + id, Message: id, Answer: "accepted"})
}

func TestGoodRun(t *testing.T) {
	for _, r := range good().Run() {
		if r.Breaches > 0 {
			t.Errorf("%d %s: %v", r.Number, r.Name, r.Findings)
		}
		if r.Examined == 0 {
			t.Errorf("%d %s has looked at nothing", r.Number, r.Name)
		}
	}
}

// A guest logs out of a phone just after its owner has registered the token again.
func TestFormerOwnerTakesNothing(t *testing.T) {
	h := good()
	h.Events, h.Acks = nil, nil
	h.happens(300, 30, simulations.Event{Kind: simulations.Bind, User: "guest", Device: "phone", Notifier: "ios", Token: "t1"})
	h.happens(2, 40, simulations.Event{Kind: simulations.Bind, User: "ann", Device: "phone", Notifier: "ios", Token: "t1"})
	h.happens(301, 41, simulations.Event{Kind: simulations.Presence, User: "guest", Device: "phone", State: simulations.LoggedOut, Unbind: true, Session: 1})
	find := func() []Finding {
		h.index()
		var v verdict
		noRemovedToken(h, &v)
		return v.Findings
	}
	if found := find(); len(found) > 0 {
		t.Errorf("the guest's leave took the token away: %v", found)
	}
	h.happens(302, 42, simulations.Event{Kind: simulations.Unbind, User: "ann", Device: "phone", Notifier: "ios"})
	if len(find()) == 0 {
		t.Error("the owner gave it back, and pushes go on")
	}
}

// Two users register the same token while neither has an answer: either may have
// been the last.
func TestOverlappingOwners(t *testing.T) {
	for _, tt := range []struct {
		guestAnswered, annAnswered simulations.Offset
		hers                       bool
	}{{100, 110, false}, {120, 110, false}, {45, 110, true}} {
		h := &History{}
		h.happens(1, 10, simulations.Event{Kind: simulations.Bind, User: "guest", Device: "phone", Notifier: "ios", Token: "t1"})
		h.happens(2, 50, simulations.Event{Kind: simulations.Bind, User: "ann", Device: "phone", Notifier: "ios", Token: "t1"})
		h.Acks[0].Answered, h.Acks[1].Answered = tt.guestAnswered, tt.annAnswered
		h.index()
		if _, hers := h.bound()[bindKey{"ann", "phone", "ios"}]; hers != tt.hers {
			t.Errorf("%+v: it must be in the store: %v", tt, hers)
		}
	}
}

// breaches are runs in which one promise is broken; want is part of the finding
// and events those that it must name.
var breaches = []struct {
	check, want string
	events      []uint64
	change      func(*History)
}{
	{"acked-is-stored", "has no outcome for user cat", []uint64{300}, func(h *History) {
		h.happens(300, 5000, simulations.Event{Kind: simulations.Message, Message: "lost", To: []string{"cat"}})
	}},
	{"acked-is-stored", "the store has 1.0", []uint64{3}, func(h *History) { h.Stored[0].Step = 0 }},
	{"acked-is-stored", "the store has another or none", []uint64{2}, func(h *History) { h.Stored[0].Tokens = nil }},
	{"one-outcome", "two outcomes", []uint64{5, 5}, func(h *History) {
		o := h.Outcomes[0]
		o.PushID = ""
		h.Outcomes = append(h.Outcomes, o)
	}},
	{"one-outcome", "has not ended", []uint64{7}, func(h *History) {
		h.Outcomes = append(h.Outcomes, Outcome{Event: 7, User: "ann", Message: "x", Status: "pending", Reason: "QUEUED"})
	}},
	{"one-outcome", "without a reason", []uint64{7}, func(h *History) {
		h.Outcomes = append(h.Outcomes, Outcome{Event: 7, User: "ann", Message: "x", Status: "suppressed"})
	}},
	{"one-outcome", "the counter of outcomes accepted says 121", nil, func(h *History) { h.Counters[0].Value = 121 }},
	{"one-outcome", "no vendor took it", []uint64{5}, func(h *History) { h.Pushes = h.Pushes[1:] }},
	{"one-push-id", "has push ids p-m1 and p-other", []uint64{5}, func(h *History) {
		o := h.Outcomes[0]
		o.PushID = "p-other"
		h.Outcomes = append(h.Outcomes, o)
	}},
	{"one-push-id", "and again by a at", []uint64{5}, func(h *History) {
		p := h.Pushes[0]
		p.At += 500
		h.Pushes = append(h.Pushes, p)
	}},
	{"one-push-id", "belongs to no outcome", nil, func(h *History) {
		h.Pushes = append(h.Pushes, Push{At: 60_000, Vendor: "apns", Notifier: "ios", Token: "t1", PushID: "stray", Answer: "error"})
	}},
	{"none-after-online", "online since", []uint64{5, 300}, func(h *History) {
		h.happens(300, 900, simulations.Event{Kind: simulations.Presence, User: "ann", Device: "phone", State: simulations.Connected, Session: 1, Step: 2, Node: "im-0"})
		h.happens(301, 1500, simulations.Event{Kind: simulations.Presence, User: "ann", Device: "phone", State: simulations.Disconnected, Session: 1, Step: 3, Node: "im-0"})
	}},
	{"none-after-online", "online since", []uint64{5, 300}, func(h *History) { // by whom it had been cancelled
		h.happens(300, 1100, simulations.Event{Kind: simulations.Presence, User: "ann", Device: "phone", State: simulations.Connected, Session: 1, Step: 2, Node: "im-0"})
		h.happens(301, 1900, simulations.Event{Kind: simulations.Presence, User: "ann", Device: "phone", State: simulations.Disconnected, Session: 1, Step: 3, Node: "im-0"})
		h.Pushes[0].At = 1800
	}},
	{"none-after-online", "did not want any more: read", []uint64{5, 300}, func(h *History) {
		h.happens(300, 1100, simulations.Event{Kind: simulations.Read, User: "ann", Messages: []string{"m1"}})
		h.Pushes[0].At = 1800
	}},
	{"none-after-online", "did not want any more: recall", []uint64{5, 300}, func(h *History) {
		h.happens(300, 1100, simulations.Event{Kind: simulations.Recall, Message: "m1", To: []string{"ann"}})
		h.Pushes[0].At = 1800
	}},
	{"none-after-online", "wanted until 00:00:06.000", []uint64{5}, func(h *History) { h.Limits.TTL, h.Pushes[0].At = 5000, 6200 }},
	{"none-after-online", "message q3 had taken its place", []uint64{12, 13}, func(h *History) {
		for i := range h.Events {
			if n := h.Events[i].N; n == 12 || n == 13 {
				h.Events[i].Collapse = "c"
			}
		}
		h.outcomeOf("q3").Ended = 0
		for i := range h.Pushes {
			if h.Pushes[i].Message == "q2" {
				h.Pushes[i].At += 500
			}
		}
	}},
	{"in-order", "had passed it", []uint64{5, 10}, func(h *History) {
		h.Pushes[0].Answer = "error"
		p := h.Pushes[0]
		p.At = 2050
		h.Pushes = append(h.Pushes, p)
	}},
	{"no-removed-token", "is with device phone of user ann and with device tab of user bob", nil, func(h *History) {
		h.Stored = append(h.Stored, Stored{User: "bob", Device: "tab", Tokens: map[string]string{"ios": "t1"}})
	}},
	{"acked-is-stored", "the store has another or none", []uint64{2}, func(h *History) { // it died before it was bound
		h.happens(300, 5, simulations.Event{Kind: simulations.Dead, Vendor: "apns", Token: "t1"})
		h.Stored[0].Tokens = nil
		p := h.Pushes[0]
		p.PushID, p.Answer, p.Since = "none", "invalid-token", 5
		h.Pushes = append(h.Pushes, p)
	}},
	{"no-removed-token", "was removed at", []uint64{5, 300}, func(h *History) {
		h.happens(300, 40, simulations.Event{Kind: simulations.Unbind, User: "ann", Device: "phone", Notifier: "ios"})
		h.Pushes[0].At = 1500
		h.Limits.Handover = 1000
	}},
	{"no-removed-token", "was removed at", []uint64{5, 300}, func(h *History) {
		h.happens(300, 40, simulations.Event{Kind: simulations.Presence, User: "ann", Device: "phone", State: simulations.LoggedOut, Unbind: true, Session: 1, Step: 2})
		h.Pushes[0].At = 1500
	}},
	{"no-removed-token", "calls it invalid since", nil, func(h *History) { h.Dropped[0].Bound = 45_000 }},
	{"one-writer", "both committed in epoch 2", nil, func(h *History) {
		h.Commits = append(h.Commits, Commit{Shard: 1, Epoch: 2, Node: "a", Index: 3})
	}},
	{"one-writer", "comes after entry 2 of epoch 2", nil, func(h *History) {
		h.Commits = append(h.Commits, Commit{Shard: 1, Epoch: 1, Node: "a", Index: 3})
	}},
	{"one-writer", "a and b both led in epoch 1", nil, func(h *History) {
		h.Leads = append(h.Leads, Lead{By: "b", Shard: 1, Term: 1, From: 100_000, To: 110_000})
	}},
	{"one-writer", "which did not lead shard 1", []uint64{5}, func(h *History) { h.Leads[0].From = 1500 }},
	{"one-writer", "fits no order", []uint64{9}, func(h *History) { h.Registers[1].Value = "" }},
	{"within-limits", "a burst of 10", []uint64{5}, func(h *History) {
		for i := range 20 {
			h.Pushes = append(h.Pushes, Push{At: 70_000, Vendor: "apns", Notifier: "ios", Token: fmt.Sprint(i), PushID: "p-m1", Answer: "error"})
		}
	}},
	{"within-limits", "asked to wait until", []uint64{5}, func(h *History) {
		h.Pushes = append(h.Pushes, Push{At: 34_000, Vendor: "apns", Notifier: "ios", Token: "t9", PushID: "p-m1", Answer: "error"})
	}},
	{"within-limits", "asked to wait until", []uint64{5}, func(h *History) { // by whom it was asked
		h.Pushes = append(h.Pushes, Push{At: 32_010, Vendor: "apns", Notifier: "ios", Token: "t9", PushID: "p-m1", Answer: "error", By: "a", Shard: 1})
	}},
	{"within-limits", "more than the day's 3 pushes", []uint64{12}, func(h *History) { h.Limits.Quotas = map[string]uint64{"ios": 3} }},
	{"bulkheads", "while other vendors failed", nil, func(h *History) {
		for i := range h.Pushes {
			if h.Pushes[i].At > 19_000 && h.Pushes[i].At < 30_000 {
				h.Pushes[i].At += 600
			}
		}
	}},
	{"bounded", "queue of a is 11", nil, func(h *History) { h.Gauges[0].Value = 11 }},
	{"quiet-times", "quiet from minute 60", []uint64{300, 4}, func(h *History) {
		h.Faults = h.Faults[:1] // no clock jumps: outcomes are dated as it is
		h.message(300, 90*60_000, "night")
		h.Counters[0].Value++
	}},
	{"bad-input", "want a typed error", nil, func(h *History) { h.Probes[0].Answer = "hang" }},
	{"bad-input", "not counted", nil, func(h *History) { h.Probes[0].Counted = false }},
	{"bad-input", "left something behind", nil, func(h *History) { h.Probes[0].Changed = true }},
	{"orderly-stop", "took 6s", nil, func(h *History) { h.Stops[0].Done = 7000 }},
	{"orderly-stop", "never did", nil, func(h *History) { h.Stops[0].Done = 0 }},
	{"clock-back", "was lost", []uint64{200}, func(h *History) { h.outcomeOf("d1").Ended = 0 }},
	{"clock-back", "was accepted 2 times", []uint64{200}, func(h *History) {
		h.Pushes = append(h.Pushes, Push{At: 60_000, Vendor: "apns", Notifier: "ios", Token: "t2", PushID: "p-d1", Answer: "accepted"})
	}},
	{"tenants", "app one got a user of app two", nil, func(h *History) { h.Accesses[0].Allowed = true }},
	{"tenants", "with a credential of app two", []uint64{5}, func(h *History) { h.Outcomes[0].App, h.Pushes[0].App = "one", "two" }},
	{"secrets", "was found 1 times in logs", nil, func(h *History) { h.Canaries[0].Found = 1 }},
	{"secrets", "looked for in nothing", nil, func(h *History) { h.Canaries[0].Bytes = 0 }},
	{"erased", "was found 2 times in store", nil, func(h *History) { h.Canaries[1].Found = 2 }},
	{"audited", "has 0 audit records", nil, func(h *History) { h.Audits = nil }},
	{"audited", "has 2 audit records", nil, func(h *History) { h.Audits = append(h.Audits, h.Audits[0]) }},
	{"drains", "queue of a is not empty", nil, func(h *History) { h.Gauges[1].Value = 1 }},
}

func (h *History) outcomeOf(message string) *Outcome {
	i := slices.IndexFunc(h.Outcomes, func(o Outcome) bool { return o.Message == message })
	return &h.Outcomes[i]
}

// After a clock jumped nobody knows what the times of outcomes are worth.
func TestClockThatJumpedDatesNothing(t *testing.T) {
	h := good()
	h.message(300, 90*60_000, "night") // a quiet time by the clock of the run
	h.Counters[0].Value++
	h.outcomeOf("night").Decided -= 3600_000
	for _, r := range h.Run() {
		if r.Breaches > 0 {
			t.Errorf("%s: %v", r.Name, r.Findings)
		}
	}
}

// Every check finds what it is there for.
func TestEachCheckCanFail(t *testing.T) {
	tried := map[string]bool{}
	for _, test := range breaches {
		t.Run(test.check+"/"+test.want, func(t *testing.T) {
			tried[test.check] = true
			h := good()
			test.change(h)
			results := h.Run()
			i := slices.IndexFunc(results, func(r Result) bool { return r.Name == test.check })
			if i < 0 {
				t.Fatalf("there is no check %s", test.check)
			}
			if results[i].Breaches == 0 {
				t.Fatalf("%s found nothing", test.check)
			}
			f := results[i].Findings[0]
			if !strings.Contains(f.Text, test.want) || !slices.Equal(f.Events, test.events) {
				t.Errorf("got %q of events %v, want %q of %v", f.Text, f.Events, test.want, test.events)
			}
			if err := Broken(results); !errors.Is(err, ErrBroken) {
				t.Errorf("broken: %v", err)
			}
		})
	}
	for _, c := range Checks {
		if !tried[c.Name] {
			t.Errorf("%d %s: no run breaks it, so nothing shows that it can fail", c.Number, c.Name)
		}
	}
	if len(Checks) != 19 {
		t.Errorf("%d checks, want 19", len(Checks))
	}
}

func TestRead(t *testing.T) {
	var client, vendor bytes.Buffer
	write := func(w *bytes.Buffer, e Entry) {
		if err := json.NewEncoder(w).Encode(e); err != nil {
			t.Fatal(err)
		}
	}
	h := good()
	write(&client, Entry{Limits: &h.Limits})
	for i := range h.Events {
		write(&client, Entry{Event: h.Events[i]})
	}
	for i := range h.Acks {
		write(&client, Entry{Ack: &h.Acks[i]})
	}
	for i := range h.Pushes {
		write(&vendor, Entry{Push: &h.Pushes[i]})
	}
	got, err := Read(&client, &vendor)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Events) != len(h.Events) || len(got.Acks) != len(h.Acks) || len(got.Pushes) != len(h.Pushes) || !got.Limits.Start.Equal(h.Limits.Start) {
		t.Error("not all that was written was read")
	}
	for _, bad := range []string{"x", "{}", `{"ack":{"event":1},"push":{}}`, `{"colour":1}`} {
		if _, err := Read(strings.NewReader(""), io.MultiReader(strings.NewReader(`{"ack":{"event":1}}`+"\n"), strings.NewReader(bad))); err == nil || !strings.Contains(err.Error(), "log 2, line 2") {
			t.Errorf("%s: %v, want log 2, line 2", bad, err)
		}
	}
}

func TestFindingsAreBounded(t *testing.T) {
	h := good()
	for range 100 {
		h.Stops = append(h.Stops, Stop{Node: "b"})
	}
	for _, r := range h.Run() {
		if r.Name == "orderly-stop" && (r.Breaches != 100 || len(r.Findings) != maxFindings) {
			t.Errorf("%d breaches, %d told", r.Breaches, len(r.Findings))
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add(`{"ack":{"event":1,"sent":1,"answered":2,"status":"accepted"}}` + "\n" + `{"event":{"n":1,"at":0,"kind":"presence"}}`)
	f.Fuzz(func(_ *testing.T, text string) {
		if h, err := Read(strings.NewReader(text)); err == nil {
			h.Run()
		}
	})
}
