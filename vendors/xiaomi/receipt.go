package xiaomi

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/rouse-im/rouse/vendors"
	"github.com/rouse-im/rouse/vendors/callback"
)

// receiptTypes is extra.callback.type, the sum of the types asked for: 1, 16,
// 32 and 128 of receiptKinds. A sum that Xiaomi does not know silently costs all
// receipts, so no more is asked for than acts on something.
const receiptTypes = "177"

const (
	typeDelivered = "1"
	typeInvalid   = "16"
	typeReplaced  = "replaceTarget"
)

// receiptKinds are the types of receipts (Mi Push "message receipts", pId=1656;
// 1024 and errorCode as clients in production have them). An errorCode of 16
// follows a slash: 2 and 3 are about aliases and accounts, not used here.
var receiptKinds = map[string]vendors.ReceiptKind{
	typeDelivered:      vendors.ReceiptDelivered,
	"2":                vendors.ReceiptClicked,
	typeInvalid:        vendors.ReceiptInvalid,
	typeInvalid + "/1": vendors.ReceiptInvalid,  // regId
	typeInvalid + "/2": vendors.ReceiptNotShown, // alias
	typeInvalid + "/3": vendors.ReceiptNotShown, // account
	"32":               vendors.ReceiptMuted,    // push switched off in the app
	"64":               vendors.ReceiptNotShown, // filtered
	"128":              vendors.ReceiptQuota,    // of the day, of the app or the device
	"1024":             vendors.ReceiptNotShown, // expired
}

// happening is what became of one message: Targets is comma-joined.
type happening struct {
	Param   callback.Scalar            `json:"param"`
	Type    callback.Scalar            `json:"type"`
	Targets callback.Scalar            `json:"targets"`
	Bar     callback.Scalar            `json:"barStatus"`
	At      callback.Scalar            `json:"timestamp"`
	Error   callback.Scalar            `json:"errorCode"`
	Replace map[string]callback.Scalar `json:"replaceTarget"` // new tokens by old ones
}

// Receipts reads a request to ReceiptURL: a form whose "data" is a JSON object
// by message id. Xiaomi does not sign it.
func (c Config) Receipts(r vendors.ReceiptRequest) ([]vendors.Receipt, error) {
	form, err := url.ParseQuery(string(r.Body))
	var messages map[string]happening
	if err != nil || !callback.Decode([]byte(form.Get("data")), &messages) || messages == nil {
		return nil, errors.New(`xiaomi: receipt: not a form with a JSON object in "data"`)
	}
	list := callback.NewList(ValidToken)
	for _, id := range slices.Sorted(maps.Keys(messages)) {
		messages[id].list(list, id)
	}
	receipts, err := list.Receipts()
	if err != nil {
		return nil, fmt.Errorf("xiaomi: receipt: %w", err)
	}
	return receipts, nil
}

// list adds a receipt for each target. An invalid one with a successor is
// replaced. A message that reached a phone with the notifications off was
// delivered, and is not seen.
func (h happening) list(list *callback.List, id string) {
	r := vendors.Receipt{Code: string(h.Type), PushID: string(h.Param), VendorID: id, At: h.At.Time()}
	if h.Type == typeInvalid && h.Error != "" {
		r.Code += "/" + string(h.Error)
	}
	r.Kind = callback.Kind(receiptKinds, r.Code)
	for token := range strings.SplitSeq(string(h.Targets), ",") {
		r.Token = strings.TrimSpace(token)
		if _, replaced := h.Replace[r.Token]; replaced && r.Kind == vendors.ReceiptInvalid {
			continue
		}
		list.Add(r)
		if h.Type == typeDelivered && h.Bar == "Disable" {
			muted := r
			muted.Kind, muted.Code = vendors.ReceiptMuted, "barStatus"
			list.Add(muted)
		}
	}
	for _, old := range slices.Sorted(maps.Keys(h.Replace)) {
		r.Kind, r.Code, r.Token, r.NewToken = vendors.ReceiptReplaced, typeReplaced, old, string(h.Replace[old])
		list.Add(r)
	}
}
