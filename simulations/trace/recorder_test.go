package trace

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/simulations"
)

func recordedSteps(t *testing.T, o RecorderOptions) (string, []simulations.Event) {
	t.Helper()
	var out bytes.Buffer
	start := time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)
	w, err := NewWriter(&out, Header{Start: start})
	if err != nil {
		t.Fatal(err)
	}
	r := NewRecorder(w, start, o)
	presence := func(user string, platform rousev1.Platform, step uint64) *rousev1.Event {
		return &rousev1.Event{Kind: &rousev1.Event_Presence{Presence: &rousev1.PresenceEvent{
			UserId: user, DeviceId: "canary-device", State: rousev1.SessionState_SESSION_STATE_CONNECTED, Session: 1, Step: step,
			Device: &rousev1.DeviceInfo{Platform: platform, Brand: "oppo"},
		}}}
	}
	r.Take("canary-node", 7, presence("canary-ann", rousev1.Platform_PLATFORM_ANDROID, 0), start.Add(time.Second))
	r.Take("canary-node", 7, presence("canary-ann", rousev1.Platform_PLATFORM_ANDROID, 1), start.Add(2*time.Second))
	r.Take("canary-node", 7, presence("canary-bob", rousev1.Platform_PLATFORM_DESKTOP, 0), start.Add(1500*time.Millisecond)) // came later, by a clock that went back
	r.Take("canary-node", 7, &rousev1.Event{Kind: &rousev1.Event_Message{Message: &rousev1.MessageEvent{
		MessageId: "canary-message", Recipients: []string{"canary-ann"}, Sender: "canary-bob", Mentions: []string{"canary-ann"}, Text: "secret words",
		ConversationType: rousev1.ConversationType_CONVERSATION_TYPE_GROUP, ConversationId: "canary-group", GroupSize: 9,
		Content: &rousev1.Content{Title: "secret title"},
	}}}, start.Add(3*time.Second))
	r.Take("canary-node", 8, &rousev1.Event{}, start) // of no kind
	if n, err := r.Close(); err != nil || n != 6 {
		t.Fatalf("%d events, %v", n, err)
	}
	text := out.String()
	reader, err := NewReader(strings.NewReader(text), Options{Strict: true})
	if err != nil {
		t.Fatal(err)
	}
	var events []simulations.Event
	for {
		s, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return text, events
		}
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, *s.Delivery.Event)
	}
}

// Without being asked to, a recording tells neither who nor what.
func TestRecorderMasks(t *testing.T) {
	text, events := recordedSteps(t, RecorderOptions{})
	if strings.Contains(text, "canary") || strings.Contains(text, "secret") {
		t.Errorf("a name or a text is in %s", text)
	}
	if events[1].User == "" || events[1].User != events[5].To[0] || events[1].User != events[5].Mentions[0] || events[5].From != events[4].User {
		t.Errorf("the same user has several names: %+v", events)
	}
	again, _ := recordedSteps(t, RecorderOptions{})
	if again == text {
		t.Error("the key of the hash is not new")
	}
}

func TestRecorderKeeps(t *testing.T) {
	text, events := recordedSteps(t, RecorderOptions{Names: true, Texts: true})
	if strings.Contains(text, "secret title") || events[5].Text != "secret words" || events[5].Group != "canary-group" {
		t.Errorf("got %s", text)
	}
	var kinds []string
	for _, e := range events {
		kinds = append(kinds, string(e.Kind))
	}
	// A node that starts, a phone with a token, a desktop without.
	if got := strings.Join(kinds, " "); got != "im-up presence bind presence presence message" {
		t.Errorf("got %s", got)
	}
	if b := events[2]; b.Notifier != "oppo" || !strings.HasPrefix(b.Token, "OPPO_CN_") || events[4].At != 2000 {
		t.Errorf("got %+v, and time went to %v", b, events[4].At)
	}
}
