package user

import (
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/storage"
)

// Telling says which events of an app go to its webhook.
type Telling struct{ Outcomes, Accepted, Receipts bool }

func (t Telling) wants(stage rousev1.WebhookStage, s rousev1.OutcomeStatus) bool {
	if stage == stageReceipt {
		return t.Receipts
	}
	return t.Outcomes && (s != rousev1.OutcomeStatus_OUTCOME_STATUS_ACCEPTED || t.Accepted)
}

const (
	stageOutcome = rousev1.WebhookStage_WEBHOOK_STAGE_OUTCOME
	stageReceipt = rousev1.WebhookStage_WEBHOOK_STAGE_RECEIPT
)

// news is a verdict that a decision ends, or that a receipt is about, with the
// message; nil = not known any more.
type news struct {
	stage   rousev1.WebhookStage
	p       *Pending
	i       int
	message *rousev1.MessageEvent
}

// news of a decision are the verdicts that a webhook may want to know of. To be
// asked before its events are applied: they drop the message.
func (a *Actor) news(t *turn, cmd any, d *Decision) (all []news) {
	if t.env.App.Telling == (Telling{}) {
		return nil
	}
	for _, event := range d.Events {
		switch e := event.(type) {
		case messageDecided:
			m, _ := cmd.(Message)
			for i := range e.p.Verdicts {
				if e.p.Verdicts[i].Stage == StageEnded {
					all = append(all, news{stageOutcome, e.p, i, m.MessageEvent})
				}
			}
		case verdictEnded:
			all = append(all, news{stageOutcome, e.p, e.i, e.p.Payload})
		case receiptMarked:
			all = append(all, news{stageReceipt, e.p, e.i, e.p.Payload})
		}
	}
	return all
}

// tellNews writes what the app's webhook is to be told, in the same step as the
// outcomes. To be called after the events were applied.
func (a *Actor) tellNews(t *turn, all []news, s *Step) {
	for _, e := range all {
		if strings.Contains(e.p.Message, inner) {
			continue // the engine's own pushes are not of the app's messages
		}
		if t.env.App.Telling.wants(e.stage, e.p.Verdicts[e.i].Status) {
			a.tell(t, e.stage, e.p.Outcomes(a.app, a.user)[e.i], e.message, s)
		}
	}
}

// tell adds one event to the step.
func (a *Actor) tell(t *turn, stage rousev1.WebhookStage, o *rousev1.Outcome, m *rousev1.MessageEvent, s *Step) {
	now := t.env.Now
	event := &rousev1.WebhookEvent{
		EventId: eventID(o, stage, now), Stage: stage, Outcome: o, Sender: m.GetSender(),
		ConversationType: m.GetConversationType(), ConversationId: m.GetConversationId(), At: timestamppb.New(now),
	}
	w := &t.page
	w.buf = storage.AppendTellingKey(w.buf, storage.TellingKey{
		Shard: a.home.Shard, App: a.app, AtMilli: uint64(now.UnixMilli()), Stage: byte(stage), //nolint:gosec // after 1970
		User: a.user, Message: o.GetMessageId(), Device: o.GetDeviceId(), Notifier: o.GetNotifier(),
	})
	key := len(w.buf)
	value, err := proto.MarshalOptions{}.MarshalAppend(w.buf, event)
	if err != nil {
		w.buf = w.buf[:key]
		a.home.Deps.Logger.Error("event for a webhook cannot be written", "app", a.app, "error", err)
		return
	}
	w.buf = value
	w.put(storage.Set, key)
	s.Tells = true
}

// eventID is the same for each repetition of an event.
func eventID(o *rousev1.Outcome, stage rousev1.WebhookStage, at time.Time) string {
	return PushID(o.GetUserId(), o.GetMessageId(), o.GetDeviceId()+"\x00"+o.GetNotifier(), stage.String()+at.UTC().Format(time.RFC3339Nano))
}
