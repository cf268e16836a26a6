package webhook

import (
	"crypto/md5" //nolint:gosec // what the callback's "security" field is defined as
	"encoding/hex"
	"encoding/json"
	"strconv"
	"time"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/internal/reason"
)

// easemobCall is one event in the form of Easemob's offline push callback. A
// device's token is never told, so device_token is always empty.
type easemobCall struct {
	CallID       string            `json:"callId"`
	EventType    string            `json:"eventType"`
	AppKey       string            `json:"appkey"`
	Channel      string            `json:"channel"`
	ChatType     string            `json:"chat_type"`
	Data         map[string]string `json:"data"`
	DeviceID     string            `json:"device_id"`
	DeviceToken  string            `json:"device_token"`
	MessageID    string            `json:"msg_id"`
	NotifierName string            `json:"notifier_name"`
	Status       string            `json:"status"`
	Step         string            `json:"step"`
	Target       string            `json:"target"`
	Timestamp    int64             `json:"timestamp"` // unix ms
	Error        string            `json:"e_message,omitempty"`
	From         string            `json:"from"`
	GroupID      string            `json:"group_id,omitempty"`
	Payload      map[string]string `json:"payload"`
	Detail       string            `json:"detail,omitempty"`
	Security     string            `json:"security"`
}

// easemobBody is what Easemob's callback says of an event; false when it has no
// word for the reason. channel is the credential's vendor in its words.
func easemobBody(app, secret, channel string, e *rousev1.WebhookEvent) ([]byte, bool) {
	o := e.GetOutcome()
	c := easemobCall{
		CallID: app + "_" + o.GetMessageId(), EventType: "chat", AppKey: app, Channel: channel, ChatType: "chat",
		DeviceID: o.GetDeviceId(), MessageID: o.GetMessageId(), NotifierName: o.GetNotifier(),
		Step: "push", Target: o.GetUserId(), Timestamp: e.GetAt().AsTime().UnixMilli(), From: e.GetSender(),
		Data:    map[string]string{"code": o.GetVendorCode(), "id": o.GetVendorId()},
		Payload: map[string]string{"t": o.GetUserId(), "f": e.GetSender(), "m": o.GetMessageId()},
	}
	if e.GetConversationType() == rousev1.ConversationType_CONVERSATION_TYPE_GROUP {
		c.ChatType, c.GroupID, c.Payload["g"] = "groupchat", e.GetConversationId(), e.GetConversationId()
	}
	r := o.GetReason()
	if e.GetStage() == rousev1.WebhookStage_WEBHOOK_STAGE_RECEIPT && o.GetReceiptReason() != 0 {
		r = o.GetReceiptReason()
	}
	c.Error = reason.Easemob(r)
	switch o.GetStatus() {
	case rousev1.OutcomeStatus_OUTCOME_STATUS_ACCEPTED:
		c.Status = "success"
		if c.Error != "" {
			c.Status = "fail"
		}
	case rousev1.OutcomeStatus_OUTCOME_STATUS_FAILED, rousev1.OutcomeStatus_OUTCOME_STATUS_EXPIRED:
		c.Status = "error"
		if r == rousev1.Reason_REASON_TOKEN_INVALID || r == rousev1.Reason_REASON_NO_NOTIFIER {
			c.Status = "fail"
		}
	default:
		c.Status = "fail"
	}
	if c.Status != "success" {
		if c.Error == "" {
			return nil, false
		}
		c.Detail = reason.In(reason.English, r).What
	}
	sum := md5.Sum([]byte(c.CallID + secret + strconv.FormatInt(c.Timestamp, 10))) //nolint:gosec // see the import
	c.Security = hex.EncodeToString(sum[:])
	body, err := json.Marshal(c)
	return body, err == nil
}

// maxAge is how long an event is told again and again.
const maxAge = 24 * time.Hour
