package demo

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/internal/rpc"
)

// event is what an IM node sends for a line; nil when it sends nothing.
func (l *Line) event() (*rousev1.Event, error) {
	switch l.Do {
	case Presence:
		return l.presence()
	case Message:
		m, err := l.message()
		return &rousev1.Event{Kind: &rousev1.Event_Message{Message: m}}, err
	case Fetched:
		return &rousev1.Event{Kind: &rousev1.Event_Fetched{Fetched: &rousev1.FetchedEvent{UserId: l.User, DeviceId: l.Device}}}, nil
	case Read:
		return &rousev1.Event{Kind: &rousev1.Event_Read{Read: &rousev1.ReadEvent{UserId: l.User, MessageIds: l.Messages}}}, nil
	case Recall:
		return &rousev1.Event{Kind: &rousev1.Event_Recall{Recall: l.recall()}}, nil
	}
	return nil, nil
}

func (l *Line) presence() (*rousev1.Event, error) {
	state, err := rpc.Value[rousev1.SessionState](l.State)
	if err != nil {
		return nil, fmt.Errorf("state: %w", err)
	}
	platform, err := rpc.Value[rousev1.Platform](l.Platform)
	if err != nil {
		return nil, fmt.Errorf("platform: %w", err)
	}
	return &rousev1.Event{Kind: &rousev1.Event_Presence{Presence: &rousev1.PresenceEvent{
		UserId: l.User, DeviceId: l.Device, State: state, Session: l.Session, Step: l.Step, Unbind: l.Unbind,
		Device: &rousev1.DeviceInfo{Platform: platform, Brand: l.Brand},
	}}}, nil
}

func (l *Line) recall() *rousev1.RecallEvent {
	r := &rousev1.RecallEvent{MessageId: l.ID, Recipients: l.To}
	if l.Text != "" {
		r.Edited = &rousev1.Content{Title: l.title(), Body: l.Text}
	}
	return r
}

// title is of the notification.
func (l *Line) title() string {
	if l.Group != "" {
		return l.Group
	}
	return l.From
}

// everybody in Mentions.
const everybody = "all"

func (l *Line) message() (*rousev1.MessageEvent, error) {
	kind, err := rpc.Value[rousev1.MessageKind](l.Kind)
	if err != nil {
		return nil, fmt.Errorf("kind: %w", err)
	}
	class, err := rpc.Value[rousev1.MessageClass](l.Class)
	if err != nil {
		return nil, fmt.Errorf("class: %w", err)
	}
	m := &rousev1.MessageEvent{
		MessageId: l.ID, Sender: l.From, Recipients: l.To, Kind: kind, Class: class,
		ConversationType: rousev1.ConversationType_CONVERSATION_TYPE_DIRECT, ConversationId: l.From,
		IgnorePush: l.Ignore, NoCount: l.NoCount, CollapseId: l.Collapse, ForcePush: l.Force, Text: l.Text, Extension: l.Ext,
		Content: &rousev1.Content{Title: l.title(), Body: l.Text, Sound: "default"},
	}
	if l.Group != "" {
		m.ConversationType, m.ConversationId = rousev1.ConversationType_CONVERSATION_TYPE_GROUP, l.Group
		m.GroupSize = uint32(len(l.To))
	}
	if l.Template != "" {
		m.Template = &rousev1.TemplateUse{Name: l.Template, ContentArgs: l.Args}
	}
	for _, who := range l.Mentions {
		if m.MentionAll = m.MentionAll || who == everybody; who != everybody {
			m.Mentions = append(m.Mentions, who)
		}
	}
	if l.TTL > 0 {
		m.Ttl = durationpb.New(time.Duration(l.TTL) * time.Second)
	}
	return m, nil
}
