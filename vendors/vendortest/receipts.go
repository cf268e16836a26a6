package vendortest

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rouse-im/rouse/vendors"
)

// ReceiptReader is the Receipts method of a vendor's Config.
type ReceiptReader = func(vendors.ReceiptRequest) ([]vendors.Receipt, error)

// ReceiptToken is the token of the bodies of CheckReceiptKinds.
const ReceiptToken = "CN_0123456789abcdef0123456789abcdef"

// CheckReceiptKinds reads one receipt about ReceiptToken for each code, which
// body writes, and compares its kind.
func CheckReceiptKinds(t *testing.T, read ReceiptReader, body func(code string) string, want map[vendors.ReceiptKind][]string) {
	t.Helper()
	for kind, codes := range want {
		for _, code := range codes {
			got, err := read(vendors.ReceiptRequest{Body: []byte(body(code))})
			expected := []vendors.Receipt{{Kind: kind, Token: ReceiptToken, Code: code}}
			if diff := cmp.Diff(expected, got); err != nil || diff != "" {
				t.Errorf("%s: %v %s", code, err, diff)
			}
		}
	}
}

// CheckReceiptFile reads a body of testdata.
func CheckReceiptFile(t *testing.T, read ReceiptReader, name string, want []vendors.Receipt) {
	t.Helper()
	got, err := read(vendors.ReceiptRequest{Body: TestData(t, name), Now: time.UnixMilli(1697741460000)})
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%s: %v %s", name, err, diff)
	}
}

// CheckReceiptsMalformed wants an error for each body that says neither who
// sent it nor what "tok3n" it names.
func CheckReceiptsMalformed(t *testing.T, read ReceiptReader, bodies ...string) {
	t.Helper()
	for _, body := range bodies {
		got, err := read(vendors.ReceiptRequest{Body: []byte(body)})
		if err == nil || got != nil || errors.Is(err, vendors.ErrReceiptForged) || strings.Contains(err.Error(), "tok3n") {
			t.Errorf("%.60s: got %d receipts, %v", body, len(got), err)
		}
	}
}

// CheckReceiptsNone wants no receipts and no error for each body.
func CheckReceiptsNone(t *testing.T, read ReceiptReader, bodies ...string) {
	t.Helper()
	for _, body := range bodies {
		if got, err := read(vendors.ReceiptRequest{Body: []byte(body)}); err != nil || len(got) != 0 {
			t.Errorf("%.60s: got %+v, %v", body, got, err)
		}
	}
}

// FuzzReceipts: no body panics, passes the bounds of a Receipt, or drops a
// token by another code than those of dead ones.
func FuzzReceipts(f *testing.F, read ReceiptReader, valid func(token string) bool, dead func(code string) bool, seeds ...string) {
	for _, seed := range seeds {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := read(vendors.ReceiptRequest{Body: body})
		if err != nil && got != nil {
			t.Errorf("both receipts and %v", err)
		}
		for _, r := range got {
			drops := r.Kind == vendors.ReceiptInvalid || r.Kind == vendors.ReceiptReplaced
			if !valid(r.Token) || len(r.PushID) > 64 || len(r.VendorID) > 128 || len(r.Code) > 64 || r.Kind.String() == "unknown" ||
				drops && !dead(r.Code) || (r.Kind == vendors.ReceiptReplaced) != valid(r.NewToken) {
				t.Errorf("got %+v", r)
			}
		}
	})
}

// TestData is a file of the package's testdata.
func TestData(t testing.TB, name string) []byte {
	t.Helper()
	raw, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}
