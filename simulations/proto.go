package simulations

import (
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

// platforms, states, modes and policies by their words: the contract's names
// without prefix, in lower case, with hyphens.
func enum[E ~int32](values map[string]int32, prefix, word string) E {
	return E(values[prefix+strings.ToUpper(strings.ReplaceAll(word, "-", "_"))])
}

// Item is the event as IM nodes send it; nil for kinds that go another way.
// Times are counted from the start of the scenario.
func (e *Event) Item(start time.Time) *rousev1.Event {
	switch e.Kind {
	case Presence:
		return &rousev1.Event{Kind: &rousev1.Event_Presence{Presence: &rousev1.PresenceEvent{
			UserId: e.User, DeviceId: e.Device, Session: e.Session, Step: e.Step, Unbind: e.Unbind, Device: e.info(),
			State: enum[rousev1.SessionState](rousev1.SessionState_value, "SESSION_STATE_", string(e.State)),
		}}}
	case Message:
		return &rousev1.Event{Kind: &rousev1.Event_Message{Message: e.message(start)}}
	case Read:
		return &rousev1.Event{Kind: &rousev1.Event_Read{Read: &rousev1.ReadEvent{UserId: e.User, MessageIds: e.Messages}}}
	case Fetched:
		return &rousev1.Event{Kind: &rousev1.Event_Fetched{Fetched: &rousev1.FetchedEvent{UserId: e.User, DeviceId: e.Device}}}
	case Recall:
		r := &rousev1.RecallEvent{MessageId: e.Message, Recipients: e.To, Version: e.Version}
		if e.Text != "" {
			r.Edited = &rousev1.Content{Body: e.Text}
		}
		return &rousev1.Event{Kind: &rousev1.Event_Recall{Recall: r}}
	}
	return nil
}

func (e *Event) info() *rousev1.DeviceInfo {
	return &rousev1.DeviceInfo{
		Platform: enum[rousev1.Platform](rousev1.Platform_value, "PLATFORM_", e.Platform),
		Brand:    e.Brand, TimeZone: e.Zone,
	}
}

func (e *Event) message(start time.Time) *rousev1.MessageEvent {
	m := &rousev1.MessageEvent{
		MessageId: e.Message, Recipients: e.To, Sender: e.From, Mentions: e.Mentions, MentionAll: e.MentionAll, Text: e.Text, CollapseId: e.Collapse,
		SentAt:           timestamppb.New(start.Add(e.At.Duration())),
		ConversationType: rousev1.ConversationType_CONVERSATION_TYPE_DIRECT,
	}
	if e.Group != "" {
		m.ConversationType, m.ConversationId, m.GroupSize = rousev1.ConversationType_CONVERSATION_TYPE_GROUP, e.Group, e.GroupSize
	}
	if e.Call {
		m.Class = rousev1.MessageClass_MESSAGE_CLASS_CALL
	}
	if e.TTL > 0 {
		m.Ttl = durationpb.New(time.Duration(e.TTL) * time.Second)
	}
	return m
}

// BindRequest of a bind.
func (e *Event) BindRequest() *rousev1.BindTokenRequest {
	return &rousev1.BindTokenRequest{UserId: e.User, DeviceId: e.Device, Notifier: e.Notifier, Token: e.Token, Device: e.info()}
}

// UnbindRequest of an unbind.
func (e *Event) UnbindRequest() *rousev1.UnbindTokenRequest {
	return &rousev1.UnbindTokenRequest{UserId: e.User, DeviceId: e.Device, Notifier: e.Notifier}
}

// SettingsRequest of settings for all conversations; nil for those of a group.
func (e *Event) SettingsRequest() *rousev1.SetUserSettingsRequest {
	if e.Wish == nil || e.Group != "" {
		return nil
	}
	r := &rousev1.SetUserSettingsRequest{UserId: e.User, Settings: &rousev1.UserSettings{Mode: mode(e.Wish.Mode)}}
	if e.Wish.QuietStart != e.Wish.QuietEnd {
		r.Settings.Windows = []*rousev1.QuietWindow{{StartMinute: e.Wish.QuietStart, EndMinute: e.Wish.QuietEnd, MentionsPass: e.Wish.MentionsPass}}
	}
	if e.Wish.QuietFor > 0 {
		r.QuietFor = durationpb.New(time.Duration(e.Wish.QuietFor) * time.Second)
	}
	return r
}

// ConversationRequest of settings for a group; nil for others.
func (e *Event) ConversationRequest() *rousev1.SetConversationSettingsRequest {
	if e.Wish == nil || e.Group == "" {
		return nil
	}
	r := &rousev1.SetConversationSettingsRequest{
		UserId:       e.User,
		Conversation: &rousev1.ConversationRef{Type: rousev1.ConversationType_CONVERSATION_TYPE_GROUP, Id: e.Group},
	}
	if e.Wish.Mode != "" {
		r.Mode = mode(e.Wish.Mode).Enum()
	}
	if e.Wish.QuietFor > 0 {
		r.QuietFor = durationpb.New(time.Duration(e.Wish.QuietFor) * time.Second)
	}
	return r
}

func mode(word string) rousev1.NotifyMode {
	return enum[rousev1.NotifyMode](rousev1.NotifyMode_value, "NOTIFY_MODE_", word)
}

// DevicePolicy of a policy event.
func (e *Event) DevicePolicy() *rousev1.DevicePolicy {
	return &rousev1.DevicePolicy{Policy: enum[rousev1.MultiDevicePolicy](rousev1.MultiDevicePolicy_value, "MULTI_DEVICE_POLICY_", e.Policy)}
}

// word of an enum's value, as events have it; empty for the unspecified one.
func word(name, prefix string) string {
	if w := strings.TrimPrefix(name, prefix); w != "UNSPECIFIED" {
		return strings.ReplaceAll(strings.ToLower(w), "_", "-")
	}
	return ""
}

// FromItem is the event that an IM node sent, as far as simulations know such
// events: what is left out of Item is left out of it. N and At are the caller's.
// False: it is of no known kind.
func FromItem(item *rousev1.Event, node string, incarnation uint64) (Event, bool) {
	e := Event{Node: node, Incarnation: incarnation}
	switch k := item.GetKind().(type) {
	case *rousev1.Event_Presence:
		p := k.Presence
		e.Kind, e.User, e.Device, e.Session, e.Step, e.Unbind = Presence, p.GetUserId(), p.GetDeviceId(), p.GetSession(), p.GetStep(), p.GetUnbind()
		e.State = State(word(p.GetState().String(), "SESSION_STATE_"))
		e.Platform, e.Brand, e.Zone = word(p.GetDevice().GetPlatform().String(), "PLATFORM_"), p.GetDevice().GetBrand(), p.GetDevice().GetTimeZone()
	case *rousev1.Event_Message:
		m := k.Message
		e.Kind, e.Message, e.From, e.To, e.Mentions, e.MentionAll, e.Text = Message, m.GetMessageId(), m.GetSender(), m.GetRecipients(), m.GetMentions(), m.GetMentionAll(), m.GetText()
		if m.GetConversationType() == rousev1.ConversationType_CONVERSATION_TYPE_GROUP {
			e.Group, e.GroupSize = m.GetConversationId(), m.GetGroupSize()
		}
		e.Call = m.GetClass() == rousev1.MessageClass_MESSAGE_CLASS_CALL
		e.Collapse = m.GetCollapseId()
		e.TTL = uint32(m.GetTtl().GetSeconds()) //nolint:gosec // the contract bounds it by 28 days
	case *rousev1.Event_Read:
		e.Kind, e.User, e.Messages = Read, k.Read.GetUserId(), k.Read.GetMessageIds()
	case *rousev1.Event_Fetched:
		e.Kind, e.User, e.Device = Fetched, k.Fetched.GetUserId(), k.Fetched.GetDeviceId()
	case *rousev1.Event_Recall:
		r := k.Recall
		e.Kind, e.Message, e.To, e.Version, e.Text = Recall, r.GetMessageId(), r.GetRecipients(), r.GetVersion(), r.GetEdited().GetBody()
	default:
		return e, false
	}
	return e, true
}
