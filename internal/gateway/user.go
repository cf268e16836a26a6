package gateway

import (
	"context"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

// user serves UserService on gRPC and Connect.
type user struct {
	rousev1.UnimplementedUserServiceServer
	*Gateway
}

// GetOfflineCount tells the offline counts of a user.
func (s *user) GetOfflineCount(ctx context.Context, r *rousev1.GetOfflineCountRequest) (*rousev1.GetOfflineCountResponse, error) {
	return ask[*rousev1.GetOfflineCountResponse](ctx, s.Gateway, r)
}

// SetBadge sets what a device's badge counts from.
func (s *user) SetBadge(ctx context.Context, r *rousev1.SetBadgeRequest) (*rousev1.SetBadgeResponse, error) {
	return ask[*rousev1.SetBadgeResponse](ctx, s.Gateway, r)
}

// SetUserPolicy overrides the app's multi-device policy.
func (s *user) SetUserPolicy(ctx context.Context, r *rousev1.SetUserPolicyRequest) (*rousev1.SetUserPolicyResponse, error) {
	return ask[*rousev1.SetUserPolicyResponse](ctx, s.Gateway, r)
}

// BanUser keeps a user from being woken.
func (s *user) BanUser(ctx context.Context, r *rousev1.BanUserRequest) (*rousev1.BanUserResponse, error) {
	return ask[*rousev1.BanUserResponse](ctx, s.Gateway, r)
}

// ListOutcomes tells what became of a user's messages.
func (s *user) ListOutcomes(ctx context.Context, r *rousev1.ListOutcomesRequest) (*rousev1.ListOutcomesResponse, error) {
	return ask[*rousev1.ListOutcomesResponse](ctx, s.Gateway, r)
}

// EraseUser removes all that is kept for a user.
func (s *user) EraseUser(ctx context.Context, r *rousev1.EraseUserRequest) (*rousev1.EraseUserResponse, error) {
	return ask[*rousev1.EraseUserResponse](ctx, s.Gateway, r)
}
