package gateway

import (
	"context"

	"google.golang.org/protobuf/proto"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/internal/catalog"
)

// PutWebhooks replaces the addresses that this server calls.
func (s *admin) PutWebhooks(ctx context.Context, r *rousev1.PutWebhooksRequest) (*rousev1.PutWebhooksResponse, error) {
	who := callerOf(ctx)
	app, err := who.scope(r.GetAppId())
	if err != nil {
		return nil, err
	}
	if r.GetWebhooks().GetAllowPrivate() && who.Role != rousev1.Role_ROLE_OPERATOR {
		return nil, refuse(rousev1.ErrorCode_ERROR_CODE_PERMISSION_DENIED, "webhooks.allow_private: only an operator key may allow private addresses")
	}
	hooks := proto.CloneOf(r.GetWebhooks())
	if known, ok := s.Catalog.App(app); ok && hooks.GetSecret() == "" {
		hooks.Secret = known.Webhooks().GetSecret()
	}
	if err := s.CheckWebhooks(hooks); err != nil {
		return nil, refuse(rousev1.ErrorCode_ERROR_CODE_INVALID_ARGUMENT, "%s", err)
	}
	if err := s.Catalog.PutWebhooks(app, r.GetWebhooks()); err != nil {
		return nil, err
	}
	return &rousev1.PutWebhooksResponse{Webhooks: catalog.Redacted(r.GetWebhooks())}, nil
}

// GetWebhooks tells the addresses that this server calls.
func (s *admin) GetWebhooks(ctx context.Context, r *rousev1.GetWebhooksRequest) (*rousev1.GetWebhooksResponse, error) {
	app, err := s.app(ctx, r.GetAppId())
	if err != nil {
		return nil, err
	}
	queued, missing, err := s.WebhooksQueued(ctx, app.ID())
	if err != nil {
		return nil, err
	}
	return &rousev1.GetWebhooksResponse{Webhooks: catalog.Redacted(app.Webhooks()), Queued: queued, MissingNodes: missing}, nil
}
