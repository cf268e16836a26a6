package meizu

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/rouse-im/rouse/vendors"
	"github.com/rouse-im/rouse/vendors/fake"
	"github.com/rouse-im/rouse/vendors/vendortest"
)

const testAccess = "acc3ss-t0ken"

// receiptForm is a request with cb, and the right access token.
func receiptForm(cb string) string {
	return url.Values{"cb": {cb}, "access_token": {testAccess}}.Encode()
}

var receiptConfig = Config{ReceiptSecret: testAccess}

func TestReceiptFile(t *testing.T) {
	of := func(kind vendors.ReceiptKind, token, message, id, code string) vendors.Receipt {
		return vendors.Receipt{Kind: kind, Token: token, PushID: "5b0c7d1e-32aa-4f10-8c55-00000000000" + id, VendorID: message, Code: code}
	}
	vendortest.CheckReceiptFile(t, receiptConfig.Receipts, "receipts.form", []vendors.Receipt{
		of(vendors.ReceiptDelivered, "RA50c1", "NS-20251126-1", "1", "1"),
		of(vendors.ReceiptDelivered, "RA50c2", "NS-20251126-1", "1", "1"),
		of(vendors.ReceiptClicked, "RA50c1", "c2ee5c3bf00448cfbceb7fdf68c3c8eb", "2", "2"),
	})
}

func TestReceiptKinds(t *testing.T) {
	vendortest.CheckReceiptKinds(t, receiptConfig.Receipts, func(code string) string {
		return receiptForm(`{"-` + code + `":{"type":` + code + `,"targets":["` + vendortest.ReceiptToken + `"]}}`)
	}, map[vendors.ReceiptKind][]string{
		vendors.ReceiptDelivered: {"1"},
		vendors.ReceiptClicked:   {"2"},
		vendors.ReceiptNotShown:  {"0", "3", "16", "4711"},
	})
}

func TestReceiptProof(t *testing.T) {
	body := receiptForm(`{"m-1":{"type":1,"targets":["t"]}}`)
	for _, secret := range []string{"", testAccess + "x", "acc3ss"} {
		got, err := Config{ReceiptSecret: secret}.Receipts(vendors.ReceiptRequest{Body: []byte(body)})
		if !errors.Is(err, vendors.ErrReceiptForged) || got != nil || strings.Contains(err.Error(), "acc3ss") {
			t.Errorf("secret %q: got %+v, %v", secret, got, err)
		}
	}
	for _, body := range []string{"", "cb={}", "cb={}&access_token="} {
		if _, err := receiptConfig.Receipts(vendors.ReceiptRequest{Body: []byte(body)}); !errors.Is(err, vendors.ErrReceiptForged) {
			t.Errorf("%q: got %v", body, err)
		}
	}
}

func TestReceiptMalformed(t *testing.T) {
	many := `{"m-1":{"type":1,"targets":[` + strings.Repeat(`"tok3n",`, 10_000) + `"tok3n"]}}`
	vendortest.CheckReceiptsMalformed(t, receiptConfig.Receipts,
		"%", receiptForm(""), receiptForm("null"), receiptForm("[]"), receiptForm(`{"m-1":{"targets":["tok3n"]}`), receiptForm(many))
	vendortest.CheckReceiptsNone(t, receiptConfig.Receipts, receiptForm("{}"),
		receiptForm(`{"m":null,"n":7,"o-1":{"type":1,"targets":"t"},"p-1":{"type":1,"targets":["a,b"]}}`))
}

func FuzzReceipts(f *testing.F) {
	vendortest.FuzzReceipts(f, receiptConfig.Receipts, ValidToken, func(string) bool { return false },
		string(vendortest.TestData(f, "receipts.form")), receiptForm(`{"m":{"type":"2","targets":["t",7]}}`))
}

func TestReceiptRoundTrip(t *testing.T) {
	vendortest.CheckReceipts(t, vendortest.ReceiptHarness{
		Start: func(t *testing.T, receipts fake.ReceiptOptions) *vendortest.ReceiptRig {
			r := newRig(t, func(c *Config, o *fake.MeizuOptions) {
				c.ReceiptURL, c.ReceiptSecret = vendortest.ReceiptURL, testAccess
				o.Receipts, o.Callbacks = receipts, map[string]string{vendortest.ReceiptURL: testAccess}
			})
			return &vendortest.ReceiptRig{Sender: r.Sender, Push: r.push, Receipts: r.fake.Receipts, Read: receiptConfig.Receipts}
		},
		Signs: true,
		Kinds: map[vendortest.Happening]vendors.ReceiptKind{
			vendortest.Delivered: vendors.ReceiptDelivered, vendortest.Clicked: vendors.ReceiptClicked,
		},
	})
}
