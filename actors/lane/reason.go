package lane

import (
	"context"
	"errors"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/vendors"
)

// ReasonOf is why a push ends, or is repeated, with this outcome. An outcome
// that is not known here may pass.
func ReasonOf(o vendors.Outcome) rousev1.Reason {
	switch o {
	case vendors.Accepted, vendors.TokenReplaced:
		return rousev1.Reason_REASON_DELIVERED_TO_VENDOR
	case vendors.TokenInvalid:
		return rousev1.Reason_REASON_TOKEN_INVALID
	case vendors.Rejected:
		return rousev1.Reason_REASON_PAYLOAD_REJECTED
	case vendors.Throttled:
		return rousev1.Reason_REASON_VENDOR_THROTTLED
	case vendors.QuotaExhausted:
		return rousev1.Reason_REASON_VENDOR_QUOTA
	case vendors.CredentialBad:
		return rousev1.Reason_REASON_CREDENTIAL_REJECTED
	case vendors.Transient:
	}
	return rousev1.Reason_REASON_VENDOR_UNAVAILABLE
}

// ReasonOfSilence is why a push is repeated whose Send failed with err.
func ReasonOfSilence(err error) rousev1.Reason { return silenceOf(err).obstacle().reason }

// silenceOf is the way in which there was no answer.
func silenceOf(err error) answerKind {
	if errors.Is(err, context.DeadlineExceeded) {
		return timedOut
	}
	return unanswered
}
