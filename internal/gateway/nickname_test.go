package gateway

import (
	"slices"
	"sync"
	"testing"

	"github.com/rouse-im/rouse/actors"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

// named is a world whose app a wants nicknames, and what its router saw.
type named struct {
	*world
	mu     sync.Mutex
	asked  []string
	routed []*rousev1.MessageEvent
	held   []*actors.Envelope
}

// newNamed answers questions with "Nick of <user>", except those for silent,
// which it holds, and those for full, which it refuses.
func newNamed(t *testing.T, settings *rousev1.AppSettings) *named {
	n := &named{world: newWorld(t)}
	_, err := n.Catalog.UpdateApp("a", "", settings)
	n.ok(err)
	n.routes(func(e *actors.Envelope) {
		n.mu.Lock()
		defer n.mu.Unlock()
		switch c := e.Command.(type) {
		case *rousev1.GetUserSettingsRequest:
			n.asked = append(n.asked, e.User)
			switch e.User {
			case "silent":
				n.held = append(n.held, e)
			case "full":
				e.Reject()
			default:
				e.Done(actors.Reply{Response: &rousev1.GetUserSettingsResponse{Settings: &rousev1.UserSettings{Nickname: "Nick of " + e.User}}})
			}
		case *rousev1.MessageEvent:
			n.routed = append(n.routed, c)
			accept(e)
		default:
			accept(e)
		}
	})
	return n
}

func from(sender, nickname string) *rousev1.Event {
	e := message("m-"+sender+nickname, "ann")
	e.GetMessage().Sender, e.GetMessage().SenderNickname = sender, nickname
	return e
}

func (n *named) ingest(events ...*rousev1.Event) {
	n.t.Helper()
	r, err := rousev1.NewIntakeServiceClient(n.conn).IngestBatch(n.as(n.intakeKey()), &rousev1.IngestBatchRequest{Events: events})
	n.ok(err)
	for _, item := range r.GetItems() {
		if item.GetError() != nil {
			n.t.Errorf("item %v", item)
		}
	}
}

func (n *named) nicknames() (all []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, m := range n.routed {
		all = append(all, m.GetSenderNickname())
	}
	return all
}

// Each sender is asked once for all his messages, and who says nothing keeps his id.
func TestRow52SendersAreAsked(t *testing.T) {
	n := newNamed(t, &rousev1.AppSettings{SenderNicknames: true})
	n.ingest(from("bob", ""), from("full", ""), from("carl", "Given"), from("bob", ""), from("", ""))
	if got, want := n.nicknames(), []string{"Nick of bob", "", "Given", "Nick of bob", ""}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	slices.Sort(n.asked)
	if !slices.Equal(n.asked, []string{"bob", "full"}) {
		t.Errorf("asked %v", n.asked)
	}
}

// A sender who does not answer in time is shown by his id; his answer may come
// as late as it likes.
func TestSilentSender(t *testing.T) {
	n := newNamed(t, &rousev1.AppSettings{SenderNicknames: true})
	n.ingest(from("silent", ""), from("bob", ""))
	if got := n.nicknames(); !slices.Equal(got, []string{"", "Nick of bob"}) {
		t.Errorf("got %q", got)
	}
	n.held[0].Done(actors.Reply{Response: &rousev1.GetUserSettingsResponse{Settings: &rousev1.UserSettings{Nickname: "late"}}})
	if got := n.nicknames(); got[0] != "" || len(got) != 2 {
		t.Errorf("after the late answer: %q", got)
	}
}

func TestNobodyIsAsked(t *testing.T) {
	ignored := from("bob", "")
	ignored.GetMessage().IgnorePush = true
	for name, c := range map[string]struct {
		settings *rousev1.AppSettings
		event    *rousev1.Event
	}{
		"not wanted":       {&rousev1.AppSettings{}, from("bob", "")},
		"settings ignored": {&rousev1.AppSettings{SenderNicknames: true, AdvancedOff: true}, from("bob", "")},
		"not pushed":       {&rousev1.AppSettings{SenderNicknames: true}, ignored},
	} {
		n := newNamed(t, c.settings)
		n.ingest(c.event)
		if len(n.asked) != 0 || n.nicknames()[0] != "" {
			t.Errorf("%s: asked %v", name, n.asked)
		}
	}
}

// A batch that waits for a nickname is not overtaken by the next one of its
// stream, which may recall its message.
func TestNicknamesKeepTheOrder(t *testing.T) {
	n := newNamed(t, &rousev1.AppSettings{SenderNicknames: true})
	s := n.welcomed(n.intakeKey(), im1)
	send(t, s, 0, from("silent", ""))
	send(t, s, 1, presence("ann"))
	for want := range uint64(2) {
		if got := receive(t, s); got.GetSeq() != want || got.GetItems()[0].GetError() != nil {
			t.Errorf("got %v, want batch %d", got, want)
		}
	}
}
