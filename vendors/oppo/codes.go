package oppo

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/rouse-im/rouse/vendors"
	"github.com/rouse-im/rouse/vendors/courier"
)

// row gives a return code its meaning. The scope is the credential's for all
// of them: OPPO tells of one device's limits by receipts only.
type row struct {
	outcome vendors.Outcome
	// daily: until the vendor's midnight.
	daily bool
	// class: the credential is not to blame for what a push asked for itself,
	// or for another class than that of chat messages.
	class bool
}

// codes are OPPO's return codes (OPPO PUSH server API, "Public return codes"
// and "Interface return codes", 2026; 42 and 69 from Getui's table of OPPO
// codes; 54 from NetEase's).
var codes = map[int]row{
	0:  {outcome: vendors.Accepted},
	-1: {outcome: vendors.Transient}, // service unavailable
	-2: {outcome: vendors.Throttled}, // flow control of the server
	13: {outcome: vendors.Throttled}, // the app's calls, by number or rate
	55: {outcome: vendors.Throttled}, // the app's calls, by rate
	69: {outcome: vendors.Throttled}, // global limit

	// After one new bearer. Another node may be replacing bearers as well, so
	// this condemns nothing; a bad key shows when a bearer is asked for.
	11: {outcome: vendors.Transient}, // auth_token invalid
	29: {outcome: vendors.Transient}, // auth_token missing

	33: {outcome: vendors.QuotaExhausted, daily: true}, // messages of the day
	34: {outcome: vendors.QuotaExhausted, daily: true}, // pictures of the day
	42: {outcome: vendors.QuotaExhausted, daily: true}, // saved messages of the day

	10000: {outcome: vendors.TokenInvalid}, // registration_id of a wrong form, or unknown
	10001: {outcome: vendors.Rejected},     // not subscribed, or push is off on the device
	// Aliases are not used here, so an answer about one says nothing of the token.
	10002: {outcome: vendors.Rejected}, // alias invalid
	10003: {outcome: vendors.Rejected}, // alias not subscribed
	10004: {outcome: vendors.Accepted}, // registration_id given twice: the other one counts
	10005: {outcome: vendors.Accepted}, // alias given twice

	12: {outcome: vendors.CredentialBad}, // HTTP method
	14: {outcome: vendors.CredentialBad}, // app key missing
	15: {outcome: vendors.CredentialBad}, // app key invalid
	16: {outcome: vendors.CredentialBad}, // signature missing or made with another secret
	17: {outcome: vendors.CredentialBad}, // signature invalid
	18: {outcome: vendors.CredentialBad}, // timestamp missing
	19: {outcome: vendors.CredentialBad}, // timestamp off: check the clock
	20: {outcome: vendors.CredentialBad}, // method missing
	21: {outcome: vendors.CredentialBad}, // method invalid
	22: {outcome: vendors.CredentialBad}, // version missing
	23: {outcome: vendors.CredentialBad}, // version invalid
	24: {outcome: vendors.CredentialBad}, // version not supported
	25: {outcome: vendors.CredentialBad}, // encoding
	26: {outcome: vendors.CredentialBad}, // address on the black list
	27: {outcome: vendors.CredentialBad}, // no right to this function
	28: {outcome: vendors.CredentialBad}, // app disabled
	30: {outcome: vendors.CredentialBad}, // no right to push by API
	59: {outcome: vendors.CredentialBad}, // no right to the secondary link

	54: {outcome: vendors.CredentialBad, class: true}, // private category without its template
	67: {outcome: vendors.CredentialBad, class: true}, // no right to the category or level

	31: {outcome: vendors.Rejected}, // data does not exist
	32: {outcome: vendors.Accepted}, // data is there already: a repeat
	40: {outcome: vendors.Rejected}, // argument missing
	41: {outcome: vendors.Rejected}, // argument invalid; TokenInvalid when it names the token
	51: {outcome: vendors.Rejected}, // picture invalid
}

const (
	codeBearerInvalid = 11
	codeBearerMissing = 29
	codeTimestamp     = 19
	codeArgument      = 41
)

// verdict is what an answer, or one element of it, says.
type verdict struct {
	code    number
	message string
	id      string
}

