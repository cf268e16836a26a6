package xiaomi

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/rouse-im/rouse/vendors"
	"github.com/rouse-im/rouse/vendors/courier"
)

// Codes that are looked at outside of the table; those with "rouse:" are of
// our own, for what Xiaomi has no code for.
const (
	codeBadToken  = "bad_regids"
	codeChannel   = "27001"
	codeNoTarget  = "20301"
	codeNoDevice  = "65003"
	codeTooBig    = "rouse:MESSAGE_TOO_BIG"
	codeNoText    = "rouse:NO_TEXT"
	codeNoChannel = "rouse:CHANNEL_UNSUPPORTED"
	codeNoAnswer  = "rouse:NO_ANSWER"
)

// qpsPause is the pause after a limit per second; those of "API frequency" do
// not say their span.
const (
	qpsPause       = time.Second
	frequencyPause = 10 * time.Second
)

// row gives a code its meaning.
type row struct {
	outcome vendors.Outcome
	pause   time.Duration // when there is no Retry-After; QuotaExhausted lasts until midnight
}

var (
	retry     = row{vendors.Transient, 0}
	slow      = row{vendors.Throttled, frequencyPause}
	quota     = row{vendors.QuotaExhausted, 0}
	bad       = row{vendors.TokenInvalid, 0}
	operator  = row{vendors.CredentialBad, 0}
	malformed = row{vendors.Rejected, 0}
)

// codes are Xiaomi's result codes (Mi Push result codes, pId=1560, 2024-10;
// names in Java server SDK 2.2.18; classes of notification, pId=1656, 2026-02).
// Those of scheduling, topics and statistics are left out. All Throttled are
// about the app, so about the credential.
var codes = map[int]row{
	-1:    retry, // unknown error
	1:     retry, // unknown error
	10001: retry, // system error
	10002: retry, // service paused
	10003: retry, // remote service error
	10009: retry, // system busy
	10010: retry, // too many pending tasks
	10011: retry, // RPC error
	10037: retry, // request expired
	20607: retry, // push internal error
	26003: retry, // database error
	65029: retry, // remote call failed

	10022: slow, // IP requests over the limit
	10023: slow, // user requests over the limit
	10024: slow, // user requests of this API over the limit
	10027: slow, // API frequencyPause over the limit
	10028: slow, // app frequencyPause over the limit
	26004: slow, // API called too often
	10030: slow, // feedback asked too often
	10032: slow, // alias asked too often
	10039: slow, // trace asked too often

	200002: {vendors.Throttled, qpsPause}, // requests per second of the app

	10034:  quota, // the app sent too many today
	200001: quota, // daily quota of the class exceeded

	10029: bad, // illegal device
	66007: bad, // illegal regid

	10004: operator, // IP not allowed
	10005: operator, // API not allowed
	10014: operator, // API permission missing
	10020: operator, // no such API
	10021: operator, // wrong HTTP method
	10026: operator, // app on the black list
	10031: operator, // operation forbidden
	10036: operator, // app needs review
	21301: operator, // authentication failed
	21302: operator, // token authentication failed
	21303: operator, // request restricted
	26006: operator, // app not allowed
	27001: operator, // channel missing, wrong or not approved; see SendBatch
	65038: operator, // callback address illegal

	10008: malformed, // parameter error
	10012: malformed, // illegal request
	10016: malformed, // parameter missing
	10017: malformed, // parameter value invalid
	10018: malformed, // request too long
	10041: malformed, // title or description breaks the content rules
	20301: malformed, // sending failed; see classify
	21305: malformed, // parameters missing
	65003: malformed, // device not found, offline most often: the token stays
	65009: malformed, // content too long
	65011: malformed, // illegal parameter
	65014: malformed, // too many extra pairs
	65015: malformed, // extra pairs too long
	65028: malformed, // message not found
	65030: malformed, // illegal parameter
	65036: malformed, // callback parameter too long
	65037: malformed, // callback address too long
}

func rowOf(code int) (row, bool) {
	if code >= 22000 && code <= 22022 { // illegal app: id, key, secret, package name
		return operator, true
	}
	r, ok := codes[code]
	return r, ok
}

