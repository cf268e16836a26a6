package gateway

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"pgregory.net/rapid"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

// text is an id around the bounds of the rules.
func text(t *rapid.T, label string, longest int) string {
	return rapid.OneOf(
		rapid.Just("u1"), rapid.Just(""), rapid.Just("用户-7"), rapid.Just("a\x1fb"), rapid.Just("a\x7f"), rapid.Just("a\nb"), rapid.Just(" ~"), rapid.Just("\u0080"),
		rapid.Just(strings.Repeat("x", longest)), rapid.Just(strings.Repeat("x", longest+1)), rapid.Just(strings.Repeat("é", longest/2+1)),
	).Draw(t, label)
}

func enum(t *rapid.T, label string) int32 { return rapid.Int32Range(-1, 7).Draw(t, label) }

func texts(t *rapid.T, label string, around int) []string {
	n := rapid.SampledFrom([]int{0, 1, 2, around, around + 1}).Draw(t, label+" count")
	all := make([]string, n)
	for i := range all {
		all[i] = "u"
	}
	if n > 0 {
		all[n-1] = text(t, label, 128)
	}
	return all
}

func drawEvent(t *rapid.T) *rousev1.Event {
	switch rapid.IntRange(0, 4).Draw(t, "kind") {
	case 0:
		// Most fields are good, so that each bad one is met alone.
		p := presence("u").GetPresence()
		for range rapid.IntRange(0, 2).Draw(t, "changes") {
			presenceChanges[rapid.IntRange(0, len(presenceChanges)-1).Draw(t, "field")](t, p)
		}
		return &rousev1.Event{Kind: &rousev1.Event_Presence{Presence: p}}
	case 1:
		return &rousev1.Event{Kind: &rousev1.Event_Fetched{Fetched: &rousev1.FetchedEvent{UserId: text(t, "user", 128), DeviceId: text(t, "device", 128)}}}
	case 2:
		return &rousev1.Event{Kind: &rousev1.Event_Read{Read: &rousev1.ReadEvent{UserId: text(t, "user", 128), MessageIds: texts(t, "ids", 128)}}}
	case 3:
		return &rousev1.Event{}
	}
	m := message("m", "u").GetMessage()
	for range rapid.IntRange(0, 2).Draw(t, "changes") {
		if m.Content == nil { // an earlier change took it
			m.Content = &rousev1.Content{}
		}
		changes[rapid.IntRange(0, len(changes)-1).Draw(t, "field")](t, m)
	}
	return &rousev1.Event{Kind: &rousev1.Event_Message{Message: m}}
}

var presenceChanges = []func(*rapid.T, *rousev1.PresenceEvent){
	func(t *rapid.T, p *rousev1.PresenceEvent) { p.UserId = text(t, "user", 128) },
	func(t *rapid.T, p *rousev1.PresenceEvent) { p.DeviceId = text(t, "device", 128) },
	func(t *rapid.T, p *rousev1.PresenceEvent) { p.State = rousev1.SessionState(enum(t, "state")) },
	func(t *rapid.T, p *rousev1.PresenceEvent) { p.Session = rapid.Uint64Range(0, 2).Draw(t, "session") },
	func(t *rapid.T, p *rousev1.PresenceEvent) {
		p.Device = &rousev1.DeviceInfo{Platform: rousev1.Platform(enum(t, "platform"))}
	},
}

