package gateway

import (
	"strings"
	"sync"
	"testing"

	"github.com/rouse-im/rouse/actors"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

// Users get what the extension says, not the extension; one that cannot be read
// refuses its message alone.
func TestExtensions(t *testing.T) {
	w := newWorld(t)
	w.ok(w.Catalog.PutWebhooks("a", &rousev1.Webhooks{BeforePushUrl: "https://im.example/", Secret: canary}))
	var (
		mu     sync.Mutex // messages of a batch are asked about side by side
		hooked []string
	)
	w.hook = func(m *rousev1.MessageEvent) (*rousev1.BeforePushAnswer, error) {
		mu.Lock()
		defer mu.Unlock()
		hooked = append(hooked, m.GetContent().GetTitle())
		return &rousev1.BeforePushAnswer{}, nil
	}
	routed := map[string]*rousev1.MessageEvent{}
	w.routes(func(e *actors.Envelope) {
		m := e.Command.(*rousev1.MessageEvent)
		routed[m.GetMessageId()+"/"+e.User] = m
		accept(e)
	})
	with := func(id, ext string) *rousev1.Event {
		e := message(id, "ann", "bob")
		e.GetMessage().Content, e.GetMessage().Extension = nil, ext
		return e
	}
	r, err := rousev1.NewIntakeServiceClient(w.conn).IngestBatch(w.as(w.intakeKey()), &rousev1.IngestBatchRequest{Events: []*rousev1.Event{
		with("good", `{"em_push_ext":{"title":"T"},"em_at_list":["bob"]}`),
		with("bad", `{"em_push_ext":{"title":["`+canary+`"]}}`),
		with("plain", ""),
		with("invalid", `{"em_push_ext":{"type":"call"},"em_at_list":["`+strings.Repeat("x", 129)+`"]}`),
	}})
	w.ok(err)
	items := r.GetItems()
	if items[0].GetError() != nil || items[2].GetError() != nil {
		t.Errorf("items %v", items)
	}
	for i, want := range map[int]string{1: "message.extension.em_push_ext.title: want a text", 3: "message.extension.em_at_list[0]: 129 bytes; at most 128"} {
		wants(t, items[i].GetError(), rousev1.ErrorCode_ERROR_CODE_INVALID_ARGUMENT)
		if got := items[i].GetError().GetMessage(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if len(routed) != 4 {
		t.Errorf("routed %v", routed)
	}
	for _, user := range []string{"ann", "bob"} {
		m := routed["good/"+user]
		if m.GetExtension() != "" || m.GetContent().GetTitle() != "T" || m.GetMentions()[0] != "bob" || m != routed["good/ann"] {
			t.Errorf("%s got %v", user, m)
		}
	}
	if strings.Join(hooked, ",") != "T," && strings.Join(hooked, ",") != ",T" {
		t.Errorf("the hook was asked about %q", hooked)
	}
}

// Merged with the fields of the message it may break a rule that neither breaks alone.
func TestExtensionIsCheckedWithItsMessage(t *testing.T) {
	w := newWorld(t)
	e := message("m", "ann")
	e.GetMessage().Content = &rousev1.Content{Data: map[string]string{}}
	for i := range 16 {
		e.GetMessage().Content.Data[string(rune('A'+i))] = "x"
	}
	e.GetMessage().Extension = `{"em_push_ext":{"custom":{"k":1}}}`
	r, err := rousev1.NewIntakeServiceClient(w.conn).IngestBatch(w.as(w.intakeKey()), &rousev1.IngestBatchRequest{Events: []*rousev1.Event{e}})
	w.ok(err)
	wants(t, r.GetItems()[0].GetError(), rousev1.ErrorCode_ERROR_CODE_INVALID_ARGUMENT)
}

func TestExplainReadsExtensions(t *testing.T) {
	w := newWorld(t)
	var got *rousev1.ExplainRequest
	w.routes(func(e *actors.Envelope) {
		got = e.Command.(*rousev1.ExplainRequest)
		e.Done(actors.Reply{Response: &rousev1.ExplainResponse{}})
	})
	explain := func(ext string) answer {
		return w.post(w.adminKey(), "/rouse.v1.TraceService/Explain", `{"userId":"ann","message":{"messageId":"m","recipients":["ann"],"extension":`+ext+`}}`)
	}
	if a := explain(`"{\"em_force_notification\":true}"`); a.err != nil || !got.GetMessage().GetForcePush() {
		t.Errorf("%v, asked %v", a, got)
	}
	wants(t, explain(`"{\"em_force_notification\":[]}"`).err, rousev1.ErrorCode_ERROR_CODE_INVALID_ARGUMENT)
}
