package gateway

import (
	"context"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

// settings serves SettingsService on gRPC and Connect.
type settings struct {
	rousev1.UnimplementedSettingsServiceServer
	*Gateway
}

// SetUserSettings changes what holds for all conversations of a user.
func (s *settings) SetUserSettings(ctx context.Context, r *rousev1.SetUserSettingsRequest) (*rousev1.SetUserSettingsResponse, error) {
	return ask[*rousev1.SetUserSettingsResponse](ctx, s.Gateway, r)
}

// GetUserSettings tells it.
func (s *settings) GetUserSettings(ctx context.Context, r *rousev1.GetUserSettingsRequest) (*rousev1.GetUserSettingsResponse, error) {
	return ask[*rousev1.GetUserSettingsResponse](ctx, s.Gateway, r)
}

// SetConversationSettings changes what holds for one conversation.
func (s *settings) SetConversationSettings(ctx context.Context, r *rousev1.SetConversationSettingsRequest) (*rousev1.SetConversationSettingsResponse, error) {
	return ask[*rousev1.SetConversationSettingsResponse](ctx, s.Gateway, r)
}

// GetConversationSettings tells it for the conversations that are named.
func (s *settings) GetConversationSettings(ctx context.Context, r *rousev1.GetConversationSettingsRequest) (*rousev1.GetConversationSettingsResponse, error) {
	return ask[*rousev1.GetConversationSettingsResponse](ctx, s.Gateway, r)
}

// ListConversationSettings tells it for all, a page at a time.
func (s *settings) ListConversationSettings(ctx context.Context, r *rousev1.ListConversationSettingsRequest) (*rousev1.ListConversationSettingsResponse, error) {
	return ask[*rousev1.ListConversationSettingsResponse](ctx, s.Gateway, r)
}
