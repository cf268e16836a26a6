package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/internal/rpc"
)

type sendVerb struct {
	remote
	Users    []string          `arg:"" help:"Recipients, at most 1024."`
	Body     string            `help:"Text of the notification, as it is to be shown." placeholder:"TEXT"`
	Title    string            `help:"Its title; without it the sender." placeholder:"TEXT"`
	Text     string            `help:"What the message says, for templates and styles to show; instead of --body." placeholder:"TEXT"`
	Template string            `help:"Template of the app to show it with." placeholder:"NAME"`
	Ext      string            `help:"Message extension of Easemob: a file with its JSON." placeholder:"FILE"`
	From     string            `help:"User id of the sender." placeholder:"USER"`
	ID       string            `help:"Message id; the same id again is answered duplicate. Without it a new one." placeholder:"ID"`
	Group    string            `help:"Id of the group that the message was sent to." placeholder:"ID"`
	Call     bool              `help:"It is a call: through the VoIP channel where the device has one."`
	TTL      time.Duration     `help:"How long the push is wanted; without it as the app says." placeholder:"1h"`
	Badge    int               `help:"Number to show instead of the device's offline count; -1: that count." default:"-1"`
	Collapse string            `help:"A newer push with the same id replaces the shown one." placeholder:"ID"`
	Sound    string            `help:"Sound of the notification." default:"default"`
	Data     map[string]string `help:"For the app; may be given several times." placeholder:"KEY=VALUE" mapsep:"none"`
	Wait     bool              `short:"w" help:"Wait until it is known what became of it, and show that."`
	Timeout  time.Duration     `help:"How long --wait waits." default:"30s"`
}

// Help teaches by example.
func (*sendVerb) Help() string {
	return `The message is for the users; presence decides which of their devices are woken.

Examples:

    rouse send --app chat ann --from bob --body "Are you there?" --wait
    rouse send --app chat ann ben cid --group team --from bob --body "Lunch?" --ttl 30m
    rouse send --app chat ann --from bob --call --body "Incoming call"
    rouse send --app chat ann --from bob --text "Are you there?" --template detail
    rouse send --app chat ann --from bob --text "Are you there?" --ext ext.json`
}

// Run sends the event and, if asked, waits for its outcomes.
func (v *sendVerb) Run(c *call) error {
	m, err := v.message()
	if err != nil {
		return err
	}
	s, err := v.open()
	if err != nil {
		return err
	}
	defer s.Close()
	r, err := c.ingest(s, &rousev1.Event{Kind: &rousev1.Event_Message{Message: m}})
	switch {
	case err != nil:
		return v.explain(err)
	case v.JSON:
		err = c.json(r)
	default:
		err = errors.Join(c.verdict(r), c.say("message %s", m.GetMessageId()))
	}
	if err != nil || !v.Wait {
		return err
	}
	return v.wait(c, s, m.GetMessageId())
}

func (v *sendVerb) message() (*rousev1.MessageEvent, error) {
	if v.Badge > 9999 {
		return nil, errors.New("--badge: at most 9999")
	}
	if v.Body == "" && v.Text == "" && v.Ext == "" {
		return nil, errors.New("nothing to show: give --body, or --text, or --ext")
	}
	m := &rousev1.MessageEvent{
		MessageId: v.ID, Recipients: v.Users, Sender: v.From, CollapseId: v.Collapse, Text: v.Text,
		ConversationType: rousev1.ConversationType_CONVERSATION_TYPE_DIRECT, ConversationId: v.From,
		Content: &rousev1.Content{Title: v.Title, Body: v.Body, Sound: v.Sound, Data: v.Data},
	}
	if v.ID == "" {
		m.MessageId = "cli-" + strings.ToLower(rand.Text())
	}
	if v.Title == "" && v.Body != "" {
		m.Content.Title = v.From
	}
	if v.Template != "" {
		m.Template = &rousev1.TemplateUse{Name: v.Template}
	}
	if v.Ext != "" && v.Sound == "default" {
		m.Content.Sound = "" // the extension may name one
	}
	if err := readInto(&m.Extension, v.Ext); err != nil {
		return nil, fmt.Errorf("--ext: %w", err)
	}
	if v.Group != "" {
		m.ConversationType, m.ConversationId = rousev1.ConversationType_CONVERSATION_TYPE_GROUP, v.Group
	}
	if v.Call {
		m.Class = rousev1.MessageClass_MESSAGE_CLASS_CALL
	}
	if v.TTL != 0 {
		m.Ttl = durationpb.New(v.TTL)
	}
	if v.Badge >= 0 {
		n := uint32(v.Badge)
		m.Badge = &n
	}
	return m, nil
}

// wait shows the outcomes of the message once all of them have ended.
func (v *sendVerb) wait(c *call, s *rpc.Services, id string) error {
	ctx, cancel := context.WithTimeout(c.ctx, v.Timeout)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for last := (*rousev1.ListOutcomesResponse)(nil); ; {
		r, err := v.look(ctx, s, id)
		switch {
		case err == nil && !slices.ContainsFunc(r.GetOutcomes(), pending):
			return v.show(c, r)
		case err == nil:
			last = r
		case ctx.Err() == nil:
			return v.explain(err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return errors.Join(v.show(c, last),
				fmt.Errorf("not all outcomes have ended after %s; look again with: rouse outcomes USER --message %s", v.Timeout, id))
		}
	}
}

// look asks for the outcomes of all recipients.
func (v *sendVerb) look(ctx context.Context, s *rpc.Services, id string) (*rousev1.ListOutcomesResponse, error) {
	all := &rousev1.ListOutcomesResponse{}
	for _, u := range v.Users {
		r, err := s.User.ListOutcomes(ctx, &rousev1.ListOutcomesRequest{UserId: u, MessageId: id})
		if err != nil {
			return nil, err
		}
		all.Outcomes = append(all.Outcomes, r.GetOutcomes()...)
	}
	return all, nil
}

func (v *sendVerb) show(c *call, r *rousev1.ListOutcomesResponse) error {
	if v.JSON {
		return c.json(r)
	}
	return c.outcomes(r.GetOutcomes())
}

func pending(o *rousev1.Outcome) bool {
	return o.GetStatus() == rousev1.OutcomeStatus_OUTCOME_STATUS_PENDING
}
