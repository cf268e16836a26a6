package user

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

// Pushes that share a call cannot name their receivers.
func TestDataOfAPush(t *testing.T) {
	a := &Actor{app: "app", user: "bob"}
	m := &rousev1.MessageEvent{
		Sender: "ann", ConversationId: "team", ConversationType: rousev1.ConversationType_CONVERSATION_TYPE_GROUP,
		Content: &rousev1.Content{Title: "Ann", Data: map[string]string{"k": "v", "m": "theirs", "e": `{"x":1}`}},
	}
	for coalesce, want := range map[bool]map[string]string{
		false: {"k": "v", "e": `{"x":1}`, "m": "m1", "f": "ann", "g": "team", "t": "bob"},
		true:  {"k": "v", "e": `{"x":1}`, "m": "m1", "f": "ann", "g": "team"},
	} {
		app := NewApp(nil, []*rousev1.Credential{{Name: "n", Coalesce: coalesce}})
		p := &Pending{Message: "m1", Payload: m, Verdicts: []Verdict{{Notifier: "n"}}}
		n := a.notification(&State{}, app, Push{Pending: p}, &Device{}, "id", "token")
		if diff := cmp.Diff(want, n.Data); diff != "" {
			t.Errorf("coalesce %v (-want +got):\n%s", coalesce, diff)
		}
	}
}

func TestWhatIsForMany(t *testing.T) {
	for _, c := range []struct {
		m    *rousev1.MessageEvent
		want bool
	}{
		{&rousev1.MessageEvent{}, false},
		{&rousev1.MessageEvent{ConversationType: rousev1.ConversationType_CONVERSATION_TYPE_DIRECT}, false},
		{&rousev1.MessageEvent{ConversationType: rousev1.ConversationType_CONVERSATION_TYPE_GROUP}, true},
		{&rousev1.MessageEvent{Class: rousev1.MessageClass_MESSAGE_CLASS_SYSTEM}, true},
		{&rousev1.MessageEvent{Class: rousev1.MessageClass_MESSAGE_CLASS_MARKETING}, true},
		{&rousev1.MessageEvent{Class: rousev1.MessageClass_MESSAGE_CLASS_CALL}, false},
	} {
		if got := forMany(c.m); got != c.want {
			t.Errorf("%v: %v, want %v", c.m, got, c.want)
		}
	}
	app := NewApp(nil, []*rousev1.Credential{{Name: "one"}, {Name: "many", Coalesce: true}})
	if app.Notifiers["one"].Coalesce || !app.Notifiers["many"].Coalesce {
		t.Errorf("notifiers %+v", app.Notifiers)
	}
}
