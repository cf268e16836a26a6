// Package callback has what the receipts of several vendors share: the bounds
// of one request, the address that a vendor is asked to report to, and the
// form and proof of Huawei's receipts, which Honor took over.
package callback

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/rouse-im/rouse/vendors"
)

// Most bounds the receipts of one request. Huawei's documents say at most
// 1000; Xiaomi and Meizu gather what happens within a second.
const Most = 10_000

// Bounds of vendors.Receipt in bytes. A longer push id is none of ours.
const (
	maxPushID   = 64
	maxVendorID = 128
	maxCode     = 64
)

var errTooMany = fmt.Errorf("more than %d receipts in one request", Most)

// List gathers the receipts of one request.
type List struct {
	valid    func(token string) bool
	receipts []vendors.Receipt
	added    int
}

// NewList makes a list of receipts about tokens that are valid.
func NewList(valid func(token string) bool) *List { return &List{valid: valid} }

// Add appends r within the bounds of a Receipt. A token that cannot be the
// vendor's is nobody's here, so its receipt is left out; a NewToken that cannot
// makes ReceiptReplaced a ReceiptInvalid.
func (l *List) Add(r vendors.Receipt) {
	if l.added++; l.added > Most || !l.valid(r.Token) {
		return
	}
	if r.Kind == vendors.ReceiptReplaced && !l.valid(r.NewToken) {
		r.Kind, r.NewToken = vendors.ReceiptInvalid, ""
	}
	if len(r.PushID) > maxPushID {
		r.PushID = ""
	}
	r.VendorID, r.Code = cut(r.VendorID, maxVendorID), cut(r.Code, maxCode)
	l.receipts = append(l.receipts, r)
}

// Receipts is what was added, or the error that it was too much.
func (l *List) Receipts() ([]vendors.Receipt, error) {
	if l.added > Most {
		return nil, errTooMany
	}
	return l.receipts, nil
}

// Kind looks code up; an unknown one is ReceiptNotShown, which drops no token.
func Kind(kinds map[string]vendors.ReceiptKind, code string) vendors.ReceiptKind {
	if kind, ok := kinds[code]; ok {
		return kind
	}
	return vendors.ReceiptNotShown
}

// cut keeps whole characters of text within most bytes.
func cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "")
}

// Decode reads JSON into v as far as its types agree; false = raw is not JSON,
// or too deep. What another type stands for is left as it was.
func Decode(raw []byte, v any) bool {
	err := json.Unmarshal(raw, v)
	_, mistyped := errors.AsType[*json.UnmarshalTypeError](err)
	return err == nil || mistyped
}

// Scalar is a string, or a number as its digits: the vendors' documents and
// samples differ in which of the two a field is. Anything else is empty.
type Scalar string

// UnmarshalJSON never fails.
func (s *Scalar) UnmarshalJSON(raw []byte) error {
	var text string
	var number json.Number
	*s = ""
	if json.Unmarshal(raw, &text) == nil {
		*s = Scalar(text)
	} else if json.Unmarshal(raw, &number) == nil {
		*s = Scalar(number)
	}
	return nil
}

// maxMillis is the end of the year 9999, the last that a timestamp can tell.
const maxMillis = 253_402_300_799_999

// Time reads milliseconds since 1970; zero when they are none.
func (s Scalar) Time() time.Time {
	ms, err := strconv.ParseInt(string(s), 10, 64)
	if err != nil || ms <= 0 || ms > maxMillis {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

// CheckAddress tells why a vendor cannot be given address, of which it takes
// most bytes. An empty one is not given to it.
func CheckAddress(address string, most int) error {
	if address == "" {
		return nil
	}
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.Fragment != "" {
		return errors.New(`want "https://host/path"`)
	}
	if len(address) > most {
		return fmt.Errorf("%d bytes, and the vendor takes at most %d; give this server a shorter public address", len(address), most)
	}
	return nil
}
