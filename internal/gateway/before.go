package gateway

import (
	"cmp"
	"context"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

const (
	hooksAtOnce = 128 // calls of one batch under way
	hookTime    = time.Second
)

// hooked is what an app's hook makes of one event of a batch; zero = nothing.
type hooked struct {
	refused *rousev1.Error
	event   *rousev1.Event // instead of the one that came; nil = that one
	// stop: nobody is pushed; dropped: these are not.
	stop    bool
	dropped map[string]bool
}

func (h *hooked) stops(user string) bool { return h.stop || h.dropped[user] }

// askBefore asks the app's hook about the messages of a batch, all within one
// before_push_timeout. The caller waits, so that events keep their order and an
// IM node is not read faster than the hook answers. nil when there is no hook.
func (g *Gateway) askBefore(app string, events []*rousev1.Event, now time.Time) []hooked {
	known, ok := g.Catalog.App(app)
	if !ok || known.Webhooks().GetBeforePushUrl() == "" {
		return nil
	}
	w := known.Webhooks()
	ctx, cancel := context.WithTimeout(context.Background(), cmp.Or(w.GetBeforePushTimeout().AsDuration(), hookTime))
	defer cancel()
	all := make([]hooked, len(events))
	slots := make(chan struct{}, hooksAtOnce)
	var calls sync.WaitGroup
	for i, e := range events {
		m := e.GetMessage()
		if m == nil || m.GetIgnorePush() || m.GetOnlineOnly() || g.checkEvent(e, now) != nil {
			continue
		}
		slots <- struct{}{}
		calls.Go(func() {
			all[i] = g.askHook(ctx, app, w, m)
			<-slots
		})
	}
	calls.Wait()
	return all
}

func (g *Gateway) askHook(ctx context.Context, app string, w *rousev1.Webhooks, m *rousev1.MessageEvent) hooked {
	answer, err := g.BeforePush(ctx, app, w, m)
	if err != nil {
		g.metrics.hooks.WithLabelValues("failed").Inc()
		g.Logger.Warn("the hook before pushes gave no answer to use", "app", app, "required", w.GetBeforePushRequired(), "error", err)
		if w.GetBeforePushRequired() {
			return hooked{refused: complaint(rousev1.ErrorCode_ERROR_CODE_UNAVAILABLE, "the app's hook before pushes gave no answer to use, and the app requires one; send the same item again later")}
		}
		return hooked{}
	}
	g.metrics.hooks.WithLabelValues("answered").Inc()
	h := hooked{stop: answer.GetStop()}
	for _, user := range answer.GetDropRecipients() {
		if h.dropped == nil {
			h.dropped = make(map[string]bool)
		}
		h.dropped[user] = true
	}
	if answer.GetContent() == nil && answer.Text == nil {
		return h
	}
	m = proto.CloneOf(m)
	if answer.GetContent() != nil {
		m.Content = answer.GetContent()
	}
	if answer.Text != nil {
		m.Text = answer.GetText()
	}
	h.event = &rousev1.Event{Kind: &rousev1.Event_Message{Message: m}}
	return h
}
