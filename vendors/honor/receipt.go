package honor

import (
	"fmt"

	"github.com/rouse-im/rouse/vendors"
	"github.com/rouse-im/rouse/vendors/callback"
)

// receiptKinds are the statuses of receipts. Honor's own table could not be
// read; these are Huawei's, as far as no harm is done when they mean something
// else. So no status drops a token: Honor names dead ones in its answers.
var receiptKinds = map[string]vendors.ReceiptKind{
	"0":   vendors.ReceiptDelivered,
	"2":   vendors.ReceiptNotShown, // Huawei: app uninstalled
	"5":   vendors.ReceiptNotShown, // Huawei: token not of this device
	"6":   vendors.ReceiptMuted,    // notifications switched off
	"10":  vendors.ReceiptNotShown, // device inactive
	"15":  vendors.ReceiptNotShown, // replaced
	"102": vendors.ReceiptQuota,    // messages of the day to this device
	"256": vendors.ReceiptQuota,    // frequency
}

// Receipts checks and reads a request to the address of the console's receipt
// configuration, in the form of Huawei's. Without a ReceiptSecret the request
// proves nothing.
func (c Config) Receipts(r vendors.ReceiptRequest) ([]vendors.Receipt, error) {
	proof := callback.Proof{Header: c.ReceiptHeader, UserName: c.ReceiptUserName, Secret: c.ReceiptSecret}
	if proof.Header == "" {
		proof.Header = callback.HuaweiHeader
	}
	if err := proof.Check(r.Header, r.Now); err != nil {
		return nil, fmt.Errorf("honor: %w", err)
	}
	receipts, err := callback.ReadHuawei(r.Body, receiptKinds, ValidToken)
	if err != nil {
		return nil, fmt.Errorf("honor: receipt: %w", err)
	}
	return receipts, nil
}
