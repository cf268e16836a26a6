package app

import (
	"context"
	"errors"
	"fmt"
	"net"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/vendors"
	"github.com/rouse-im/rouse/vendors/apns"
	"github.com/rouse-im/rouse/vendors/fcm"
	"github.com/rouse-im/rouse/vendors/honor"
	"github.com/rouse-im/rouse/vendors/huawei"
	"github.com/rouse-im/rouse/vendors/meizu"
	"github.com/rouse-im/rouse/vendors/oppo"
	"github.com/rouse-im/rouse/vendors/vivo"
	"github.com/rouse-im/rouse/vendors/xiaomi"
)

// dialer connects to vendors; nil = TCP.
type dialer = func(ctx context.Context, network, address string) (net.Conn, error)

var errVendor = errors.New("the credential is of a vendor that this version does not know")

// vendor is what this build knows of the vendor of one credential.
type vendor struct {
	open  func() (vendors.Validator, error)
	check func() error
	// token tells whether a token can be one of the vendor's; form says how they look.
	token func(string) bool
	form  string
	// receipts checks and reads a request of the vendor; nil = it sends none.
	receipts func(vendors.ReceiptRequest) ([]vendors.Receipt, error)
}

// vendorOf lists the vendors that this build knows; nil for any other. Vendors
// that are told with each push where to report are told receiptURL, if it is
// not empty and the credential wants receipts.
func vendorOf(c *rousev1.Credential, receiptURL string, dial dialer) *vendor {
	if !c.GetReceipts().GetEnabled() {
		receiptURL = ""
	}
	switch v := c.GetVendor().(type) {
	case *rousev1.Credential_Apns:
		config := apnsConfig(v.Apns)
		config.DialContext = dial
		return &vendor{open: opener(config, apns.New), check: config.Validate, token: apns.ValidToken, form: "hexadecimal digits, an even number of them"}
	case *rousev1.Credential_Fcm:
		config := fcmConfig(v.Fcm)
		config.DialContext = dial
		return &vendor{open: opener(config, fcm.New), check: config.Validate, token: fcm.ValidToken, form: anyText}
	case *rousev1.Credential_Huawei:
		config := huaweiConfig(v.Huawei, c.GetReceipts())
		config.DialContext = dial
		return &vendor{open: opener(config, huawei.New), check: config.Validate, token: huawei.ValidToken, form: anyText, receipts: config.Receipts}
	case *rousev1.Credential_Harmony:
		config := harmonyConfig(v.Harmony, c.GetReceipts())
		config.DialContext = dial
		return &vendor{open: opener(config, huawei.New), check: config.Validate, token: huawei.ValidToken, form: anyText, receipts: config.Receipts}
	case *rousev1.Credential_Xiaomi:
		config := xiaomiConfig(v.Xiaomi, receiptURL)
		config.DialContext = dial
		return &vendor{open: opener(config, xiaomi.New), check: config.Validate, token: xiaomi.ValidToken, form: anyText, receipts: config.Receipts}
	case *rousev1.Credential_Oppo:
		config := oppoConfig(v.Oppo, receiptURL)
		config.DialContext = dial
		return &vendor{open: opener(config, oppo.New), check: config.Validate, token: oppo.ValidToken, form: anyText, receipts: config.Receipts}
	case *rousev1.Credential_Honor:
		config := honorConfig(v.Honor, c.GetReceipts())
		config.DialContext = dial
		return &vendor{open: opener(config, honor.New), check: config.Validate, token: honor.ValidToken, form: anyText, receipts: config.Receipts}
	case *rousev1.Credential_Vivo:
		config := vivoConfig(v.Vivo, c.GetReceipts(), receiptURL)
		config.DialContext = dial
		return &vendor{open: opener(config, vivo.New), check: config.Validate, token: vivo.ValidToken, form: anyText, receipts: config.Receipts}
	case *rousev1.Credential_Meizu:
		config := meizuConfig(v.Meizu, c.GetReceipts(), receiptURL)
		config.DialContext = dial
		return &vendor{open: opener(config, meizu.New), check: config.Validate, token: meizu.ValidToken, form: anyText, receipts: config.Receipts}
	}
	return nil
}

const anyText = "printable ASCII without spaces, within the vendor's length"

// opener keeps a failed New from being a Sender that is not nil.
func opener[C any, S vendors.Validator](config C, open func(C) (S, error)) func() (vendors.Validator, error) {
	return func() (vendors.Validator, error) {
		s, err := open(config)
		if err != nil {
			return nil, err
		}
		return s, nil
	}
}

// newSender opens the way to a credential's vendor.
func newSender(c *rousev1.Credential, receiptURL string, dial dialer) (vendors.Validator, error) {
	if v := vendorOf(c, receiptURL, dial); v != nil {
		return v.open()
	}
	return nil, errVendor
}

// checkCredential says why a credential cannot be used, without a call to the vendor.
func checkCredential(c *rousev1.Credential, receiptURL string) error {
	if err := checkZone(c); err != nil {
		return err
	}
	if v := vendorOf(c, receiptURL, nil); v != nil {
		return v.check()
	}
	return errVendor
}

// checkToken says why a token cannot be one of the credential's vendor.
func checkToken(c *rousev1.Credential, token string) error {
	v := vendorOf(c, "", nil)
	if v == nil {
		return errVendor
	}
	if !v.token(token) {
		return fmt.Errorf("token: a token of notifier %q consists of %s", c.GetName(), v.form)
	}
	return nil
}
