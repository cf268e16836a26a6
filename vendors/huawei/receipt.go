package huawei

import (
	"fmt"

	"github.com/rouse-im/rouse/vendors"
	"github.com/rouse-im/rouse/vendors/callback"
)

// receiptKinds are the statuses of receipts (HMS Core "Message receipt",
// msg-receipt-guide; HarmonyOS "push-msg-receipt"). Huawei asks to send no more
// to 2, 5, 6 and 10.
var receiptKinds = map[string]vendors.ReceiptKind{
	"0":   vendors.ReceiptDelivered,
	"2":   vendors.ReceiptInvalid,  // app uninstalled
	"5":   vendors.ReceiptInvalid,  // token not of this device
	"6":   vendors.ReceiptMuted,    // notifications switched off
	"10":  vendors.ReceiptNotShown, // device inactive for 30 days
	"14":  vendors.ReceiptNotShown, // network error within Huawei
	"15":  vendors.ReceiptNotShown, // replaced, or more than 120 kept for the device
	"22":  vendors.ReceiptNotShown, // another user of the system
	"27":  vendors.ReceiptNotShown, // kept for the background
	"31":  vendors.ReceiptNotShown, // the app has no such page
	"51":  vendors.ReceiptNotShown, // locked since the device started
	"102": vendors.ReceiptQuota,    // messages of the day to this device
	"144": vendors.ReceiptNotShown, // profile unknown; none is sent
	"188": vendors.ReceiptNotShown, // the app did not start
	"191": vendors.ReceiptNotShown, // badge failed
	"201": vendors.ReceiptNotShown, // held back: wrong user, muted or uninstalled
	"256": vendors.ReceiptQuota,    // frequency of a scenario, or of test messages
	"259": vendors.ReceiptNotShown, // content refused
}

// Receipts checks and reads a request to the address of the receipt
// configuration. Without a ReceiptSecret the request proves nothing.
func (c Config) Receipts(r vendors.ReceiptRequest) ([]vendors.Receipt, error) {
	proof := callback.Proof{Header: callback.HuaweiHeader, UserName: c.ReceiptUserName, Secret: c.ReceiptSecret}
	if err := proof.Check(r.Header, r.Now); err != nil {
		return nil, fmt.Errorf("huawei: %w", err)
	}
	receipts, err := callback.ReadHuawei(r.Body, receiptKinds, ValidToken)
	if err != nil {
		return nil, fmt.Errorf("huawei: receipt: %w", err)
	}
	return receipts, nil
}
