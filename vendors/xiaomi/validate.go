package xiaomi

import (
	"context"

	"github.com/rouse-im/rouse/vendors"
)

var _ vendors.Validator = (*Sender)(nil)

// Validate sends to a registration id that cannot exist: Xiaomi signs in with each
// request, and looks at secret, package and channel first.
func (s *Sender) Validate(ctx context.Context) (string, vendors.Result, error) {
	const asked = "push to a registration id that cannot exist: 20301 or bad_regids means that secret, package and channel are accepted"
	r, err := s.Send(ctx, vendors.Impossible("rouse-no-device"))
	if r.Code == codeNoTarget || r.Code == codeNoDevice {
		r.Outcome = vendors.TokenInvalid // of this one, whatever Xiaomi's reason is
	}
	return asked, r.OfCredential(), err
}
