package vivo

import (
	"strings"
	"testing"
	"time"

	"github.com/rouse-im/rouse/vendors"
	"github.com/rouse-im/rouse/vendors/fake"
	"github.com/rouse-im/rouse/vendors/vendortest"
)

func TestReceiptFile(t *testing.T) {
	of := func(kind vendors.ReceiptKind, token, task, code string) vendors.Receipt {
		return vendors.Receipt{
			Kind: kind, Token: token, PushID: "5b0c7d1e-32aa-4f10-8c55-00000000000" + task[17:], VendorID: task,
			Code: code, At: time.UnixMilli(1700000000123),
		}
	}
	vendortest.CheckReceiptFile(t, Config{}.Receipts, "receipts.json", []vendors.Receipt{
		of(vendors.ReceiptDelivered, "15924658300146530281821", "342982232646537211", "0"),
		of(vendors.ReceiptDelivered, "15924658300146530281822", "342982232646537212", "0"),
		of(vendors.ReceiptInvalid, "15924658300146530281823", "342982232646537213", "102/20001"),
	})
}

func TestReceiptKinds(t *testing.T) {
	vendortest.CheckReceiptKinds(t, Config{}.Receipts, func(code string) string {
		kind, sub, _ := strings.Cut(code, "/")
		return `{"":{"targets":"` + vendortest.ReceiptToken + `","ackType":"` + kind + `","subAckType":"` + sub + `"}}`
	}, map[vendors.ReceiptKind][]string{
		vendors.ReceiptDelivered: {"0"},
		vendors.ReceiptQuota:     {"100/11001", "100/12000"},
		vendors.ReceiptInvalid:   {"102/20001", "102/20002", "104/2183"},
		vendors.ReceiptNotShown: {
			"100", "100/10012", "100/14002", "100/1000", "100/4711", "101", "102", "102/20006", "102/4711", "103", "104",
			"104/1017", "104/2124", "104/2144", "104/2158", "104/2161", "104/2162", "104/2333", "1", "105", "105/20001",
		},
	})
}

// Subtypes count only for types that have them.
func TestReceiptSubtypes(t *testing.T) {
	for given, want := range map[ack]string{
		{}:                              "0",
		{Type: "0", SubType: "20001"}:   "0",
		{SubType: "20001"}:              "/20001",
		{Type: "101", SubType: "7"}:     "101",
		{Type: "103", SubType: "0"}:     "103",
		{Type: "102", SubType: "20001"}: "102/20001",
	} {
		if got := given.code(); got != want {
			t.Errorf("%+v: got %q", given, got)
		}
	}
}

func TestReceiptMalformed(t *testing.T) {
	many := `{"1":{"targets":"` + strings.Repeat("tok3n,", 10_000) + `tok3n"}}`
	vendortest.CheckReceiptsMalformed(t, Config{}.Receipts, "", "null", "[]", `"tok3n"`, `{"1":{"targets":"tok3n"}`, many)
	vendortest.CheckReceiptsNone(t, Config{}.Receipts, "{}", `{"1":null,"2":7,"3":{"ackType":"102","subAckType":"20001"},"4":{"targets":["t"]}}`)
}

func FuzzReceipts(f *testing.F) {
	dead := func(code string) bool { return code == "102/20001" || code == "102/20002" || code == "104/2183" }
	vendortest.FuzzReceipts(f, Config{}.Receipts, ValidToken, dead, string(vendortest.TestData(f, "receipts.json")),
		`{"1":{"targets":"a,b","ackType":102,"subAckType":20002},"2":{"targets":"c"}}`)
}

func TestReceiptRoundTrip(t *testing.T) {
	for name, change := range map[string]func(*Config, *fake.VivoOptions){
		"address": func(c *Config, _ *fake.VivoOptions) { c.ReceiptURL = vendortest.ReceiptURL },
		"callback id": func(c *Config, o *fake.VivoOptions) {
			c.ReceiptURL, c.CallbackID = "https://rouse.test/not/asked", "77"
			o.Callbacks = map[string]string{"77": vendortest.ReceiptURL}
		},
	} {
		t.Run(name, func(t *testing.T) {
			vendortest.CheckReceipts(t, vendortest.ReceiptHarness{
				Start: func(t *testing.T, receipts fake.ReceiptOptions) *vendortest.ReceiptRig {
					r := newRig(t, func(c *Config, o *fake.VivoOptions, _ *fake.VivoApp) {
						change(c, o)
						o.Receipts = receipts
					})
					return &vendortest.ReceiptRig{Sender: r.Sender, Push: r.push, Receipts: r.fake.Receipts, Read: Config{}.Receipts}
				},
				Kinds: map[vendortest.Happening]vendors.ReceiptKind{
					vendortest.Delivered: vendors.ReceiptDelivered, vendortest.Uninstalled: vendors.ReceiptInvalid,
					vendortest.Replaced: vendors.ReceiptInvalid, vendortest.Inactive: vendors.ReceiptNotShown,
					vendortest.OverQuota: vendors.ReceiptQuota, vendortest.Expired: vendors.ReceiptNotShown,
				},
			})
		})
	}
}
