package oppo

import (
	"errors"
	"fmt"
	"strings"

	"github.com/rouse-im/rouse/vendors"
	"github.com/rouse-im/rouse/vendors/callback"
)

// receiptKinds are the events of receipts (OPPO PUSH server API, "Callback").
// Getui knows of two more, of which the names are not known: the app's daily
// limit, and hours in which nothing is shown.
var receiptKinds = map[string]vendors.ReceiptKind{
	"push_arrive":      vendors.ReceiptDelivered, // to OPPO's client on the device
	"regid_invalid":    vendors.ReceiptInvalid,   // uninstalled, unregistered, or 30 days offline
	"user_daily_limit": vendors.ReceiptQuota,     // of the app on this device
}

// event is what became of one message for tokens that are comma-joined.
type event struct {
	MessageID callback.Scalar `json:"messageId"`
	Tokens    callback.Scalar `json:"registrationIds"`
	Time      callback.Scalar `json:"eventTime"`
	Param     callback.Scalar `json:"param"`
	Type      callback.Scalar `json:"eventType"`
}

// Receipts reads a request to ReceiptURL: a JSON array of events. OPPO does not
// sign it.
func (c Config) Receipts(r vendors.ReceiptRequest) ([]vendors.Receipt, error) {
	var events []event
	if !callback.Decode(r.Body, &events) || events == nil {
		return nil, errors.New("oppo: receipt: not a JSON array")
	}
	list := callback.NewList(ValidToken)
	for _, e := range events {
		for token := range strings.SplitSeq(string(e.Tokens), ",") {
			list.Add(vendors.Receipt{
				Kind: callback.Kind(receiptKinds, string(e.Type)), Token: strings.TrimSpace(token),
				PushID: string(e.Param), VendorID: string(e.MessageID), Code: string(e.Type), At: e.Time.Time(),
			})
		}
	}
	receipts, err := list.Receipts()
	if err != nil {
		return nil, fmt.Errorf("oppo: receipt: %w", err)
	}
	return receipts, nil
}
