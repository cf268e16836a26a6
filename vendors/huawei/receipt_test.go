package huawei

import (
	"errors"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rouse-im/rouse/vendors"
)

// received is a time after those of the samples in testdata.
var received = time.UnixMilli(1697741460000)

func readFile(t testing.TB, name string) []byte {
	t.Helper()
	raw, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestReceiptForms(t *testing.T) {
	first := vendors.Receipt{
		Kind: vendors.ReceiptDelivered, Token: "IQAAAACy-tok3n_0001", PushID: "5b0c7d1e-32aa-4f10-8c55-000000000001",
		VendorID: "157440955549500001002006", Code: "0", At: time.UnixMilli(1697741455082),
	}
	second := first
	second.Kind, second.Token, second.Code, second.PushID = vendors.ReceiptInvalid, "IQAAAACy-tok3n_0002", "2", ""
	for _, name := range []string{"receipts_hms.json", "receipts_harmony.json"} {
		got, err := Config{}.Receipts(vendors.ReceiptRequest{Body: readFile(t, name), Now: received})
		if diff := cmp.Diff([]vendors.Receipt{first, second}, got); err != nil || diff != "" {
			t.Errorf("%s: %v %s", name, err, diff)
		}
	}
}

// TestReceiptKinds asks for each status of Huawei's tables, and an unknown one.
func TestReceiptKinds(t *testing.T) {
	want := map[vendors.ReceiptKind][]string{
		vendors.ReceiptDelivered: {"0"},
		vendors.ReceiptInvalid:   {"2", "5"},
		vendors.ReceiptMuted:     {"6"},
		vendors.ReceiptQuota:     {"102", "256"},
		vendors.ReceiptNotShown:  {"10", "14", "15", "22", "27", "31", "51", "144", "188", "191", "201", "259", "4711"},
	}
	tested := 0
	for kind, codes := range want {
		for _, code := range codes {
			tested++
			for _, status := range []string{code, `"` + code + `"`} {
				body := `{"statuses":[{"token":"t1","status":` + status + `}]}`
				got, err := Config{}.Receipts(vendors.ReceiptRequest{Body: []byte(body)})
				if diff := cmp.Diff([]vendors.Receipt{{Kind: kind, Token: "t1", Code: code}}, got); err != nil || diff != "" {
					t.Errorf("%s: %v %s", body, err, diff)
				}
			}
		}
	}
	if tested != len(receiptKinds)+1 {
		t.Errorf("%d statuses tested of %d", tested, len(receiptKinds))
	}
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
		{"nearly too late", header(decoded), 4*time.Minute + 55*time.Second, signed, true},
		{"too late", header(decoded), 5 * time.Minute, signed, false},
		{"too early", header(decoded), -6 * time.Minute, signed, false},
		{"no header", "", 0, signed, false},
		{"another user", header(decoded), 0, Config{ReceiptUserName: "other", ReceiptSecret: signed.ReceiptSecret}, false},
		{"another nonce", strings.Replace(header(decoded), "6d3c", "6d3d", 1), 0, signed, false},
		{"another time", strings.Replace(header(decoded), "082", "083", 1), 0, signed, false},
		{"no signature", header(""), 0, signed, false},
		{"not base64", header("#"), 0, signed, false},
		{"nothing to check", "", 0, Config{}, true},
	} {
		request := vendors.ReceiptRequest{Header: http.Header{}, Body: readFile(t, "receipts_hms.json"), Now: received.Add(tt.late)}
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
	many := `{"statuses":[{"token":"t","status":0}` + strings.Repeat(`,{"token":"t","status":0}`, 10_000) + `]}`
	for _, body := range []string{"", "null", "[]", "{}", `{"statuses":null}`, `{"statuses":{}}`, `{"statuses":[{"token":"tok3n"}`, many} {
		got, err := Config{}.Receipts(vendors.ReceiptRequest{Body: []byte(body)})
		if err == nil || got != nil || errors.Is(err, vendors.ErrReceiptForged) || strings.Contains(err.Error(), "tok3n") {
			t.Errorf("%.40s: got %d receipts, %v", body, len(got), err)
		}
	}
	for _, body := range []string{
		`{"statuses":[]}`, `{"statuses":[{}]}`, `{"statuses":["t",null,7]}`,
		`{"statuses":[{"token":"a b","status":2},{"token":["t"],"status":2},{"status":2}]}`, // nobody's
		`{"statuses":[{"token":"t","formStatus":{"formId":1,"result":2}}]}`,                 // a card
	} {
		if got, err := (Config{}).Receipts(vendors.ReceiptRequest{Body: []byte(body)}); err != nil || len(got) != 0 {
			t.Errorf("%s: got %+v, %v", body, got, err)
		}
	}
}

// FuzzReceipts: no body panics, passes the bounds of a receipt, or drops a
// token by a status that Huawei does not have for it.
func FuzzReceipts(f *testing.F) {
	f.Add(readFile(f, "receipts_hms.json"))
	f.Add(readFile(f, "receipts_harmony.json"))
	f.Add([]byte(`{"statuses":[{"token":"t","status":-1.5e9,"timestamp":"x"},null]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := Config{}.Receipts(vendors.ReceiptRequest{Body: body})
		if err != nil && got != nil {
			t.Errorf("both receipts and %v", err)
		}
		for _, r := range got {
			dead := r.Code == "2" || r.Code == "5"
			if !ValidToken(r.Token) || len(r.PushID) > 64 || len(r.VendorID) > 128 || len(r.Code) > 64 ||
				(r.Kind == vendors.ReceiptInvalid) != dead || r.NewToken != "" || r.Kind.String() == "unknown" {
				t.Errorf("got %+v", r)
			}
		}
	})
}
