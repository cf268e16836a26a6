package vivo

import (
	"context"
	"errors"

	"github.com/rouse-im/rouse/vendors"
)

var _ vendors.Validator = (*Sender)(nil)

// Validate asks for an access token, which vivo gives to those alone who have
// the secret.
func (s *Sender) Validate(ctx context.Context) (string, vendors.Result, error) {
	const asked = "access token for the app id, key and secret"
	_, err := s.bearers.Get(ctx)
	if refused, ok := errors.AsType[*refusedError](err); ok {
		return asked, refused.result, nil
	}
	if err != nil {
		return asked, vendors.Result{}, err
	}
	return asked, vendors.Result{Outcome: vendors.Accepted}, nil
}
