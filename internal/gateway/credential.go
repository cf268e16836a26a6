package gateway

import (
	"cmp"
	"context"
	"time"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/internal/catalog"
)

const (
	// maxProbes bounds the validations and tests under way; more are refused.
	maxProbes = 4
	// testsPerSecond and testBurst bound the tests with one API key.
	testsPerSecond, testBurst = 1, 10
)

// PutCredential creates or replaces a credential, after the vendor took it if
// the caller wants that.
func (s *admin) PutCredential(ctx context.Context, r *rousev1.PutCredentialRequest) (*rousev1.PutCredentialResponse, error) {
	who := callerOf(ctx)
	id, err := who.scope(r.GetAppId())
	if err != nil {
		return nil, err
	}
	c := r.GetCredential()
	if err := s.mayRoute(who, id, c); err != nil {
		return nil, err
	}
	if r.GetValidate() {
		if err := s.validated(ctx, c); err != nil {
			return nil, err
		}
	}
	put := catalog.Put{Keep: r.GetKeepPrevious().AsDuration(), Now: time.Now(), MayBan: who.Role == rousev1.Role_ROLE_OPERATOR}
	if err := s.Catalog.PutCredential(id, c, put); err != nil {
		return nil, err
	}
	return &rousev1.PutCredentialResponse{Credential: catalog.Redacted(c)}, nil
}

// validated refuses what the vendor refuses, and what it says nothing about.
func (s *admin) validated(ctx context.Context, c *rousev1.Credential) error {
	v, err := s.probe(ctx, c)
	if err != nil {
		return err
	}
	switch v.GetState() {
	case rousev1.CredentialState_CREDENTIAL_STATE_VALID, rousev1.CredentialState_CREDENTIAL_STATE_OUT_OF_QUOTA:
		return nil
	case rousev1.CredentialState_CREDENTIAL_STATE_INVALID:
		return refuse(rousev1.ErrorCode_ERROR_CODE_CREDENTIAL_REJECTED, "credential %q: the vendor refuses it (%s) and nothing was stored; correct its secrets and ids, ValidateCredential shows the vendor's words", c.GetName(), v.GetVendorCode())
	default:
		return refuse(rousev1.ErrorCode_ERROR_CODE_UNAVAILABLE, "credential %q: the vendor said neither yes nor no (%s) and nothing was stored; try again, or put it without validate", c.GetName(), cmp.Or(v.GetVendorCode(), v.GetReason().String()))
	}
}

func (s *admin) probe(ctx context.Context, c *rousev1.Credential) (*rousev1.ValidateCredentialResponse, error) {
	done, err := s.beginProbe()
	if err != nil {
		return nil, err
	}
	defer done()
	return s.Gateway.ValidateCredential(ctx, c)
}

// beginProbe takes one of the places for calls to vendors.
func (g *Gateway) beginProbe() (done func(), err error) {
	select {
	case g.probes <- struct{}{}:
		return func() { <-g.probes }, nil
	default:
		return nil, refuse(rousev1.ErrorCode_ERROR_CODE_OVERLOADED, "%d credentials are being validated or tested; try again in a few seconds", maxProbes)
	}
}

// ValidateCredential asks the vendor whether it takes a credential.
func (s *admin) ValidateCredential(ctx context.Context, r *rousev1.ValidateCredentialRequest) (*rousev1.ValidateCredentialResponse, error) {
	if r.GetCredential() != nil {
		who := callerOf(ctx)
		app, err := who.scope(r.GetAppId())
		if err != nil {
			return nil, err
		}
		if err := s.mayRoute(who, app, r.GetCredential()); err != nil {
			return nil, err
		}
		return s.probe(ctx, r.GetCredential())
	}
	_, c, err := s.credential(ctx, r.GetAppId(), r.GetName())
	if err != nil {
		return nil, err
	}
	return s.probe(ctx, c)
}

// TestCredential sends one notification to one token.
func (s *admin) TestCredential(ctx context.Context, r *rousev1.TestCredentialRequest) (*rousev1.TestCredentialResponse, error) {
	_, c, err := s.credential(ctx, r.GetAppId(), r.GetName())
	if err != nil {
		return nil, err
	}
	if c.GetBanned() {
		return nil, refuse(rousev1.ErrorCode_ERROR_CODE_PERMISSION_DENIED, "credential %q is banned; nothing is sent through it", c.GetName())
	}
	if err := s.CheckToken(c, r.GetToken()); err != nil {
		return nil, refuse(rousev1.ErrorCode_ERROR_CODE_INVALID_TOKEN, "token: not one of credential %q: %s", c.GetName(), err)
	}
	if !s.tests.allow(callerOf(ctx).KeyID, time.Now()) {
		return nil, &refusal{s.tests.refusal}
	}
	done, err := s.beginProbe()
	if err != nil {
		return nil, err
	}
	defer done()
	return s.Gateway.TestCredential(ctx, c, r)
}

// GetCredentialStatus tells whether pushes can go through a credential.
func (s *admin) GetCredentialStatus(ctx context.Context, r *rousev1.GetCredentialStatusRequest) (*rousev1.GetCredentialStatusResponse, error) {
	app, c, err := s.credential(ctx, r.GetAppId(), r.GetName())
	if err != nil {
		return nil, err
	}
	status, missing := s.CredentialStatus(ctx, app, c)
	if callerOf(ctx).Role == rousev1.Role_ROLE_VIEWER {
		status.ReceiptPath = "" // who knows it can send receipts
	}
	return &rousev1.GetCredentialStatusResponse{Status: status, MissingNodes: missing}, nil
}

// ListCredentials tells the credentials of an app without their secrets.
func (s *admin) ListCredentials(ctx context.Context, r *rousev1.ListCredentialsRequest) (*rousev1.ListCredentialsResponse, error) {
	app, err := s.app(ctx, r.GetAppId())
	if err != nil {
		return nil, err
	}
	response := &rousev1.ListCredentialsResponse{}
	for _, name := range app.CredentialNames() {
		credential, _ := app.Credential(name)
		response.Credentials = append(response.Credentials, catalog.Redacted(credential))
	}
	return response, nil
}

// DeleteCredential removes a credential.
func (s *admin) DeleteCredential(ctx context.Context, r *rousev1.DeleteCredentialRequest) (*rousev1.DeleteCredentialResponse, error) {
	who := callerOf(ctx)
	app, err := who.scope(r.GetAppId())
	if err != nil {
		return nil, err
	}
	if err := s.Catalog.DeleteCredential(app, r.GetName(), who.Role == rousev1.Role_ROLE_OPERATOR); err != nil {
		return nil, err
	}
	return &rousev1.DeleteCredentialResponse{}, nil
}

// credential finds a stored credential with its secrets.
func (s *admin) credential(ctx context.Context, named, name string) (*catalog.App, *rousev1.Credential, error) {
	app, err := s.app(ctx, named)
	if err != nil {
		return nil, nil, err
	}
	c, ok := app.Credential(name)
	if !ok {
		return nil, nil, refuse(rousev1.ErrorCode_ERROR_CODE_NOT_FOUND, "name: %q is no credential of app %q; %s", name, app.ID(), known(app.CredentialNames()))
	}
	return app, c, nil
}
