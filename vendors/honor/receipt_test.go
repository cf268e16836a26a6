package honor

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/rouse-im/rouse/vendors"
	"github.com/rouse-im/rouse/vendors/fake"
	"github.com/rouse-im/rouse/vendors/vendortest"
)

func TestReceiptFile(t *testing.T) {
	receipt := vendors.Receipt{
		Kind: vendors.ReceiptDelivered, Token: "honor-tok3n_0001", PushID: "5b0c7d1e-32aa-4f10-8c55-000000000001",
		VendorID: "42", Code: "0", At: time.UnixMilli(1697741455082),
	}
	vendortest.CheckReceiptFile(t, Config{}.Receipts, "receipts.json", []vendors.Receipt{receipt})
}

// TestReceiptKinds: whatever Honor says, a receipt drops no token.
func TestReceiptKinds(t *testing.T) {
	vendortest.CheckReceiptKinds(t, Config{}.Receipts, func(code string) string {
		return `{"statuses":[{"token":"` + vendortest.ReceiptToken + `","status":` + code + `}]}`
	}, map[vendors.ReceiptKind][]string{
		vendors.ReceiptDelivered: {"0"},
		vendors.ReceiptMuted:     {"6"},
		vendors.ReceiptQuota:     {"102", "256"},
		vendors.ReceiptNotShown:  {"2", "5", "10", "15", "4711"},
	})
}

// The signature was made with openssl from the key "secret-key".
func TestReceiptProof(t *testing.T) {
	header := "timestamp=1697741455082;nonce=6d3c0b5e-94cf-4d39-a1ae-5f4b7d1c2a10;value=rQlWKgL16IMQzpEwp78AnjNtgS4Cd/Ukok4OycLHKhM="
	for _, tt := range []struct {
		name, config, sent string
		secret             string
		ok                 bool
	}{
		{"Huawei's header", "", "X-HUAWEI-CALLBACK-ID", "secret-key", true},
		{"its own header", "X-HONOR-CALLBACK-ID", "X-HONOR-CALLBACK-ID", "secret-key", true},
		{"another header", "X-HONOR-CALLBACK-ID", "X-HUAWEI-CALLBACK-ID", "secret-key", false},
		{"another key", "", "X-HUAWEI-CALLBACK-ID", "secret", false},
		{"no key", "", "", "", true},
	} {
		c := Config{ReceiptUserName: "rouse", ReceiptSecret: tt.secret, ReceiptHeader: tt.config}
		request := vendors.ReceiptRequest{Header: http.Header{}, Body: vendortest.TestData(t, "receipts.json"), Now: time.UnixMilli(1697741455082)}
		request.Header.Set(tt.sent, header)
		got, err := c.Receipts(request)
		if ok := err == nil && len(got) == 1; ok != tt.ok || err != nil && !errors.Is(err, vendors.ErrReceiptForged) {
			t.Errorf("%s: got %d receipts, %v", tt.name, len(got), err)
		}
	}
}

func TestReceiptMalformed(t *testing.T) {
	vendortest.CheckReceiptsMalformed(t, Config{}.Receipts, "", "null", "{}", `{"statuses":[{"token":"tok3n"}`)
	vendortest.CheckReceiptsNone(t, Config{}.Receipts, `{"statuses":[]}`, `{"statuses":[{"token":"a b","status":0}]}`)
}

func FuzzReceipts(f *testing.F) {
	vendortest.FuzzReceipts(f, Config{}.Receipts, ValidToken, func(string) bool { return false },
		string(vendortest.TestData(f, "receipts.json")), `{"statuses":[{"token":"t","status":2}]}`)
}

func TestReceiptRoundTrip(t *testing.T) {
	vendortest.CheckReceipts(t, vendortest.ReceiptHarness{
		Start: func(t *testing.T, receipts fake.ReceiptOptions) *vendortest.ReceiptRig {
			var config Config
			r := newRig(t, func(c *Config, o *fake.HonorOptions) {
				c.ReceiptUserName, c.ReceiptSecret = "rouse", "c2VjcmV0LWtleQ=="
				config = *c
				o.Receipts, o.Callback = receipts, fake.ReceiptAddress{
					URL: vendortest.ReceiptURL, ReceiptProof: fake.ReceiptProof{UserName: "rouse", Secret: "c2VjcmV0LWtleQ=="},
				}
			})
			return &vendortest.ReceiptRig{Sender: r.Sender, Push: r.push, Receipts: r.fake.Receipts, Read: config.Receipts}
		},
		Signs: true,
		Kinds: map[vendortest.Happening]vendors.ReceiptKind{
			vendortest.Delivered: vendors.ReceiptDelivered, vendortest.Uninstalled: vendors.ReceiptNotShown,
			vendortest.Replaced: vendors.ReceiptNotShown, vendortest.Muted: vendors.ReceiptMuted,
			vendortest.Inactive: vendors.ReceiptNotShown, vendortest.OverQuota: vendors.ReceiptQuota,
		},
	})
}
