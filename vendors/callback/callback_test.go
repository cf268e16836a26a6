package callback

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/rouse-im/rouse/vendors"
)

func TestList(t *testing.T) {
	list := NewList(func(token string) bool { return token != "" && token != "bad" })
	list.Add(vendors.Receipt{Kind: vendors.ReceiptInvalid, Token: "bad"})
	list.Add(vendors.Receipt{
		Kind: vendors.ReceiptDelivered, Token: "a", PushID: strings.Repeat("p", 65),
		VendorID: strings.Repeat("é", 65), Code: "x" + strings.Repeat("é", 32),
	})
	list.Add(vendors.Receipt{Kind: vendors.ReceiptReplaced, Token: "b", NewToken: "c"})
	list.Add(vendors.Receipt{Kind: vendors.ReceiptReplaced, Token: "b", NewToken: "bad"})
	got, err := list.Receipts()
	want := []vendors.Receipt{
		{Kind: vendors.ReceiptDelivered, Token: "a", VendorID: strings.Repeat("é", 64), Code: "x" + strings.Repeat("é", 31)},
		{Kind: vendors.ReceiptReplaced, Token: "b", NewToken: "c"},
		{Kind: vendors.ReceiptInvalid, Token: "b"},
	}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
	for range Most - 4 {
		list.Add(vendors.Receipt{Token: "bad"})
	}
	if _, err := list.Receipts(); err != nil {
		t.Errorf("%d receipts: %v", Most, err)
	}
	list.Add(vendors.Receipt{Token: "bad"})
	if got, err := list.Receipts(); err == nil || got != nil {
		t.Errorf("%d receipts: got %d", Most+1, len(got))
	}
}

func TestScalar(t *testing.T) {
	for raw, want := range map[string]Scalar{
		`"a"`: "a", `""`: "", `7`: "7", `-1.5e9`: "-1.5e9", `1697741455082`: "1697741455082",
		`null`: "", `true`: "", `{}`: "", `[1]`: "",
	} {
		got := Scalar("before")
		if !Decode([]byte(raw), &got) || got != want {
			t.Errorf("%s: got %q", raw, got)
		}
	}
	for text, want := range map[Scalar]time.Time{
		"1697741455082": time.UnixMilli(1697741455082), "253402300799999": time.UnixMilli(253402300799999),
		"253402300800000": {}, "0": {}, "-1": {}, "": {}, "1e12": {}, "x": {},
	} {
		if got := text.Time(); !got.Equal(want) {
			t.Errorf("%q: got %v", text, got)
		}
	}
}

func TestCheckAddress(t *testing.T) {
	for address, ok := range map[string]bool{
		"": true, "https://a.test/r/x": true, "https://a.test:8443/r?x=1": true,
		"http://a.test/r": false, "a.test/r": false, "https:///r": false, "https://u:p@a.test/r": false,
		"https://a.test/r#x": false, "https://a.test/\n": false,
		"https://a.test/" + strings.Repeat("x", 17): true, "https://a.test/" + strings.Repeat("x", 18): false,
	} {
		if err := CheckAddress(address, 32); (err == nil) != ok {
			t.Errorf("%q: got %v", address, err)
		}
	}
}

// FuzzProof: no header proves anything without the secret.
func FuzzProof(f *testing.F) {
	f.Add("timestamp=1697741455082; nonce=n; value=c2ln", "user")
	f.Add("value==;timestamp", "")
	now := time.UnixMilli(1697741455082)
	f.Fuzz(func(t *testing.T, header, user string) {
		p := Proof{Header: HuaweiHeader, UserName: user, Secret: "4n0ther-s3cret"}
		err := p.Check(http.Header{HuaweiHeader: nil, "X-Huawei-Callback-Id": {header}}, now)
		if !errors.Is(err, vendors.ErrReceiptForged) || !utf8.ValidString(err.Error()) || strings.Contains(err.Error(), p.Secret) {
			t.Errorf("got %v", err)
		}
	})
}
