package vivo

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/rouse-im/rouse/vendors"
	"github.com/rouse-im/rouse/vendors/callback"
)

// ackArrived is the ackType of a message that reached the device; in older
// receipts there is none.
const ackArrived = "0"

// receiptKinds are the receipts by ackType and subAckType (vivo PUSH-UPS-API,
// "Receipts", as Getui's table and a receiver in production have them).
var receiptKinds = map[string]vendors.ReceiptKind{
	ackArrived:  vendors.ReceiptDelivered,
	"100/11001": vendors.ReceiptQuota,    // the app's messages
	"100/12000": vendors.ReceiptQuota,    // the app's messages to this user
	"100/10012": vendors.ReceiptNotShown, // expired
	"100/14002": vendors.ReceiptNotShown, // only for devices online
	"100/1000":  vendors.ReceiptNotShown, // hours, version and so on
	"101":       vendors.ReceiptNotShown, // refused by the audit
	"102/20001": vendors.ReceiptInvalid,  // user not subscribed
	"102/20002": vendors.ReceiptInvalid,  // user unknown
	"102/20006": vendors.ReceiptNotShown, // inactive: 14 days offline
	"103":       vendors.ReceiptNotShown, // replaced while the device was offline
	"104/2183":  vendors.ReceiptInvalid,  // regId invalid: the app must register anew
	"104/1017":  vendors.ReceiptNotShown, // night
	"104/2124":  vendors.ReceiptNotShown, // operational text repeated
	"104/2144":  vendors.ReceiptNotShown, // expired
	"104/2158":  vendors.ReceiptNotShown, // intent wrong
	"104/2161":  vendors.ReceiptNotShown, // intent's page not exported
	"104/2162":  vendors.ReceiptNotShown, // intent's page missing
	"104/2333":  vendors.ReceiptNotShown, // app not installed from vivo's store
}

// ack is what became of one message; Targets is one regId, or comma-joined.
type ack struct {
	Param   callback.Scalar `json:"param"`
	Targets callback.Scalar `json:"targets"`
	Time    callback.Scalar `json:"ackTime"`
	Type    callback.Scalar `json:"ackType"`
	SubType callback.Scalar `json:"subAckType"`
}

// code is the key in receiptKinds. Types without subtypes may still come with one.
func (a ack) code() string {
	switch {
	case a.Type == "" && a.SubType == "":
		return ackArrived
	case a.SubType == "" || a.Type == ackArrived || a.Type == "101" || a.Type == "103":
		return string(a.Type)
	}
	return string(a.Type + "/" + a.SubType)
}

// Receipts reads a request to the address: a JSON object by task id. vivo does
// not sign it.
func (c Config) Receipts(r vendors.ReceiptRequest) ([]vendors.Receipt, error) {
	var acks map[string]ack
	if !callback.Decode(r.Body, &acks) || acks == nil {
		return nil, errors.New("vivo: receipt: not a JSON object")
	}
	list := callback.NewList(ValidToken)
	for _, task := range slices.Sorted(maps.Keys(acks)) {
		a := acks[task]
		for token := range strings.SplitSeq(string(a.Targets), ",") {
			list.Add(vendors.Receipt{
				Kind: callback.Kind(receiptKinds, a.code()), Token: strings.TrimSpace(token),
				PushID: string(a.Param), VendorID: task, Code: a.code(), At: a.Time.Time(),
			})
		}
	}
	receipts, err := list.Receipts()
	if err != nil {
		return nil, fmt.Errorf("vivo: receipt: %w", err)
	}
	return receipts, nil
}