var changes = []func(*rapid.T, *rousev1.MessageEvent){
	func(t *rapid.T, m *rousev1.MessageEvent) { m.MessageId = text(t, "id", 128) },
	func(t *rapid.T, m *rousev1.MessageEvent) { m.Recipients = texts(t, "recipients", 1024) },
	func(t *rapid.T, m *rousev1.MessageEvent) { m.Sender = text(t, "sender", 128) },
	func(t *rapid.T, m *rousev1.MessageEvent) { m.ConversationId = text(t, "conversation", 128) },
	func(t *rapid.T, m *rousev1.MessageEvent) { m.CollapseId = text(t, "collapse", 64) },
	func(t *rapid.T, m *rousev1.MessageEvent) {
		m.ConversationType = rousev1.ConversationType(enum(t, "type"))
	},
	func(t *rapid.T, m *rousev1.MessageEvent) { m.Kind = rousev1.MessageKind(enum(t, "kind")) },
	func(t *rapid.T, m *rousev1.MessageEvent) { m.Class = rousev1.MessageClass(enum(t, "class")) },
	func(t *rapid.T, m *rousev1.MessageEvent) {
		m.Ttl = &durationpb.Duration{Seconds: rapid.SampledFrom([]int64{-1, 0, 2419200, 2419201}).Draw(t, "ttl")}
	},
	func(t *rapid.T, m *rousev1.MessageEvent) {
		m.Badge = new(rapid.SampledFrom([]uint32{0, 9999, 10000}).Draw(t, "badge"))
	},
	func(t *rapid.T, m *rousev1.MessageEvent) { m.Content.Title = text(t, "title", 1024) },
	func(t *rapid.T, m *rousev1.MessageEvent) { m.Content.Subtitle = text(t, "subtitle", 1024) },
	func(t *rapid.T, m *rousev1.MessageEvent) { m.Content.Body = text(t, "body", 4096) },
	func(t *rapid.T, m *rousev1.MessageEvent) { m.Content.Sound = text(t, "sound", 64) },
	func(t *rapid.T, m *rousev1.MessageEvent) { m.Content.ImageUrl = text(t, "image", 1024) },
	func(t *rapid.T, m *rousev1.MessageEvent) { m.Content.Category = text(t, "category", 64) },
	func(t *rapid.T, m *rousev1.MessageEvent) {
		m.Content.Data = map[string]string{text(t, "key", 64): text(t, "value", 1024)}
	},
	func(t *rapid.T, m *rousev1.MessageEvent) { m.Content = nil },
	func(t *rapid.T, m *rousev1.MessageEvent) {
		m.Filter = &rousev1.DeviceFilter{AcceptDeviceIds: texts(t, "devices", 32)}
	},
	func(t *rapid.T, m *rousev1.MessageEvent) {
		m.Filter = &rousev1.DeviceFilter{IgnoreNotifiers: texts(t, "notifiers", 32)}
	},
}

// What wellFormed lets through, the compiled rules let through.
func TestWellFormedKeepsTheRules(t *testing.T) {
	validator, err := newValidator()
	if err != nil {
		t.Fatal(err)
	}
	g := &Gateway{validator: validator}
	rapid.Check(t, func(t *rapid.T) {
		e := drawEvent(t)
		if wrong := g.check(e); wellFormed(e) && wrong != nil {
			t.Fatalf("let through: %v", wrong)
		}
	})
}

func FuzzWellFormed(f *testing.F) {
	validator, err := newValidator()
	if err != nil {
		f.Fatal(err)
	}
	g := &Gateway{validator: validator}
	for _, e := range []*rousev1.Event{presence("u"), message("m", "u", "v")} {
		b, err := proto.Marshal(e)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		e := &rousev1.Event{}
		if proto.Unmarshal(b, e) != nil || !wellFormed(e) {
			return
		}
		if wrong := g.check(e); wrong != nil {
			t.Fatalf("let through: %v", wrong)
		}
	})
}

// The path that most events take costs no memory.
func TestCommonEventsAreCheckedByHand(t *testing.T) {
	for _, e := range []*rousev1.Event{presence("u"), message("m", "u", "v")} {
		if allocs := testing.AllocsPerRun(10, func() {
			if !wellFormed(e) {
				t.Error("a common event is left to the compiled rules")
			}
		}); allocs != 0 {
			t.Errorf("%v allocations", allocs)
		}
	}
}

// Both say the same of every character that a rule could single out.
func TestNamesByCharacter(t *testing.T) {
	validator, err := newValidator()
	if err != nil {
		t.Fatal(err)
	}
	g := &Gateway{validator: validator}
	for c := range rune(0x100) {
		e := presence("a" + string(c))
		if byHand, compiled := wellFormed(e), g.check(e) == nil; byHand != compiled {
			t.Errorf("%U: by hand %t, compiled %t", c, byHand, compiled)
		}
	}
}
