package user

import (
	"testing"
	"time"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

func benchEnv(t *Trail) *Env {
	return &Env{
		ID: "app", Me: "ann", Now: time.Unix(1767000001, 0), Trail: t, Zone: zones.Find,
		App:  NewApp(nil, []*rousev1.Credential{{Name: "apns-prod"}, {Name: "fcm"}}),
		Live: func(string, uint64) bool { return true },
		Room: func(string) bool { return true },
	}
}

var benchMessage = &rousev1.MessageEvent{
	MessageId: "m", Sender: "bob", ConversationType: rousev1.ConversationType_CONVERSATION_TYPE_GROUP, ConversationId: "team",
	GroupSize: 40, Content: &rousev1.Content{Title: "bob", Body: "hi"},
}

// A message for a user with 3 devices, of which 2 are woken.
func BenchmarkDecide(b *testing.B) {
	for _, bc := range []struct {
		name  string
		trail *Trail
	}{{"steps off", nil}, {"steps on", &Trail{}}} {
		b.Run(bc.name, func(b *testing.B) {
			s := typical()
			s.Devices[1].State = disconnected
			e := benchEnv(bc.trail)
			b.ReportAllocs()
			for b.Loop() {
				bc.trail.reset()
				if d := s.Decide(Message{MessageEvent: benchMessage}, e); len(d.Send) != 2 {
					b.Fatalf("%d pushes", len(d.Send))
				}
			}
		})
	}
}
