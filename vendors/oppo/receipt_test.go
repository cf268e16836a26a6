package oppo

import (
	"strings"
	"testing"
	"time"

	"github.com/rouse-im/rouse/vendors"
	"github.com/rouse-im/rouse/vendors/fake"
	"github.com/rouse-im/rouse/vendors/vendortest"
)

func TestReceiptFile(t *testing.T) {
	of := func(kind vendors.ReceiptKind, token, id, code string) vendors.Receipt {
		return vendors.Receipt{
			Kind: kind, Token: token, PushID: "5b0c7d1e-32aa-4f10-8c55-00000000000" + id, VendorID: "app-1-1-m" + id,
			Code: code, At: time.UnixMilli(1700000000000),
		}
	}
	vendortest.CheckReceiptFile(t, Config{}.Receipts, "receipts.json", []vendors.Receipt{
		of(vendors.ReceiptDelivered, "CN_1", "1", "push_arrive"),
		of(vendors.ReceiptDelivered, "CN_2", "1", "push_arrive"),
		of(vendors.ReceiptInvalid, "CN_3", "2", "regid_invalid"),
	})
}

func TestReceiptKinds(t *testing.T) {
	vendortest.CheckReceiptKinds(t, Config{}.Receipts, func(code string) string {
		return `[{"registrationIds":"` + vendortest.ReceiptToken + `","eventType":"` + code + `"}]`
	}, map[vendors.ReceiptKind][]string{
		vendors.ReceiptDelivered: {"push_arrive"},
		vendors.ReceiptInvalid:   {"regid_invalid"},
		vendors.ReceiptQuota:     {"user_daily_limit"},
		vendors.ReceiptNotShown:  {"", "PUSH_ARRIVE", "an_event_of_the_future"},
	})
}

func TestReceiptMalformed(t *testing.T) {
	many := `{"registrationIds":"` + strings.Repeat("tok3n,", 10_000) + `tok3n"}`
	vendortest.CheckReceiptsMalformed(t, Config{}.Receipts, "", "null", "{}", `"tok3n"`, `[{"registrationIds":"tok3n"}`, "["+many+"]")
	vendortest.CheckReceiptsNone(t, Config{}.Receipts, "[]", `[null,7,{},{"registrationIds":["t"],"eventType":"regid_invalid"}]`)
}

func FuzzReceipts(f *testing.F) {
	vendortest.FuzzReceipts(f, Config{}.Receipts, ValidToken, func(code string) bool { return code == "regid_invalid" },
		string(vendortest.TestData(f, "receipts.json")), `[{"registrationIds":"a,b c,","eventType":1}]`)
}

func TestReceiptRoundTrip(t *testing.T) {
	vendortest.CheckReceipts(t, vendortest.ReceiptHarness{
		Start: func(t *testing.T, receipts fake.ReceiptOptions) *vendortest.ReceiptRig {
			r := newRig(t, func(c *Config, o *fake.OPPOOptions, _ *fake.OPPOApp) {
				c.ReceiptURL, o.Receipts = vendortest.ReceiptURL, receipts
			})
			return &vendortest.ReceiptRig{Sender: r.Sender, Push: r.push, Receipts: r.fake.Receipts, Read: Config{}.Receipts}
		},
		Kinds: map[vendortest.Happening]vendors.ReceiptKind{
			vendortest.Delivered: vendors.ReceiptDelivered, vendortest.Uninstalled: vendors.ReceiptInvalid,
			vendortest.Replaced: vendors.ReceiptInvalid, vendortest.Inactive: vendors.ReceiptInvalid,
			vendortest.OverQuota: vendors.ReceiptQuota,
		},
	})
}
