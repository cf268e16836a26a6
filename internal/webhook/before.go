package webhook

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/encoding/protojson"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

const (
	beforeTimeout = time.Second
	maxText       = 4096
)

// Before asks an app's hook about a message, and returns what it answered. Its
// time is bounded by the app's before_push_timeout.
func (c *Caller) Before(ctx context.Context, app string, w *rousev1.Webhooks, m *rousev1.MessageEvent) (*rousev1.BeforePushAnswer, error) {
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(w.GetBeforePushTimeout().AsDuration(), beforeTimeout))
	defer cancel()
	body, err := protojson.Marshal(&rousev1.BeforePushCall{
		AppId: app, MessageId: m.GetMessageId(), Sender: m.GetSender(), ConversationType: m.GetConversationType(),
		ConversationId: m.GetConversationId(), Recipients: m.GetRecipients(), Kind: m.GetKind(), Class: m.GetClass(),
		Content: m.GetContent(), Text: m.GetText(),
	})
	if err != nil {
		return nil, errors.New("the message is no valid text")
	}
	raw, err := c.Post(ctx, w, w.GetBeforePushUrl(), body)
	if err != nil {
		return nil, err
	}
	return decodeAnswer(raw)
}

func decodeAnswer(raw []byte) (*rousev1.BeforePushAnswer, error) {
	answer := &rousev1.BeforePushAnswer{}
	if len(raw) == 0 {
		return answer, nil
	}
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(raw, answer); err != nil {
		return nil, errors.New("the answer is no BeforePushAnswer in JSON")
	}
	if len(answer.GetText()) > maxText {
		return nil, fmt.Errorf("the answer's text has %d bytes, at most %d are taken", len(answer.GetText()), maxText)
	}
	return answer, nil
}
