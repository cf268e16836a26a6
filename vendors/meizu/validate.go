package meizu

import (
	"context"

	"github.com/rouse-im/rouse/vendors"
)

var _ vendors.Validator = (*Sender)(nil)

// Validate sends to a push id that cannot exist: Meizu signs in with each
// request, and looks at app id and signature first.
func (s *Sender) Validate(ctx context.Context) (string, vendors.Result, error) {
	const asked = "push to a push id that cannot exist: 110003 means that app id and secret are accepted"
	r, err := s.Send(ctx, vendors.Impossible("rouse-no-device"))
	return asked, r.OfCredential(), err
}
