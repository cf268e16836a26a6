package huawei

import (
	"context"
	"errors"
	"time"

	"github.com/rouse-im/rouse/vendors"
)

var _ vendors.Validator = (*Sender)(nil)

// Validate asks HMS for an access token, which it gives to those alone who have
// the secret. HarmonyOS takes tokens that the account signs itself, so it is
// sent a test message, to a token that cannot exist.
func (s *Sender) Validate(ctx context.Context) (string, vendors.Result, error) {
	if s.config.API == Harmony {
		const asked = "test message to a push token that cannot exist: 80300007 means that the service account is accepted"
		test, n := s.config, vendors.Impossible("rouse-no-device")
		test.TestMessages = true
		body, _ := test.fit(s.write, n, []string{n.Token}, time.Now()) // it is short
		results, err := s.deliver(ctx, body, []string{n.Token})
		if err != nil {
			return asked, vendors.Result{}, err
		}
		return asked, results[0].OfCredential(), nil
	}
	const asked = "access token for the app id and secret"
	_, err := s.bearers.Get(ctx)
	if refused, ok := errors.AsType[*refusedError](err); ok {
		return asked, refused.result, nil
	}
	if err != nil {
		return asked, vendors.Result{}, err
	}
	return asked, vendors.Result{Outcome: vendors.Accepted}, nil
}
