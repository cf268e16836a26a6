package gateway

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	actorv1 "github.com/rouse-im/rouse/api/rouse/actor/v1"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/internal/catalog"
)

// led serves AdminService: calls that change the catalogue are executed by admin
// on the node that leads the meta group, the others by admin here.
type led struct{ admin }

// CreateApp is executed by the leader.
func (s *led) CreateApp(ctx context.Context, r *rousev1.CreateAppRequest) (*rousev1.CreateAppResponse, error) {
	return forward(ctx, s.Gateway, rousev1.AdminService_CreateApp_FullMethodName, r, s.admin.CreateApp)
}

// UpdateApp is executed by the leader.
func (s *led) UpdateApp(ctx context.Context, r *rousev1.UpdateAppRequest) (*rousev1.UpdateAppResponse, error) {
	return forward(ctx, s.Gateway, rousev1.AdminService_UpdateApp_FullMethodName, r, s.admin.UpdateApp)
}

// PutCredential is executed by the leader.
func (s *led) PutCredential(ctx context.Context, r *rousev1.PutCredentialRequest) (*rousev1.PutCredentialResponse, error) {
	return forward(ctx, s.Gateway, rousev1.AdminService_PutCredential_FullMethodName, r, s.admin.PutCredential)
}

// DeleteCredential is executed by the leader.
func (s *led) DeleteCredential(ctx context.Context, r *rousev1.DeleteCredentialRequest) (*rousev1.DeleteCredentialResponse, error) {
	return forward(ctx, s.Gateway, rousev1.AdminService_DeleteCredential_FullMethodName, r, s.admin.DeleteCredential)
}

// PutTemplate is executed by the leader.
func (s *led) PutTemplate(ctx context.Context, r *rousev1.PutTemplateRequest) (*rousev1.PutTemplateResponse, error) {
	return forward(ctx, s.Gateway, rousev1.AdminService_PutTemplate_FullMethodName, r, s.admin.PutTemplate)
}

// DeleteTemplate is executed by the leader.
func (s *led) DeleteTemplate(ctx context.Context, r *rousev1.DeleteTemplateRequest) (*rousev1.DeleteTemplateResponse, error) {
	return forward(ctx, s.Gateway, rousev1.AdminService_DeleteTemplate_FullMethodName, r, s.admin.DeleteTemplate)
}

// PutWebhooks is executed by the leader.
func (s *led) PutWebhooks(ctx context.Context, r *rousev1.PutWebhooksRequest) (*rousev1.PutWebhooksResponse, error) {
	return forward(ctx, s.Gateway, rousev1.AdminService_PutWebhooks_FullMethodName, r, s.admin.PutWebhooks)
}

// CreateApiKey is executed by the leader.
func (s *led) CreateApiKey(ctx context.Context, r *rousev1.CreateApiKeyRequest) (*rousev1.CreateApiKeyResponse, error) {
	return forward(ctx, s.Gateway, rousev1.AdminService_CreateApiKey_FullMethodName, r, s.admin.CreateApiKey)
}

// RevokeApiKey is executed by the leader.
func (s *led) RevokeApiKey(ctx context.Context, r *rousev1.RevokeApiKeyRequest) (*rousev1.RevokeApiKeyResponse, error) {
	return forward(ctx, s.Gateway, rousev1.AdminService_RevokeApiKey_FullMethodName, r, s.admin.RevokeApiKey)
}

// pointer is a pointer to M that is a message.
type pointer[M any] interface {
	*M
	proto.Message
}

// forward brings an admitted and checked call to the leader, in the name of its
// caller.
func forward[Q, R any, PQ pointer[Q], PR pointer[R]](ctx context.Context, g *Gateway, method string, request PQ, here func(context.Context, PQ) (PR, error)) (PR, error) {
	if g.Forward == nil {
		return here(ctx, request)
	}
	body, err := proto.Marshal(request)
	if err != nil {
		return nil, fmt.Errorf("gateway: encoding a call for the leader: %w", err)
	}
	who := callerOf(ctx)
	b, err := g.Forward(ctx, &actorv1.AdminCall{
		Method: method, Request: body, KeyId: who.KeyID, Role: int32(who.Role), KeyApp: who.App, App: who.app,
	})
	if err != nil {
		return nil, err
	}
	response := PR(new(R))
	if err := proto.Unmarshal(b, response); err != nil {
		return nil, fmt.Errorf("gateway: the leader's answer to %s cannot be read: %w", method, err)
	}
	return response, nil
}

// Execute carries out a call that the gateway of a node has admitted, as if it
// had come in here, and returns the encoded response. Its errors are for
// Complaint, after the caller has looked for those of the store.
func (g *Gateway) Execute(ctx context.Context, call *actorv1.AdminCall) ([]byte, error) {
	s := &admin{Gateway: g}
	run, ok := map[string]func(context.Context, *Gateway, []byte) ([]byte, error){
		rousev1.AdminService_CreateApp_FullMethodName:        executed(s.CreateApp),
		rousev1.AdminService_UpdateApp_FullMethodName:        executed(s.UpdateApp),
		rousev1.AdminService_PutCredential_FullMethodName:    executed(s.PutCredential),
		rousev1.AdminService_DeleteCredential_FullMethodName: executed(s.DeleteCredential),
		rousev1.AdminService_PutTemplate_FullMethodName:      executed(s.PutTemplate),
		rousev1.AdminService_DeleteTemplate_FullMethodName:   executed(s.DeleteTemplate),
		rousev1.AdminService_PutWebhooks_FullMethodName:      executed(s.PutWebhooks),
		rousev1.AdminService_CreateApiKey_FullMethodName:     executed(s.CreateApiKey),
		rousev1.AdminService_RevokeApiKey_FullMethodName:     executed(s.RevokeApiKey),
	}[call.GetMethod()]
	who := caller{Principal: catalog.Principal{KeyID: call.GetKeyId(), App: call.GetKeyApp(), Role: rousev1.Role(call.GetRole())}, app: call.GetApp()}
	access := methods[call.GetMethod()]
	switch {
	case !ok || !access.leads:
		return nil, refuse(rousev1.ErrorCode_ERROR_CODE_NOT_FOUND, "the leader of the cluster has no such method; are all nodes of the same version?")
	case !access.roles.has(who.Role):
		return nil, refuse(rousev1.ErrorCode_ERROR_CODE_PERMISSION_DENIED, "a key of role %s may not call %s; use another key", who.Role, call.GetMethod())
	case access.fills && g.Writable(time.Now()) != nil:
		return nil, &refusal{g.diskFull}
	}
	return run(context.WithValue(ctx, callerKey{}, who), g, call.GetRequest())
}

func executed[Q, R any, PQ pointer[Q], PR pointer[R]](do func(context.Context, PQ) (PR, error)) func(context.Context, *Gateway, []byte) ([]byte, error) {
	return func(ctx context.Context, g *Gateway, body []byte) ([]byte, error) {
		request := PQ(new(Q))
		if err := proto.Unmarshal(body, request); err != nil {
			return nil, fmt.Errorf("gateway: a call from another node cannot be read: %w", err)
		}
		if wrong := g.check(request); wrong != nil {
			return nil, &refusal{wrong}
		}
		response, err := do(ctx, request)
		if err != nil {
			return nil, err
		}
		return proto.Marshal(response)
	}
}

// Complaint is what a caller may be shown of an error; a fault of the server is
// logged.
func (g *Gateway) Complaint(ctx context.Context, err error) *rousev1.Error {
	r, known := asRefusal(err)
	if !known {
		g.Logger.ErrorContext(ctx, "call failed", "error", err)
	}
	return r.detail
}
