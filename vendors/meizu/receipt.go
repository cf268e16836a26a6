package meizu

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/rouse-im/rouse/vendors"
	"github.com/rouse-im/rouse/vendors/callback"
)

// Values of extra.callback.type, which is their sum.
const (
	receiptDelivered = 1
	receiptClicked   = 2
)

// receiptKinds are the types of receipts (PushAPI README, "receipts",
// 2023-11-28). Meizu tells of no failures by receipts.
var receiptKinds = map[string]vendors.ReceiptKind{
	"1": vendors.ReceiptDelivered,
	"2": vendors.ReceiptClicked,
}

// happening is what became of one message.
type happening struct {
	Param   callback.Scalar   `json:"param"`
	Type    callback.Scalar   `json:"type"`
	Targets []callback.Scalar `json:"targets"`
}

// Receipts checks and reads a request to ReceiptURL: a form whose "cb" is a
// JSON object by message id and type, "<id>-<type>", and whose "access_token"
// is ReceiptSecret.
func (c Config) Receipts(r vendors.ReceiptRequest) ([]vendors.Receipt, error) {
	form, err := url.ParseQuery(string(r.Body))
	if err != nil {
		return nil, errors.New("meizu: receipt: not a form")
	}
	if c.ReceiptSecret == "" || subtle.ConstantTimeCompare([]byte(form.Get("access_token")), []byte(c.ReceiptSecret)) != 1 {
		return nil, fmt.Errorf("meizu: %w: access_token is not receipts.secret", vendors.ErrReceiptForged)
	}
	var messages map[string]happening
	if !callback.Decode([]byte(form.Get("cb")), &messages) || messages == nil {
		return nil, errors.New(`meizu: receipt: not a form with a JSON object in "cb"`)
	}
	list := callback.NewList(ValidToken)
	for _, key := range slices.Sorted(maps.Keys(messages)) {
		h, id := messages[key], key
		if at := strings.LastIndexByte(key, '-'); at >= 0 {
			id = key[:at]
		}
		for _, token := range h.Targets {
			list.Add(vendors.Receipt{
				Kind: callback.Kind(receiptKinds, string(h.Type)), Token: string(token),
				PushID: string(h.Param), VendorID: id, Code: string(h.Type),
			})
		}
	}
	receipts, err := list.Receipts()
	if err != nil {
		return nil, fmt.Errorf("meizu: receipt: %w", err)
	}
	return receipts, nil
}
