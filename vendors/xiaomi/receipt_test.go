package xiaomi

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/rouse-im/rouse/vendors"
	"github.com/rouse-im/rouse/vendors/fake"
	"github.com/rouse-im/rouse/vendors/vendortest"
)

// receiptForm is a request with data.
func receiptForm(data string) string { return url.Values{"data": {data}}.Encode() }

func TestReceiptFile(t *testing.T) {
	at := time.UnixMilli(1585203103625)
	of := func(kind vendors.ReceiptKind, token, message, code string) vendors.Receipt {
		return vendors.Receipt{
			Kind: kind, Token: token, PushID: "5b0c7d1e-32aa-4f10-8c55-00000000000" + message[5:],
			VendorID: message, Code: code, At: at,
		}
	}
	replaced := of(vendors.ReceiptReplaced, "RegId/3=", "slm0-2", "replaceTarget")
	replaced.NewToken = "RegId/4="
	vendortest.CheckReceiptFile(t, Config{}.Receipts, "receipts.form", []vendors.Receipt{
		of(vendors.ReceiptDelivered, "RegId/1=", "slm0-1", "1"),
		of(vendors.ReceiptDelivered, "RegId/2+=", "slm0-1", "1"),
		of(vendors.ReceiptInvalid, "RegId/5=", "slm0-2", "16/1"),
		replaced,
		of(vendors.ReceiptDelivered, "RegId/6=", "slm0-3", "1"),
		of(vendors.ReceiptMuted, "RegId/6=", "slm0-3", "barStatus"),
	})
}

func TestReceiptKinds(t *testing.T) {
	vendortest.CheckReceiptKinds(t, Config{}.Receipts, func(code string) string {
		kind, fault, _ := strings.Cut(code, "/")
		if fault != "" {
			fault = `,"errorCode":` + fault
		}
		return receiptForm(`{"":{"type":` + kind + fault + `,"targets":"` + vendortest.ReceiptToken + `"}}`)
	}, map[vendors.ReceiptKind][]string{
		vendors.ReceiptDelivered: {"1"},
		vendors.ReceiptClicked:   {"2"},
		vendors.ReceiptInvalid:   {"16", "16/1"},
		vendors.ReceiptMuted:     {"32"},
		vendors.ReceiptQuota:     {"128"},
		vendors.ReceiptNotShown:  {"16/2", "16/3", "16/9", "64", "1024", "4711"},
	})
}

// A token that is replaced by what is no token is dead.
func TestReceiptReplacedByNothing(t *testing.T) {
	body := receiptForm(`{"m":{"type":16,"targets":"a","replaceTarget":{"a":"b c"}}}`)
	got, err := Config{}.Receipts(vendors.ReceiptRequest{Body: []byte(body)})
	if err != nil || len(got) != 1 || got[0].Kind != vendors.ReceiptInvalid || got[0].NewToken != "" {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestReceiptMalformed(t *testing.T) {
	many := `{"m":{"type":1,"targets":"` + strings.Repeat("tok3n,", 10_000) + `tok3n"}}`
	vendortest.CheckReceiptsMalformed(t, Config{}.Receipts,
		"", "%", "data", "data=null", "data=[]", receiptForm(`{"m":{"targets":"tok3n"}`), receiptForm(many))
	vendortest.CheckReceiptsNone(t, Config{}.Receipts, "data={}", receiptForm(`{"m":null,"n":7,"o":{"type":16,"targets":["t"]},"p":{"type":16,"targets":" , a b"}}`))
}

func FuzzReceipts(f *testing.F) {
	dead := func(code string) bool { return code == "16" || code == "16/1" || code == typeReplaced }
	vendortest.FuzzReceipts(f, Config{}.Receipts, ValidToken, dead, string(vendortest.TestData(f, "receipts.form")),
		receiptForm(`{"m":{"type":"16","targets":"a,b","replaceTarget":{"a":"c","d":"d d"}}}`))
}

func TestReceiptRoundTrip(t *testing.T) {
	vendortest.CheckReceipts(t, vendortest.ReceiptHarness{
		Start: func(t *testing.T, receipts fake.ReceiptOptions) *vendortest.ReceiptRig {
			r := newRig(t, func(c *Config, o *fake.XiaomiOptions) {
				c.ReceiptURL, o.Receipts = vendortest.ReceiptURL, receipts
			})
			return &vendortest.ReceiptRig{Sender: r.Sender, Push: r.push, Receipts: r.fake.Receipts, Read: Config{}.Receipts}
		},
		Kinds: map[vendortest.Happening]vendors.ReceiptKind{
			vendortest.Delivered: vendors.ReceiptDelivered, vendortest.Uninstalled: vendors.ReceiptInvalid,
			vendortest.Replaced: vendors.ReceiptReplaced, vendortest.Muted: vendors.ReceiptMuted,
			vendortest.OverQuota: vendors.ReceiptQuota,
		},
	})
}
