package gateway

import (
	"sync"
	"time"

	"github.com/rouse-im/rouse/actors"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

// nicknameTime bounds how long the messages of a batch wait for the nicknames of
// their senders. Later batches may overtake them meanwhile.
const nicknameTime = 200 * time.Millisecond

// nameSenders asks, if the app wants it, the senders of messages that name none
// for their nicknames, each of them once, and calls then when all have answered
// or the time is over. Who does not answer is shown by his id. It does not wait.
func (g *Gateway) nameSenders(b *batch, app string, events []*rousev1.Event, then func()) {
	senders := g.nameless(b, app, events)
	if len(senders) == 0 {
		then()
		return
	}
	r := &roll{names: make(map[string]string, len(senders)), waiting: len(senders)}
	r.called = sync.OnceFunc(func() {
		for i, e := range events {
			if m := e.GetMessage(); m != nil && b.events[i].refused == nil && m.GetSenderNickname() == "" {
				m.SenderNickname = r.names[m.GetSender()]
			}
		}
		go then() // the last answer comes in an actor's turn, which has no time for a fan-out
	})
	r.timer = time.AfterFunc(nicknameTime, r.close)
	for sender := range senders {
		g.Router(&actors.Envelope{
			App: app, User: sender, Command: &rousev1.GetUserSettingsRequest{UserId: sender},
			Done: func(reply actors.Reply) { r.answer(sender, reply) },
		})
	}
}

// nameless are the senders to ask; nil when the app does not want it.
func (g *Gateway) nameless(b *batch, app string, events []*rousev1.Event) map[string]bool {
	known, ok := g.Catalog.App(app)
	if !ok || !known.Settings().GetSenderNicknames() || known.Settings().GetAdvancedOff() {
		return nil
	}
	senders := map[string]bool{}
	for i, e := range events {
		m := e.GetMessage()
		if m == nil || b.events[i].refused != nil || m.GetIgnorePush() || m.GetOnlineOnly() {
			continue
		}
		if m.GetSenderNickname() == "" && name(m.GetSender()) {
			senders[m.GetSender()] = true
		}
	}
	return senders
}

// roll gathers nicknames until it is closed.
type roll struct {
	called func()      // once
	timer  *time.Timer // closes it

	mu      sync.Mutex
	names   map[string]string
	waiting int // -1 once it is closed
}

func (r *roll) answer(sender string, reply actors.Reply) {
	r.mu.Lock()
	last := false
	if r.waiting > 0 {
		if settings, ok := reply.Response.(*rousev1.GetUserSettingsResponse); ok && reply.Err == nil {
			r.names[sender] = settings.GetSettings().GetNickname()
		}
		r.waiting--
		last = r.waiting == 0
	}
	r.mu.Unlock()
	if last {
		r.timer.Stop()
		r.close()
	}
}

// close takes no more answers and calls the roll.
func (r *roll) close() {
	r.mu.Lock()
	r.waiting = -1
	r.mu.Unlock()
	r.called()
}
