package gateway

import (
	"errors"
	"slices"
	"testing"

	"github.com/rouse-im/rouse/actors"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

func TestHookBeforePushes(t *testing.T) {
	w := newWorld(t)
	w.ok(w.Catalog.PutWebhooks("a", &rousev1.Webhooks{BeforePushUrl: "https://im.example/", Secret: canary}))
	type seen struct {
		user, body string
		stopped    bool
	}
	var routed []seen
	w.routes(func(e *actors.Envelope) {
		body := "not a message"
		if m, ok := e.Command.(*rousev1.MessageEvent); ok {
			body = m.GetContent().GetBody()
		}
		routed = append(routed, seen{e.User, body, e.Stopped})
		accept(e)
	})
	message := func(id string, users ...string) *rousev1.Event {
		return &rousev1.Event{Kind: &rousev1.Event_Message{Message: &rousev1.MessageEvent{
			MessageId: id, Recipients: users, Content: &rousev1.Content{Body: "before"},
		}}}
	}
	fetched := &rousev1.Event{Kind: &rousev1.Event_Fetched{Fetched: &rousev1.FetchedEvent{UserId: "ann", DeviceId: "d"}}}
	ask := func(events ...*rousev1.Event) []*rousev1.ItemResult {
		routed = nil
		r, err := rousev1.NewIntakeServiceClient(w.conn).IngestBatch(w.as(w.keys["a"][rousev1.Role_ROLE_INTAKE]), &rousev1.IngestBatchRequest{Events: events})
		w.ok(err)
		return r.GetItems()
	}
	check := func(name string, want ...seen) {
		t.Helper()
		if !slices.Equal(routed, want) {
			t.Errorf("%s: routed %+v, want %+v", name, routed, want)
		}
	}

	w.hook = func(m *rousev1.MessageEvent) (*rousev1.BeforePushAnswer, error) {
		switch m.GetMessageId() {
		case "stop":
			return &rousev1.BeforePushAnswer{Stop: true}, nil
		case "drop":
			return &rousev1.BeforePushAnswer{DropRecipients: []string{"bob"}}, nil
		case "edit":
			return &rousev1.BeforePushAnswer{Content: &rousev1.Content{Body: "after"}}, nil
		case "bad":
			return &rousev1.BeforePushAnswer{Content: &rousev1.Content{Body: string(make([]byte, 5000))}}, nil
		case "fail":
			return nil, errors.New("down")
		}
		return &rousev1.BeforePushAnswer{}, nil
	}
	ask(message("stop", "ann"), fetched, message("drop", "ann", "bob"), message("edit", "ann"), message("same", "ann"))
	check("answers, in order", seen{"ann", "before", true}, seen{"ann", "not a message", false},
		seen{"ann", "before", false}, seen{"bob", "before", true}, seen{"ann", "after", false}, seen{"ann", "before", false})
	if items := ask(message("bad", "ann")); items[0].GetError().GetCode() != rousev1.ErrorCode_ERROR_CODE_INVALID_ARGUMENT {
		t.Errorf("an answer beyond the rules: %v", items)
	}
	check("an answer beyond the rules")
	ask(message("fail", "ann"))
	check("no answer", seen{"ann", "before", false})

	w.ok(w.Catalog.PutWebhooks("a", &rousev1.Webhooks{BeforePushUrl: "https://im.example/", Secret: canary, BeforePushRequired: true}))
	if items := ask(message("fail", "ann"), message("same", "bob")); !items[0].GetError().GetTemporary() || items[1].GetError() != nil {
		t.Errorf("no answer where one is required: %v", items)
	}
	check("no answer where one is required", seen{"bob", "before", false})

	w.hook = func(*rousev1.MessageEvent) (*rousev1.BeforePushAnswer, error) {
		t.Error("asked about what is not pushed or not valid")
		return nil, errors.New("no")
	}
	quiet := message("quiet", "ann")
	quiet.GetMessage().IgnorePush = true
	ask(quiet, message("", "ann"))
}
