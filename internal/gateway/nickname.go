package gateway

import (
	"sync"
	"time"

	"github.com/rouse-im/rouse/actors"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

// nicknameTime bounds how long the messages of a batch wait for the nicknames of
// their senders.
const nicknameTime = 200 * time.Millisecond

// nameSenders asks, if the app wants it, the senders of messages that name none
// for their nicknames, each of them once. Who does not answer in time is shown by
// his id. It waits, so that events keep their order: a recall must not overtake
// its message.
func (g *Gateway) nameSenders(b *batch, app string, events []*rousev1.Event) {
	senders := g.nameless(b, app, events)
	if len(senders) == 0 {
		return
	}
	r := &roll{names: make(map[string]string, len(senders)), waiting: len(senders), called: make(chan struct{})}
	for sender := range senders {
		g.Router(&actors.Envelope{
			App: app, User: sender, Command: &rousev1.GetUserSettingsRequest{UserId: sender},
			Done: func(reply actors.Reply) { r.answer(sender, reply) },
		})
	}
	timer := time.NewTimer(nicknameTime)
	defer timer.Stop()
	select {
	case <-r.called:
	case <-timer.C:
	}
	names := r.close()
	for i, e := range events {
		if m := e.GetMessage(); m != nil && b.events[i].refused == nil && m.GetSenderNickname() == "" {
			m.SenderNickname = names[m.GetSender()]
		}
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
	called chan struct{} // closed by the last answer

	mu      sync.Mutex
	names   map[string]string
	waiting int // -1 once it is closed
}

func (r *roll) answer(sender string, reply actors.Reply) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.waiting <= 0 {
		return
	}
	if settings, ok := reply.Response.(*rousev1.GetUserSettingsResponse); ok && reply.Err == nil {
		r.names[sender] = settings.GetSettings().GetNickname()
	}
	if r.waiting--; r.waiting == 0 {
		close(r.called)
	}
}

// close takes no more answers and returns those that came.
func (r *roll) close() map[string]string {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waiting = -1
	return r.names
}
