package shard

import (
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	actorv1 "github.com/rouse-im/rouse/api/rouse/actor/v1"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

// commands are the messages that a user's actor takes, by their full names.
var commands = func() map[string]protoreflect.MessageType {
	all := map[string]protoreflect.MessageType{}
	for _, m := range []proto.Message{
		(*rousev1.MessageEvent)(nil), (*rousev1.PresenceEvent)(nil), (*rousev1.FetchedEvent)(nil),
		(*rousev1.ReadEvent)(nil), (*rousev1.RecallEvent)(nil),
		(*rousev1.BindTokenRequest)(nil), (*rousev1.UnbindTokenRequest)(nil),
		(*rousev1.SetBadgeRequest)(nil), (*rousev1.GetOfflineCountRequest)(nil),
		(*rousev1.BanUserRequest)(nil), (*rousev1.SetUserPolicyRequest)(nil), (*rousev1.EraseUserRequest)(nil),
		(*rousev1.ListDevicesRequest)(nil), (*rousev1.ListOutcomesRequest)(nil),
		(*rousev1.ExplainRequest)(nil), (*rousev1.TraceRequest)(nil),
		(*rousev1.SetUserSettingsRequest)(nil), (*rousev1.GetUserSettingsRequest)(nil),
		(*rousev1.SetConversationSettingsRequest)(nil), (*rousev1.GetConversationSettingsRequest)(nil), (*rousev1.ListConversationSettingsRequest)(nil),
	} {
		t := m.ProtoReflect().Type()
		all[string(t.Descriptor().FullName())] = t
	}
	return all
}()

// commandOf reads a command of another node.
func commandOf(c *actorv1.Command) (proto.Message, error) {
	name := c.GetType()
	t := commands[name]
	if t == nil {
		return nil, fmt.Errorf("shard: %q is no command that this release takes; upgrade this node", name[:min(len(name), 100)])
	}
	m := t.New().Interface()
	if err := proto.Unmarshal(c.GetBody(), m); err != nil {
		return nil, fmt.Errorf("shard: %s from another node is damaged", name)
	}
	return m, nil
}

// fills tells whether a command needs disk space, as gateways do of their calls:
// what only reads, or takes away, is carried out on a disk that is nearly full.
func fills(command proto.Message) bool {
	switch command.(type) {
	case *rousev1.MessageEvent, *rousev1.PresenceEvent, *rousev1.FetchedEvent, *rousev1.ReadEvent, *rousev1.RecallEvent,
		*rousev1.BindTokenRequest, *rousev1.SetBadgeRequest, *rousev1.BanUserRequest, *rousev1.SetUserPolicyRequest,
		*rousev1.SetUserSettingsRequest, *rousev1.SetConversationSettingsRequest:
		return true
	}
	return false
}
