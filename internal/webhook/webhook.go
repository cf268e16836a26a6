// Package webhook calls addresses of apps: it tells outcomes from a durable
// queue, and asks before a push.
//
// What is to be told is written by a user's actor in the same batch as the
// outcome itself, so neither exists without the other. A Teller reads it from
// the store, calls until it is taken, and deletes it. Calls are signed, follow
// no redirect, and reach no private network unless the operator allows it.
package webhook

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"net/url"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

// Headers of a call.
const (
	HeaderTimestamp = "Rouse-Timestamp" // unix seconds
	HeaderSignature = "Rouse-Signature" // Sign of them
	HeaderDelivery  = "Rouse-Delivery"  // differs between calls, also of the same events
)

// Sign is the signature of a body that is sent at a time (unix seconds, as in
// the header): "v1=" and the hexadecimal HMAC-SHA256 of the time, a dot and the
// body. Receivers compare it in constant time and refuse old times.
func Sign(secret, timestamp string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(timestamp)) // hashes take everything
	mac.Write([]byte{'.'})
	mac.Write(body)
	return "v1=" + hex.EncodeToString(mac.Sum(nil))
}

// minSecret is the least length of a secret, in bytes.
const minSecret = 16

// Validate tells why webhooks cannot be used, by field. Its error holds no secret.
func Validate(w *rousev1.Webhooks) error {
	for _, f := range []struct{ field, address string }{
		{"outcome_url", w.GetOutcomeUrl()}, {"before_push_url", w.GetBeforePushUrl()},
	} {
		if f.address == "" {
			continue
		}
		if err := validateAddress(f.address, w.GetAllowPrivate()); err != nil {
			return fmt.Errorf("webhooks.%s: %w", f.field, err)
		}
		if len(w.GetSecret()) < minSecret {
			return fmt.Errorf("webhooks.secret: %d bytes, want at least %d: receivers need it to know that a call is from this server", len(w.GetSecret()), minSecret)
		}
	}
	return nil
}

func validateAddress(address string, private bool) error {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Host == "" || u.Opaque != "":
		return errors.New("is no address; want https://host/path")
	case u.User != nil:
		return errors.New("holds a user name or password; the signature takes their place")
	case u.Scheme == "https":
		return nil
	case u.Scheme == "http" && private && loopback(u.Hostname()):
		return nil
	}
	return errors.New("wants https; http is taken for loopback addresses alone, with allow_private")
}

func loopback(host string) bool {
	at, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && at.IsLoopback()
}

// Hooks finds the webhooks of an app; nil when there is no such app.
type Hooks func(app string) *rousev1.Webhooks

// errStatus is an answer that does not take the events.
type errStatus int

func (e errStatus) Error() string { return fmt.Sprintf("the receiver answered with status %d", int(e)) }

// poison tells that the receiver will not take what was sent, ever.
func poison(err error) bool {
	var s errStatus
	if !errors.As(err, &s) || s < 400 || s >= 500 {
		return false
	}
	return s != 401 && s != 403 && s != 404 && s != 408 && s != 425 && s != 429
}

// canceled tells that the caller gave up.
func canceled(err error) bool { return errors.Is(err, context.Canceled) }