// answer is one HTTP answer of the API, read as far as it can be.
type answer struct {
	courier.Answer
	verdict
	data json.RawMessage
	// refused is set instead when there is no bearer to ask with.
	refused *vendors.Result
}

// read never fails: what is not understood has no code.
func read(got courier.Answer) answer {
	var body struct {
		Code    number          `json:"code"`
		Message string          `json:"message"`
		Data    json.RawMessage `json:"data"`
	}
	a := answer{Answer: got}
	_ = json.Unmarshal(got.Body, &body) // a field of a wrong type leaves the others
	a.code, a.message, a.data = body.Code, body.Message, body.Data
	var data struct {
		ID string `json:"messageId"`
	}
	if json.Unmarshal(body.Data, &data) == nil {
		a.id = data.ID
	}
	return a
}

// number is a code, written as a JSON number or as its text.
type number struct {
	value int
	given bool
}

// unreadable is the value of what is neither a number nor null; no code has it.
const unreadable = -1 << 31

// UnmarshalJSON never fails, so that one odd element spoils no batch.
func (n *number) UnmarshalJSON(raw []byte) error {
	*n = number{}
	if string(raw) == "null" {
		return nil
	}
	value, err := strconv.Atoi(strings.Trim(string(raw), `"`))
	if err != nil {
		value = unreadable
	}
	*n = number{value, err == nil}
	return nil
}

// needsBearer tells that another bearer may help.
func (a *answer) needsBearer() bool {
	return a.code.given && (a.code.value == codeBearerInvalid || a.code.value == codeBearerMissing)
}

// result gives the answer as a whole its meaning at now. main: the push used
// the credential's own category of chat messages.
func (a *answer) result(now time.Time, main bool) vendors.Result {
	if a.refused != nil {
		return *a.refused
	}
	if !a.code.given || a.Status >= http.StatusInternalServerError {
		return byHTTP(a.Answer)
	}
	return a.verdict.result(a.Answer, now, main)
}

// result gives a code its meaning. Codes from the future blame no token: in a
// 4xx answer they are about the request, otherwise they may pass.
func (v *verdict) result(a courier.Answer, now time.Time, main bool) vendors.Result {
	r, known := codes[v.code.value]
	result := vendors.Result{Outcome: r.outcome, Code: strconv.Itoa(v.code.value)}
	switch {
	case !known && a.Status >= http.StatusBadRequest:
		result.Outcome = vendors.Rejected
	case !known:
		result.Outcome = vendors.Transient
	case r.class && !main:
		result.Outcome = vendors.Rejected
	case v.code.value == codeArgument && namesToken(v.message):
		result.Outcome = vendors.TokenInvalid
	}
	switch result.Outcome {
	case vendors.Accepted:
		result.VendorID = v.id[:min(len(v.id), 128)]
		if v.code.value == 0 {
			result.Code = ""
		}
	case vendors.QuotaExhausted:
		result.RetryAfter = untilMidnight(now)
	case vendors.Throttled, vendors.Transient:
		result.RetryAfter = a.RetryAfter
	case vendors.TokenInvalid, vendors.TokenReplaced, vendors.Rejected, vendors.CredentialBad:
	}
	return result
}

// namesToken: code 41 is also seen for a registration_id of a wrong form, and
// then says so.
func namesToken(message string) bool {
	message = strings.ToLower(message)
	return strings.Contains(message, "registration_id") || strings.Contains(message, "registrationid")
}

// byHTTP is for answers without a code: something on the way gave them.
func byHTTP(a courier.Answer) vendors.Result {
	result := vendors.Result{Outcome: vendors.Transient, Code: "HTTP " + strconv.Itoa(a.Status), RetryAfter: a.RetryAfter}
	switch a.Status {
	case http.StatusTooManyRequests:
		result.Outcome = vendors.Throttled
	case http.StatusRequestEntityTooLarge:
		result.Outcome, result.RetryAfter = vendors.Rejected, 0
	}
	return result
}

// shanghai is where OPPO's day ends; it has no summer time.
var shanghai = time.FixedZone("UTC+8", 8*60*60)

// untilMidnight is how long OPPO's day still lasts.
func untilMidnight(now time.Time) time.Duration {
	y, m, d := now.In(shanghai).Date()
	return time.Date(y, m, d+1, 0, 0, 0, 0, shanghai).Sub(now)
}
