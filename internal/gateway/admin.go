package gateway

import (
	"context"
	"time"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/internal/catalog"
)

// admin serves AdminService on gRPC and Connect.
type admin struct {
	rousev1.UnimplementedAdminServiceServer
	*Gateway
}

// CreateApp makes a new app.
func (s *admin) CreateApp(_ context.Context, r *rousev1.CreateAppRequest) (*rousev1.CreateAppResponse, error) {
	app, err := s.Catalog.CreateApp(r.GetAppId(), r.GetDisplayName(), r.GetSettings(), time.Now())
	if err != nil {
		return nil, err
	}
	return &rousev1.CreateAppResponse{App: app.Info()}, nil
}

// UpdateApp replaces the settings of an app.
func (s *admin) UpdateApp(ctx context.Context, r *rousev1.UpdateAppRequest) (*rousev1.UpdateAppResponse, error) {
	id, err := callerOf(ctx).scope(r.GetAppId())
	if err != nil {
		return nil, err
	}
	app, err := s.Catalog.UpdateApp(id, r.GetDisplayName(), r.GetSettings())
	if err != nil {
		return nil, err
	}
	return &rousev1.UpdateAppResponse{App: app.Info()}, nil
}

// GetApp tells the settings of an app.
func (s *admin) GetApp(ctx context.Context, r *rousev1.GetAppRequest) (*rousev1.GetAppResponse, error) {
	app, err := s.app(ctx, r.GetAppId())
	if err != nil {
		return nil, err
	}
	return &rousev1.GetAppResponse{App: app.Info()}, nil
}

// ListApps tells all apps that the key may see.
func (s *admin) ListApps(ctx context.Context, _ *rousev1.ListAppsRequest) (*rousev1.ListAppsResponse, error) {
	response := &rousev1.ListAppsResponse{}
	if callerOf(ctx).app != "" {
		app, err := s.app(ctx, "")
		if err != nil {
			return nil, err
		}
		response.Apps = append(response.Apps, app.Info())
		return response, nil
	}
	for _, app := range s.Catalog.Apps() {
		response.Apps = append(response.Apps, app.Info())
	}
	return response, nil
}

// CreateApiKey makes a key; nobody can make one that may do more than his own.
func (s *admin) CreateApiKey(ctx context.Context, r *rousev1.CreateApiKeyRequest) (*rousev1.CreateApiKeyResponse, error) {
	who := callerOf(ctx)
	if r.GetRole() == rousev1.Role_ROLE_OPERATOR && who.Role != rousev1.Role_ROLE_OPERATOR {
		return nil, refuse(rousev1.ErrorCode_ERROR_CODE_PERMISSION_DENIED, "only an operator key may create operator keys")
	}
	app, err := who.keyScope(r.GetAppId())
	if err != nil {
		return nil, err
	}
	key, secret, err := s.Catalog.CreateKey(app, r.GetRole(), r.GetNote(), time.Now())
	if err != nil {
		return nil, err
	}
	return &rousev1.CreateApiKeyResponse{Key: key, Secret: secret}, nil
}

// ListApiKeys tells the public parts of the keys.
func (s *admin) ListApiKeys(ctx context.Context, r *rousev1.ListApiKeysRequest) (*rousev1.ListApiKeysResponse, error) {
	app, err := callerOf(ctx).keyScope(r.GetAppId())
	if err != nil {
		return nil, err
	}
	return &rousev1.ListApiKeysResponse{Keys: s.Catalog.ListKeys(app)}, nil
}

// RevokeApiKey ends a key.
func (s *admin) RevokeApiKey(ctx context.Context, r *rousev1.RevokeApiKeyRequest) (*rousev1.RevokeApiKeyResponse, error) {
	app, err := callerOf(ctx).keyScope(r.GetAppId())
	if err != nil {
		return nil, err
	}
	if err := s.Catalog.RevokeKey(app, r.GetKeyId()); err != nil {
		return nil, err
	}
	return &rousev1.RevokeApiKeyResponse{}, nil
}

// keyScope is scope, but an operator who names no app means the operator keys.
func (who caller) keyScope(named string) (string, error) {
	if named == "" && who.Role == rousev1.Role_ROLE_OPERATOR {
		return who.app, nil
	}
	return who.scope(named)
}

// app finds the app that a request is about.
func (s *admin) app(ctx context.Context, named string) (*catalog.App, error) {
	id, err := callerOf(ctx).scope(named)
	if err != nil {
		return nil, err
	}
	app, ok := s.Catalog.App(id)
	if !ok {
		return nil, refuse(rousev1.ErrorCode_ERROR_CODE_NOT_FOUND, "app %q is not known", id)
	}
	return app, nil
}
