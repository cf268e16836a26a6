package fcm

import (
	"context"

	"github.com/rouse-im/rouse/vendors"
)

var _ vendors.Validator = (*Sender)(nil)

// Validate asks for an access token and for the check of a message that is not
// sent (validate_only), to a token that cannot exist.
func (s *Sender) Validate(ctx context.Context) (string, vendors.Result, error) {
	const asked = "access token, and validate_only to a registration token that cannot exist: INVALID_ARGUMENT about the token means that the project takes pushes of this account"
	r, err := s.ask(ctx, vendors.Impossible("rouse-no-device"), s.client.SendDryRun)
	return asked, r.OfCredential(), err
}
