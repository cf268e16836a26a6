package vivo

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/rouse-im/rouse/vendors"
	"github.com/rouse-im/rouse/vendors/courier"
)

// row gives a result code its meaning. The scope is the credential's for all
// of them: vivo tells of one device's limits by receipts only.
type row struct {
	outcome vendors.Outcome
	// until is the hour of vivo's clock at which a pause ends; only of
	// QuotaExhausted.
	until int
	// class: the credential is not to blame for what a push asked for itself,
	// or for another class than that of chat messages.
	class bool
}

const (
	midnight = 24
	opening  = 7 // of the hours for operational messages, which end at 23
)

// codes are vivo's result codes (vivo PUSH-UPS-API, "Return codes", 2025;
// names from Getui's table of vivo codes; 10085, 10104 and 10040 from clients
// in production).
var codes = map[int]row{
	0: {outcome: vendors.Accepted},

	// After one new bearer. A token may not be known to all of vivo's servers
	// yet, so 10000 condemns nothing; a bad key shows when a bearer is asked for.
	10000: {outcome: vendors.Transient},     // authToken missing, wrong or expired
	10094: {outcome: vendors.CredentialBad}, // authToken of another app

	10040: {outcome: vendors.Transient}, // to be repeated
	10072: {outcome: vendors.Throttled}, // too fast
	10093: {outcome: vendors.Throttled}, // auth called too often

	// vivo lowers the quota of those who go on calling.
	10070: {outcome: vendors.QuotaExhausted, until: midnight}, // operational messages of the day
	10073: {outcome: vendors.QuotaExhausted, until: midnight}, // system messages of the day
	10252: {outcome: vendors.QuotaExhausted, until: midnight}, // saved messages of the day
	10254: {outcome: vendors.QuotaExhausted, until: midnight}, // messages to all of the day
	10071: {outcome: vendors.QuotaExhausted, until: opening},  // outside the hours for operational messages

	10302: {outcome: vendors.TokenInvalid}, // regId unknown, uninstalled or cleared
	10311: {outcome: vendors.Rejected},     // notifications off, or device inactive
	10050: {outcome: vendors.Rejected},     // regId empty

	10043: {outcome: vendors.CredentialBad}, // the app's push is closed
	10045: {outcome: vendors.CredentialBad}, // app under review: only test mode
	// appId, appKey, timestamp or sign missing or illegal
	10200: {outcome: vendors.CredentialBad},
	10201: {outcome: vendors.CredentialBad},
	10202: {outcome: vendors.CredentialBad},
	10203: {outcome: vendors.CredentialBad},
	10204: {outcome: vendors.CredentialBad},
	10205: {outcome: vendors.CredentialBad}, // app unknown
	10206: {outcome: vendors.CredentialBad}, // sign wrong
	10207: {outcome: vendors.CredentialBad}, // timestamp off: check the clock

	10051: {outcome: vendors.CredentialBad, class: true}, // classification not supported
	10082: {outcome: vendors.CredentialBad, class: true}, // no right to system messages
	10096: {outcome: vendors.CredentialBad, class: true}, // category wrong
	10097: {outcome: vendors.CredentialBad, class: true}, // category against classification

	10054: {outcome: vendors.Rejected},  // notifyType
	10055: {outcome: vendors.Rejected},  // title empty
	10056: {outcome: vendors.Rejected},  // title too long
	10057: {outcome: vendors.Rejected},  // content empty
	10058: {outcome: vendors.Rejected},  // content too long
	10059: {outcome: vendors.Rejected},  // timeToLive
	10060: {outcome: vendors.Rejected},  // skipType
	10065: {outcome: vendors.Rejected},  // networkType
	10067: {outcome: vendors.Rejected},  // clientCustomMap
	10095: {outcome: vendors.Rejected},  // notifyId
	10085: {outcome: vendors.Rejected},  // text of digits, letters or symbols alone
	10103: {outcome: vendors.Rejected},  // sensitive text
	10104: {outcome: vendors.Rejected},  // text like that of a test
	10150: {outcome: vendors.Rejected},  // regIds empty
	10151: {outcome: vendors.Rejected},  // taskId empty
	10152: {outcome: vendors.Rejected},  // taskId illegal
	10153: {outcome: vendors.Rejected},  // not 2 to 1000 regIds
	10155: {outcome: vendors.Transient}, // saved message gone, even after saving it again
	10304: {outcome: vendors.Rejected},  // extra: unknown key
	10305: {outcome: vendors.Rejected},  // extra: callback too long
	10306: {outcome: vendors.Rejected},  // extra: callback.param too long
	10352: {outcome: vendors.Rejected},  // requestId empty
	10353: {outcome: vendors.Rejected},  // requestId too long

	// Of the newer API, or of no known meaning: never worth a second try.
	10300: {outcome: vendors.Rejected},
	10301: {outcome: vendors.Rejected},
	10303: {outcome: vendors.Rejected},
	10800: {outcome: vendors.Rejected},
	10801: {outcome: vendors.Rejected},
}