// answer is what Xiaomi writes; code is a number, and in some clients a string.
type answer struct {
	Result string          `json:"result"`
	Code   json.RawMessage `json:"code"`
	Reason string          `json:"reason"`
	Data   json.RawMessage `json:"data"`
}

// sent is the data of an answer; Bad is one comma-joined string.
type sent struct {
	ID  string `json:"id"`
	Bad string `json:"bad_regids"`
}

// verdict is an answer's meaning: of the call, and of the tokens named dead.
type verdict struct {
	call vendors.Result
	dead map[string]bool
}

// classify gives an answer its meaning at now. Errors come with HTTP 200 and a
// code. What is not Xiaomi's own blames neither token nor credential nor push.
func classify(a courier.Answer, now time.Time) verdict {
	var body answer
	shaped := json.Unmarshal(a.Body, &body) == nil
	code, err := strconv.Atoi(strings.Trim(string(body.Code), `"`))
	if !shaped || err != nil || a.Status < 200 || a.Status >= 500 {
		return verdict{call: byHTTP(a, shaped)}
	}
	if code == 0 && a.Status < 300 && body.Result != "error" {
		return accepted(body.Data)
	}
	result := vendors.Result{Outcome: vendors.Transient, Code: strconv.Itoa(code)}
	if a.Status >= 400 {
		result.Outcome = vendors.Rejected
	}
	if r, ok := rowOf(code); ok {
		result.Outcome, result.RetryAfter = r.outcome, r.pause
	}
	// Seen with this reason when no target is registered with the app
	// (wildfirechat/push_server issue 5).
	if code == 20301 && strings.Contains(strings.ToLower(body.Reason), "no valid target") {
		result.Outcome = vendors.TokenInvalid
	}
	return verdict{call: pause(result, a, now)}
}

func accepted(data json.RawMessage) verdict {
	var d sent
	_ = json.Unmarshal(data, &d) // an answer without data names no dead token
	v := verdict{call: vendors.Result{Outcome: vendors.Accepted, VendorID: d.ID[:min(len(d.ID), 128)]}}
	for token := range strings.SplitSeq(d.Bad, ",") {
		if token = strings.TrimSpace(token); token != "" {
			if v.dead == nil {
				v.dead = map[string]bool{}
			}
			v.dead[token] = true
		}
	}
	return v
}

// of is the Result of one token of the call.
func (v verdict) of(token string) vendors.Result {
	if v.dead[token] {
		return vendors.Result{Outcome: vendors.TokenInvalid, Code: codeBadToken}
	}
	return v.call
}

// byHTTP is for answers without a code. shaped: the answer is JSON.
func byHTTP(a courier.Answer, shaped bool) vendors.Result {
	result := vendors.Result{Outcome: vendors.Transient, Code: "HTTP " + strconv.Itoa(a.Status), RetryAfter: a.RetryAfter}
	switch {
	case a.Status == http.StatusTooManyRequests:
		result.Outcome = vendors.Throttled
	case a.Status == http.StatusUnauthorized && (shaped || len(a.Body) == 0):
		result.Outcome, result.RetryAfter = vendors.CredentialBad, 0
	}
	return result
}

// china is the clock of daily quotas; it has no summer time.
var china = time.FixedZone("UTC+8", 8*60*60)

// pause says how long to wait: as the vendor asks, else as the code means.
func pause(r vendors.Result, a courier.Answer, now time.Time) vendors.Result {
	switch r.Outcome {
	case vendors.QuotaExhausted:
		day := now.In(china)
		r.RetryAfter = time.Date(day.Year(), day.Month(), day.Day()+1, 0, 0, 0, 0, china).Sub(now)
	case vendors.Throttled, vendors.Transient:
		if a.RetryAfter > 0 {
			r.RetryAfter = a.RetryAfter
		}
	case vendors.Accepted, vendors.TokenInvalid, vendors.TokenReplaced, vendors.Rejected, vendors.CredentialBad:
	}
	return r
}
