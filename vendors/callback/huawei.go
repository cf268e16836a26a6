package callback

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/rouse-im/rouse/vendors"
)

// HuaweiHeader carries the proof (Push Kit, "push-msg-receipt").
const HuaweiHeader = "X-HUAWEI-CALLBACK-ID"

// window bounds how far the clocks may be apart, and so for how long a proof
// that was overheard is good. The proof does not cover the body.
const window = 5 * time.Minute

// Proof is how a receipt configuration of the console signs its requests.
type Proof struct {
	// Header is the name of the signature's.
	Header   string
	UserName string
	// Secret is the configuration's key; empty = it signs nothing. Secret.
	Secret string
}

// Check wants "timestamp=<ms>; nonce=<text>; value=<signature>", where the
// signature is the HMAC of timestamp, nonce and user name, one after the other.
func (p Proof) Check(header http.Header, now time.Time) error {
	if p.Secret == "" {
		return nil
	}
	given := map[string]string{}
	for part := range strings.SplitSeq(header.Get(p.Header), ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		given[name] = value
	}
	signed, err := base64.StdEncoding.DecodeString(given["value"])
	switch {
	case len(signed) == 0 || err != nil:
		return fmt.Errorf("%w: no signature in %s", vendors.ErrReceiptForged, p.Header)
	case now.Sub(Scalar(given["timestamp"]).Time()).Abs() > window:
		return fmt.Errorf("%w: the time of %s is more than %v off; check the clock", vendors.ErrReceiptForged, p.Header, window)
	}
	text := given["timestamp"] + given["nonce"] + p.UserName
	for _, key := range p.keys() {
		mac := hmac.New(sha256.New, key)
		_, _ = mac.Write([]byte(text)) // never fails
		if hmac.Equal(signed, mac.Sum(nil)) {
			return nil
		}
	}
	return fmt.Errorf("%w: wrong signature in %s", vendors.ErrReceiptForged, p.Header)
}

// keys: newer configurations show the key in base64, older ones as it is.
func (p Proof) keys() [][]byte {
	keys := [][]byte{[]byte(p.Secret)}
	if decoded, err := base64.StdEncoding.DecodeString(p.Secret); err == nil {
		keys = append(keys, decoded)
	}
	return keys
}

// huaweiStatus is one entry. HMS's first version has status and timestamp, the
// second one deliveryStatus. Entries about cards have neither.
type huaweiStatus struct {
	Tag       Scalar `json:"biTag"`
	Token     Scalar `json:"token"`
	Request   Scalar `json:"requestId"`
	Status    Scalar `json:"status"`
	Timestamp Scalar `json:"timestamp"`
	Delivery  struct {
		Result    Scalar `json:"result"`
		Timestamp Scalar `json:"timestamp"`
	} `json:"deliveryStatus"`
}

// ReadHuawei reads the statuses of body about tokens that are valid; a status
// that kinds does not know is ReceiptNotShown.
func ReadHuawei(body []byte, kinds map[string]vendors.ReceiptKind, valid func(token string) bool) ([]vendors.Receipt, error) {
	var request struct {
		Statuses []huaweiStatus `json:"statuses"`
	}
	if !Decode(body, &request) || request.Statuses == nil {
		return nil, errors.New(`not a JSON object with a list of "statuses"`)
	}
	list := NewList(valid)
	for _, s := range request.Statuses {
		code, at := s.Status, s.Timestamp
		if code == "" {
			code, at = s.Delivery.Result, s.Delivery.Timestamp
		}
		if code == "" {
			continue
		}
		list.Add(vendors.Receipt{
			Kind: Kind(kinds, string(code)), Token: string(s.Token), PushID: string(s.Tag), VendorID: string(s.Request),
			Code: string(code), At: at.Time(),
		})
	}
	return list.Receipts()
}
