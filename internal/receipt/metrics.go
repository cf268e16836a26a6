package receipt

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// What became of a request; the set is closed.
const (
	requestTaken     = "taken"
	requestUnknown   = "unknown_address"
	requestForm      = "unsupported_form"
	requestTooLarge  = "too_large"
	requestUnread    = "unread" // the body did not come
	requestForged    = "forged"
	requestMalformed = "malformed"
	requestBusy      = "busy"
)

// What became of a receipt; the set is closed.
const (
	receiptKept      = "kept"
	receiptDuplicate = "duplicate"
	receiptNoToken   = "unknown_token"
	receiptNoPush    = "unknown_push"
	receiptFailed    = "failed"  // the log says why; a repeat would fail, too
	receiptRefused   = "refused" // for now
)

// metrics of receipts. Labels: vendor is the contract's name of one, or empty
// for an unknown address; kind is that of a vendors.ReceiptKind.
type metrics struct {
	requests, receipts *prometheus.CounterVec
}

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rouse_receipt_requests_total", Help: "Requests of vendors with receipts, by what became of them.",
		}, []string{"vendor", "result"}),
		receipts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rouse_receipts_total", Help: "Receipts of vendors, by what became of them.",
		}, []string{"vendor", "kind", "result"}),
	}
	return m, errors.Join(r.Register(m.requests), r.Register(m.receipts))
}
