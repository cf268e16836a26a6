package huawei

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rouse-im/rouse/vendors"
	"github.com/rouse-im/rouse/vendors/fake"
	"github.com/rouse-im/rouse/vendors/vendortest"
)

func TestReceiptForms(t *testing.T) {
	first := vendors.Receipt{
		Kind: vendors.ReceiptDelivered, Token: "IQAAAACy-tok3n_0001", PushID: "5b0c7d1e-32aa-4f10-8c55-000000000001",
		VendorID: "157440955549500001002006", Code: "0", At: time.UnixMilli(1697741455082),
	}
	second := first
	second.Kind, second.Token, second.Code, second.PushID = vendors.ReceiptInvalid, "IQAAAACy-tok3n_0002", "2", ""
	for _, name := range []string{"receipts_hms.json", "receipts_harmony.json"} {
		vendortest.CheckReceiptFile(t, Config{}.Receipts, name, []vendors.Receipt{first, second})
	}
}

// TestReceiptKinds asks for each status of Huawei's tables, and unknown ones.
func TestReceiptKinds(t *testing.T) {
	want := map[vendors.ReceiptKind][]string{
		vendors.ReceiptDelivered: {"0"},
		vendors.ReceiptInvalid:   {"2", "5"},
		vendors.ReceiptMuted:     {"6"},
		vendors.ReceiptQuota:     {"102", "256"},
		vendors.ReceiptNotShown:  {"10", "14", "15", "22", "27", "31", "51", "144", "188", "191", "201", "259", "4711"},
	}
	vendortest.CheckReceiptKinds(t, Config{}.Receipts, func(code string) string {
		return `{"statuses":[{"token":"` + vendortest.ReceiptToken + `","status":` + code + `}]}`
	}, want)
	vendortest.CheckReceiptKinds(t, Config{}.Receipts, func(code string) string {
		return `{"statuses":[{"token":"` + vendortest.ReceiptToken + `","deliveryStatus":{"result":"` + code + `"}}]}`
	}, want)
}

// The signatures were made with openssl: the key as it is, and its base64.
func TestReceiptProof(t *testing.T) {
	signed := Config{ReceiptUserName: "rouse", ReceiptSecret: "c2VjcmV0LWtleQ=="}
	const plain, decoded = "0kygQxQXV6rpZmOk0UvZrLpP+TwtEknrHLhtClBC/sc=", "rQlWKgL16IMQzpEwp78AnjNtgS4Cd/Ukok4OycLHKhM="
	header := func(value string) string {
		return "timestamp=1697741455082; nonce=6d3c0b5e-94cf-4d39-a1ae-5f4b7d1c2a10; value=" + value
	}
	for _, tt := range []struct {
		name, header string
		late         time.Duration
		config       Config
		ok           bool
	}{
		{"key as it is", header(plain), 0, signed, true},
		{"key decoded", header(decoded), 0, signed, true},
		{"no spaces", strings.ReplaceAll(header(decoded), " ", ""), 0, signed, true},
		{"nearly too late", header(decoded), 5 * time.Minute, signed, true},
		{"too late", header(decoded), 5*time.Minute + time.Millisecond, signed, false},
		{"too early", header(decoded), -6 * time.Minute, signed, false},
		{"no header", "", 0, signed, false},
		{"another user", header(decoded), 0, Config{ReceiptUserName: "other", ReceiptSecret: signed.ReceiptSecret}, false},
		{"another nonce", strings.Replace(header(decoded), "6d3c", "6d3d", 1), 0, signed, false},
		{"another time", strings.Replace(header(decoded), "082", "083", 1), 0, signed, false},
		{"no signature", header(""), 0, signed, false},
		{"not base64", header("#"), 0, signed, false},
		{"nothing to check", "", 0, Config{}, true},
	} {
		request := vendors.ReceiptRequest{Header: http.Header{}, Body: vendortest.TestData(t, "receipts_hms.json"), Now: time.UnixMilli(1697741455082).Add(tt.late)}
		request.Header.Set("X-HUAWEI-CALLBACK-ID", tt.header)
		got, err := tt.config.Receipts(request)
		if ok := err == nil && len(got) == 2; ok != tt.ok {
			t.Errorf("%s: got %d receipts, %v", tt.name, len(got), err)
		}
		if err != nil && (!errors.Is(err, vendors.ErrReceiptForged) || strings.Contains(err.Error(), signed.ReceiptSecret)) {
			t.Errorf("%s: got %v", tt.name, err)
		}
	}
}

func TestReceiptMalformed(t *testing.T) {
	many := strings.Repeat(`{"token":"t","status":0},`, 10_000)
	vendortest.CheckReceiptsMalformed(t, Config{}.Receipts,
		"", "null", "[]", "{}", `{"statuses":null}`, `{"statuses":{}}`, `{"statuses":[{"token":"tok3n"}`,
		`{"statuses":[`+many+`{"token":"tok3n","status":0}]}`)
	vendortest.CheckReceiptsNone(t, Config{}.Receipts,
		`{"statuses":[]}`, `{"statuses":[{}]}`, `{"statuses":["t",null,7]}`,
		`{"statuses":[{"token":"a b","status":2},{"token":["t"],"status":2},{"status":2}]}`, // nobody's
		`{"statuses":[{"token":"t","formStatus":{"formId":1,"result":2}}]}`)                 // a card
}

func FuzzReceipts(f *testing.F) {
	vendortest.FuzzReceipts(f, Config{}.Receipts, ValidToken, func(code string) bool { return code == "2" || code == "5" },
		string(vendortest.TestData(f, "receipts_hms.json")), string(vendortest.TestData(f, "receipts_harmony.json")),
		`{"statuses":[{"token":"t","status":-1.5e9,"timestamp":"x"},null]}`)
}

func TestReceiptRoundTrip(t *testing.T) {
	for name, api := range map[string]API{"HMS": HMS, "HarmonyOS": Harmony} {
		t.Run(name, func(t *testing.T) {
			vendortest.CheckReceipts(t, vendortest.ReceiptHarness{
				Start: func(t *testing.T, o fake.ReceiptOptions) *vendortest.ReceiptRig { return receiptRig(t, api, o) },
				Signs: true,
				Kinds: map[vendortest.Happening]vendors.ReceiptKind{
					vendortest.Delivered: vendors.ReceiptDelivered, vendortest.Uninstalled: vendors.ReceiptInvalid,
					vendortest.Replaced: vendors.ReceiptInvalid, vendortest.Muted: vendors.ReceiptMuted,
					vendortest.Inactive: vendors.ReceiptNotShown, vendortest.OverQuota: vendors.ReceiptQuota,
				},
			})
		})
	}
}

// receiptRig has one receipt configuration of each form of key.
func receiptRig(t *testing.T, api API, receipts fake.ReceiptOptions) *vendortest.ReceiptRig {
	var config Config
	r := newRig(t, api, func(c *Config, o *fake.HuaweiOptions) {
		c.ReceiptUserName, c.ReceiptSecret, c.ReceiptID = "rouse", "c2VjcmV0LWtleQ==", "R1"
		config = *c
		address := fake.ReceiptAddress{
			URL:          vendortest.ReceiptURL,
			ReceiptProof: fake.ReceiptProof{UserName: "rouse", Secret: "c2VjcmV0LWtleQ==", Plain: api == HMS},
		}
		o.Receipts, o.Callbacks = receipts, map[string]fake.ReceiptAddress{"R1": address}
	})
	return &vendortest.ReceiptRig{Sender: r.Sender, Push: r.push, Receipts: r.fake.Receipts, Read: config.Receipts}
}