const (
	codeBearer      = 10000
	codeOtherApp    = 10094
	codeUnknownUser = 10302
	codeTimestamp   = 10207
	codeSavedGone   = 10155
	codeSavedQuota  = 10252
)

// user is what vivo says of one regId.
type user struct {
	ID     string `json:"userid"`
	Status number `json:"status"`
}

// dead: unknown in the app, or uninstalled, unsubscribed or cleared. 3 is
// inactive, 4 is no test device, and others are not understood: they live.
func (u user) dead() bool { return u.Status.value == 1 || u.Status.value == 2 }

// result is for a regId in an answer that accepts the call.
func (u user) result() vendors.Result {
	r := vendors.Result{Outcome: vendors.Rejected, Code: "status " + strconv.Itoa(u.Status.value)}
	if u.dead() {
		r.Outcome = vendors.TokenInvalid
	}
	return r
}

// answer is one HTTP answer of the API, read as far as it can be.
type answer struct {
	courier.Answer
	code   number
	task   string
	bearer string
	// invalid is what the answer says of single regIds.
	invalid []user
	// refused is set instead when there is no bearer to ask with.
	refused *vendors.Result
}

// read never fails: what is not understood has no code.
func read(got courier.Answer) answer {
	var body struct {
		Result       number          `json:"result"`
		TaskID       json.RawMessage `json:"taskId"`
		AuthToken    string          `json:"authToken"`
		InvalidUser  *user           `json:"invalidUser"`
		InvalidUsers json.RawMessage `json:"invalidUsers"`
	}
	_ = json.Unmarshal(got.Body, &body) // a field of a wrong type leaves the others
	a := answer{Answer: got, code: body.Result, bearer: body.AuthToken}
	if a.task = strings.Trim(string(body.TaskID), `"`); !visible(a.task, 128) || a.task == "null" {
		a.task = ""
	}
	if body.InvalidUser != nil {
		a.invalid = append(a.invalid, *body.InvalidUser)
	}
	var each []json.RawMessage
	_ = json.Unmarshal(body.InvalidUsers, &each)
	for _, raw := range each {
		var u user
		if json.Unmarshal(raw, &u) == nil && u.ID != "" {
			a.invalid = append(a.invalid, u)
		}
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

// UnmarshalJSON never fails, so that one odd element spoils no list.
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

// is tells whether the answer has this code.
func (a *answer) is(code int) bool { return a.code.given && a.code.value == code }

// needsBearer tells that another bearer may help.
func (a *answer) needsBearer() bool { return a.is(codeBearer) || a.is(codeOtherApp) }

// whole gives the answer to the call its meaning at now. main: the push used
// the credential's own category of chat messages.
func (a *answer) whole(now time.Time, main bool) vendors.Result {
	if a.refused != nil {
		return *a.refused
	}
	if !a.code.given || a.Status >= http.StatusInternalServerError {
		return byHTTP(a.Answer)
	}
	r, known := codes[a.code.value]
	result := vendors.Result{Outcome: r.outcome, Code: strconv.Itoa(a.code.value)}
	switch {
	case !known && a.Status >= http.StatusBadRequest:
		result.Outcome = vendors.Rejected
	case !known:
		result.Outcome = vendors.Transient
	case r.class && !main:
		result.Outcome = vendors.Rejected
	}
	switch result.Outcome {
	case vendors.Accepted:
		result.Code, result.VendorID = "", a.task
	case vendors.QuotaExhausted:
		result.RetryAfter = untilHour(now, r.until)
	case vendors.Throttled, vendors.Transient:
		result.RetryAfter = a.RetryAfter
	case vendors.TokenInvalid, vendors.TokenReplaced, vendors.Rejected, vendors.CredentialBad:
	}
	return result
}

// single gives the answer about one token its meaning. A token is dropped only
// when the answer names no other one, and no state that can pass.
func (a *answer) single(token string, now time.Time, main bool) vendors.Result {
	result := a.whole(now, main)
	if result.Outcome != vendors.TokenInvalid && result.Outcome != vendors.Accepted || len(a.invalid) == 0 {
		return result
	}
	switch u := a.invalid[0]; {
	case u.ID != "" && u.ID != token:
		return vendors.Result{Outcome: vendors.Transient, Code: result.Code}
	case result.Outcome == vendors.Accepted:
		return u.result()
	case u.Status.given && !u.dead():
		result.Outcome = vendors.Rejected
	}
	return result
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

// shanghai is where vivo's day ends; it has no summer time.
var shanghai = time.FixedZone("UTC+8", 8*60*60)

// untilHour is how long it is to the next full hour, 1..24, of vivo's clock.
func untilHour(now time.Time, hour int) time.Duration {
	y, m, d := now.In(shanghai).Date()
	end := time.Date(y, m, d, hour, 0, 0, 0, shanghai)
	if !end.After(now) {
		end = time.Date(y, m, d+1, hour, 0, 0, 0, shanghai)
	}
	return end.Sub(now)
}
