package simulations_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/proto"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/simulations"
	"github.com/rouse-im/rouse/simulations/scenarios"
	"github.com/rouse-im/rouse/simulations/world"
)

// Everything that a world makes is what the contract takes, and says the same.
func TestEventsKeepTheContract(t *testing.T) {
	validator, err := protovalidate.New()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for seed := range uint64(5) {
		s, err := scenarios.Load("small")
		if err != nil {
			t.Fatal(err)
		}
		w, err := world.New(s, seed)
		if err != nil {
			t.Fatal(err)
		}
		for e := range w.Events() {
			for name, m := range requests(&e, s.Start) {
				seen[name]++
				if err := validator.Validate(m); err != nil {
					t.Fatalf("event %d: %v", e.N, err)
				}
			}
		}
	}
	for _, name := range []string{"item", "bind", "settings", "conversation", "policy"} {
		if seen[name] == 0 {
			t.Errorf("no request of kind %s", name)
		}
	}
}

func requests(e *simulations.Event, start time.Time) map[string]proto.Message {
	all := map[string]proto.Message{}
	if item := e.Item(start); item != nil {
		all["item"] = item
	}
	switch e.Kind {
	case simulations.Bind:
		all["bind"] = e.BindRequest()
	case simulations.Settings:
		if r := e.SettingsRequest(); r != nil {
			all["settings"] = r
		}
		if r := e.ConversationRequest(); r != nil {
			all["conversation"] = r
		}
	case simulations.Policy:
		all["policy"] = &rousev1.SetUserPolicyRequest{UserId: e.User, Policy: e.DevicePolicy()}
	}
	return all
}

// What IM nodes send says all that the event does.
func TestFromItemIsTheInverse(t *testing.T) {
	s, err := scenarios.Load("small")
	if err != nil {
		t.Fatal(err)
	}
	w, err := world.New(s, 11)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for e := range w.Events() {
		item := e.Item(s.Start)
		if item == nil {
			continue
		}
		n++
		got, ok := simulations.FromItem(item, e.Node, e.Incarnation)
		got.At = e.At // is that of sending
		if !ok || !proto.Equal(got.Item(s.Start), item) {
			t.Fatalf("event %d: %v, want %v", e.N, got.Item(s.Start), item)
		}
	}
	if n < 1000 {
		t.Errorf("%d events", n)
	}
	if _, ok := simulations.FromItem(&rousev1.Event{}, "n", 1); ok {
		t.Error("an event of no kind was taken")
	}
}

func TestWords(t *testing.T) {
	start := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	p := simulations.Event{Kind: simulations.Presence, State: simulations.LoggedOut, Platform: "harmony", Zone: "Asia/Shanghai", Unbind: true}
	if got := p.Item(start).GetPresence(); got.GetState() != rousev1.SessionState_SESSION_STATE_LOGGED_OUT || got.GetDevice().GetPlatform() != rousev1.Platform_PLATFORM_HARMONY || !got.GetUnbind() {
		t.Errorf("presence %v", got)
	}
	m := simulations.Event{At: 1500, Kind: simulations.Message, Group: "g", GroupSize: 9, Call: true, TTL: 45, MentionAll: true}
	got := m.Item(start).GetMessage()
	if got.GetConversationType() != rousev1.ConversationType_CONVERSATION_TYPE_GROUP || got.GetClass() != rousev1.MessageClass_MESSAGE_CLASS_CALL ||
		got.GetTtl().AsDuration() != 45*time.Second || !got.GetSentAt().AsTime().Equal(start.Add(1500*time.Millisecond)) {
		t.Errorf("message %v", got)
	}
	w := simulations.Event{Kind: simulations.Settings, Wish: &simulations.Wish{Mode: "mention-only", QuietStart: 1320, QuietEnd: 420, QuietFor: 60}}
	r := w.SettingsRequest()
	if r.GetSettings().GetMode() != rousev1.NotifyMode_NOTIFY_MODE_MENTION_ONLY || r.GetSettings().GetWindows()[0].GetEndMinute() != 420 || r.GetQuietFor().AsDuration() != time.Minute || w.ConversationRequest() != nil {
		t.Errorf("settings %v", r)
	}
	d := simulations.Event{Kind: simulations.Policy, Policy: "away-delay"}
	if got := d.DevicePolicy().GetPolicy(); got != rousev1.MultiDevicePolicy_MULTI_DEVICE_POLICY_AWAY_DELAY {
		t.Errorf("policy %v", got)
	}
}

func TestMerge(t *testing.T) {
	deliveries := []simulations.Delivery{
		{Event: &simulations.Event{N: 1}, At: 10}, {Event: &simulations.Event{N: 2}, At: 20, Lost: true}, {Event: &simulations.Event{N: 3}, At: 30},
	}
	faults := []simulations.Fault{{N: 1, At: 5}, {N: 2, At: 30}, {N: 3, At: 40}}
	var got []string
	for s := range simulations.Merge(slices.Values(deliveries), faults) {
		if s.Fault != nil {
			got = append(got, "f"+string(rune('0'+s.Fault.N)))
		} else {
			got = append(got, "e"+string(rune('0'+s.Delivery.Event.N)))
		}
	}
	if want := []string{"f1", "e1", "f2", "e3", "f3"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	for range simulations.Merge(slices.Values(deliveries), faults) {
		break
	}
}

func TestFaults(t *testing.T) {
	tests := []struct {
		name string
		f    simulations.Fault
		want string // empty = it is right
	}{
		{"kill", simulations.Fault{Kind: simulations.Kill, Nodes: []int{0}, For: 1}, ""},
		{"clock back", simulations.Fault{Kind: simulations.ClockJump, Nodes: []int{0}, Delay: -5}, ""},
		{"cut", simulations.Fault{Kind: simulations.VendorCut, Vendor: "apns", For: 5, Rate: 0.5}, ""},
		{"expire", simulations.Fault{Kind: simulations.VendorExpire, Vendor: "fcm"}, ""},
		{"unknown", simulations.Fault{Kind: "flood"}, "no fault"},
		{"of nothing", simulations.Fault{Kind: simulations.Pause, For: 1}, "name its nodes"},
		{"vendor's of a node", simulations.Fault{Kind: simulations.VendorDown, Nodes: []int{0}, For: 1}, "name its vendor"},
		{"node below 0", simulations.Fault{Kind: simulations.Kill, Nodes: []int{-1}, For: 1}, "no node -1"},
		{"slow back", simulations.Fault{Kind: simulations.VendorSlow, Vendor: "apns", For: 1, Delay: -1}, "only clocks go back"},
		{"loss without a rate", simulations.Fault{Kind: simulations.Loss, Nodes: []int{0}, For: 1}, "rate is 0"},
		{"loss of more than all", simulations.Fault{Kind: simulations.Loss, Nodes: []int{0}, For: 1, Rate: 2}, "rate is 2"},
		{"too long", simulations.Fault{Kind: simulations.Kill, Nodes: []int{0}, For: 1 << 60}, "longer than a year"},
		{"before the start", simulations.Fault{Kind: simulations.Kill, Nodes: []int{0}, For: 1, At: -1}, "before the scenario"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			err := test.f.Validate()
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
	if len(simulations.FaultKinds()) != 20 {
		t.Errorf("%d kinds of faults", len(simulations.FaultKinds()))
	}
}

func TestOffset(t *testing.T) {
	if got := simulations.At(31*time.Hour + 5*time.Millisecond).String(); got != "1d 07:00:00.005" {
		t.Errorf("got %s", got)
	}
}
