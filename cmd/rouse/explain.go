package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/internal/rpc"
)

type explainVerb struct {
	remote
	User       string   `arg:""`
	Message    string   `help:"The MessageEvent as JSON, or @FILE that holds it; the flags below change it." placeholder:"JSON"`
	From       string   `help:"User id of the sender." placeholder:"USER"`
	Group      string   `help:"Id of the group that the message is sent to." placeholder:"ID"`
	GroupSize  uint32   `help:"Members of the group." placeholder:"N"`
	Call       bool     `help:"It is a call."`
	Mention    []string `help:"Who is mentioned." placeholder:"USER"`
	MentionAll bool     `help:"Everybody is mentioned."`
	Manager    bool     `help:"The sender is an owner or administrator of the group."`
	Force      bool     `help:"Heed neither quiet times nor modes."`
	Ignore     bool     `help:"Do not push."`
}

// Help teaches by example.
func (*explainVerb) Help() string {
	return `The message is decided as if it came now, step by step, and nothing is changed or sent.

Examples:

    rouse explain --app chat ann --from bob
    rouse explain --app chat ann --from bob --group team --mention ann
    rouse explain --app chat ann --message @message.json`
}

// Run shows the steps of a decision.
func (v *explainVerb) Run(c *call) error {
	m, err := v.message()
	if err != nil {
		return err
	}
	return ask(c, &v.remote, func(s *rpc.Services) (*rousev1.ExplainResponse, error) {
		return s.Trace.Explain(c.ctx, &rousev1.ExplainRequest{UserId: v.User, Message: m})
	}, c.explained)
}

func (v *explainVerb) message() (*rousev1.MessageEvent, error) {
	m := &rousev1.MessageEvent{}
	text := []byte(v.Message)
	if path, named := strings.CutPrefix(v.Message, "@"); named {
		var err error
		if text, err = os.ReadFile(path); err != nil {
			return nil, fmt.Errorf("--message: %w", err)
		}
	}
	if len(text) > 0 {
		if err := protojson.Unmarshal(text, m); err != nil {
			return nil, fmt.Errorf("--message is no MessageEvent: %w", err)
		}
	}
	m.Recipients = []string{v.User}
	if m.GetMessageId() == "" {
		m.MessageId = "explained"
	}
	if v.From != "" {
		m.Sender = v.From
	}
	if v.Group != "" {
		m.ConversationType, m.ConversationId, m.GroupSize = rousev1.ConversationType_CONVERSATION_TYPE_GROUP, v.Group, v.GroupSize
	} else if m.GetConversationType() == rousev1.ConversationType_CONVERSATION_TYPE_UNSPECIFIED {
		m.ConversationType, m.ConversationId = rousev1.ConversationType_CONVERSATION_TYPE_DIRECT, m.GetSender()
	}
	if v.Call {
		m.Class = rousev1.MessageClass_MESSAGE_CLASS_CALL
	}
	m.Mentions = append(m.Mentions, v.Mention...)
	m.MentionAll = m.MentionAll || v.MentionAll
	m.SenderIsManager = m.SenderIsManager || v.Manager
	m.ForcePush = m.ForcePush || v.Force
	m.IgnorePush = m.IgnorePush || v.Ignore
	return m, nil
}

// explained shows the steps of the message, and then each device with its own.
func (c *call) explained(r *rousev1.ExplainResponse) error {
	return errors.Join(c.steps(r.GetSteps()), c.devices(r.GetDevices()))
}
