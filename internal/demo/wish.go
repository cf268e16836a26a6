package demo

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/internal/rpc"
)

func (w *world) policy(ctx context.Context, l *Line) error {
	kind, err := rpc.Value[rousev1.MultiDevicePolicy](l.Policy)
	if err != nil {
		return fmt.Errorf("policy: %w", err)
	}
	p := &rousev1.DevicePolicy{Policy: kind}
	if l.Delay > 0 {
		p.AwayDelay = durationpb.New(time.Duration(l.Delay) * time.Second)
	}
	_, err = w.admin.User.SetUserPolicy(ctx, &rousev1.SetUserPolicyRequest{UserId: l.User, Policy: p})
	return err
}

// wish changes what a user wants to be woken by: a mode, or to be left alone
// for a while or all day.
func (w *world) wish(ctx context.Context, l *Line) error {
	mode, err := rpc.Value[rousev1.NotifyMode](l.Mode)
	if err != nil {
		return fmt.Errorf("mode: %w", err)
	}
	var quiet *durationpb.Duration
	if l.Quiet > 0 {
		quiet = durationpb.New(time.Duration(l.Quiet) * time.Second)
	}
	if l.Group != "" {
		r := &rousev1.SetConversationSettingsRequest{
			UserId: l.User, QuietFor: quiet,
			Conversation: &rousev1.ConversationRef{Type: rousev1.ConversationType_CONVERSATION_TYPE_GROUP, Id: l.Group},
		}
		if l.Mode != "" {
			r.Mode = &mode
		}
		_, err = w.admin.Settings.SetConversationSettings(ctx, r)
		return err
	}
	r := &rousev1.SetUserSettingsRequest{UserId: l.User, QuietFor: quiet}
	switch {
	case l.Mode != "":
		r.Settings, r.UpdateMask = &rousev1.UserSettings{Mode: mode}, &fieldmaskpb.FieldMask{Paths: []string{"mode"}}
	case l.AllDay:
		r.Settings = &rousev1.UserSettings{Windows: []*rousev1.QuietWindow{{WholeDay: true, MentionsPass: l.Pass}}}
		r.UpdateMask = &fieldmaskpb.FieldMask{Paths: []string{"windows"}}
	}
	_, err = w.admin.Settings.SetUserSettings(ctx, r)
	return err
}
