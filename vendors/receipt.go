package vendors

import (
	"errors"
	"net/http"
	"time"
)

// Receipt is what a vendor reports of a push after it took it, usually long
// after. It is not in order, may come twice, and may never come.
type Receipt struct {
	Kind ReceiptKind
	// Token of the device.
	Token string
	// PushID as the vendor gives it back; empty if it does not. Of a push that
	// went in a batch it is that of the batch's first push.
	PushID string
	// VendorID is the vendor's message id, as in Result; at most 128 bytes.
	VendorID string
	// Code is the vendor's own, at most 64 bytes.
	Code string
	// At is when it happened by the vendor's clock; zero = not said.
	At time.Time
	// NewToken is set with ReceiptReplaced.
	NewToken string
}

// ReceiptKind classes receipts of all vendors.
type ReceiptKind uint8

// Kinds of receipts.
const (
	ReceiptDelivered ReceiptKind = iota + 1
	ReceiptClicked
	// ReceiptInvalid: the token is dead.
	ReceiptInvalid
	// ReceiptReplaced: the token is dead, and NewToken replaces it.
	ReceiptReplaced
	// ReceiptQuota: the device, or the app, had its pushes of the day.
	ReceiptQuota
	// ReceiptMuted: notifications of the app are switched off on the device.
	ReceiptMuted
	// ReceiptNotShown: any other reason why the push was not shown, known or not.
	ReceiptNotShown
)

// String names a kind for metrics and logs; the set is closed.
func (k ReceiptKind) String() string {
	switch k {
	case ReceiptDelivered:
		return "delivered"
	case ReceiptClicked:
		return "clicked"
	case ReceiptInvalid:
		return "invalid"
	case ReceiptReplaced:
		return "replaced"
	case ReceiptQuota:
		return "quota"
	case ReceiptMuted:
		return "muted"
	case ReceiptNotShown:
		return "not_shown"
	}
	return "unknown"
}

// ReceiptRequest is an HTTP request of a vendor to the address of a credential's
// receipts.
type ReceiptRequest struct {
	Header http.Header
	// Body is bounded by whoever read it.
	Body []byte
	Now  time.Time
}

// ErrReceiptForged tells that a receipt request lacks the vendor's own proof,
// or that the proof is wrong or too old.
var ErrReceiptForged = errors.New("vendors: receipt is not the vendor's")
