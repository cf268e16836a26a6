package meizu

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rouse-im/rouse/vendors"
	"github.com/rouse-im/rouse/vendors/courier"
)

// Codes of our own, for what Meizu has no code for.
const (
	codeTooBig    = "rouse:MESSAGE_TOO_BIG"
	codeNoText    = "rouse:NO_TEXT"
	codeNoChannel = "rouse:CHANNEL_UNSUPPORTED"
	codeNoAnswer  = "rouse:NO_ANSWER"
)

// Pauses: Meizu's limit is per second, and it does not say how long an overload lasts.
const (
	qpsPause      = time.Second
	overloadPause = 10 * time.Second
)

// row gives a code its meaning.
type row struct {
	outcome vendors.Outcome
	pause   time.Duration // when there is no Retry-After; QuotaExhausted lasts until midnight
}

// callCodes are the values of "code", about the call as a whole (PushAPI
// README, "return codes", 2025-04-09). All Throttled are about the app.
var callCodes = map[string]row{
	"500":    {vendors.Transient, 0},        // other error; its text says which
	"1001":   {vendors.Transient, 0},        // system error
	"1003":   {vendors.Transient, 0},        // server busy
	"1005":   {vendors.Rejected, 0},         // parameter error
	"1006":   {vendors.CredentialBad, 0},    // signature wrong
	"110000": {vendors.CredentialBad, 0},    // appId illegal
	"110001": {vendors.CredentialBad, 0},    // appKey illegal
	"110002": {vendors.TokenInvalid, 0},     // pushId not registered
	"110003": {vendors.TokenInvalid, 0},     // pushId illegal
	"110004": {vendors.Rejected, 0},         // parameter empty
	"110009": {vendors.CredentialBad, 0},    // app on the black list
	"110010": {vendors.Throttled, qpsPause}, // app pushes too fast
	"110019": {vendors.QuotaExhausted, 0},   // over the app's pushes of a day
	"110031": {vendors.CredentialBad, 0},    // packageName illegal
	"110032": {vendors.Rejected, 0},         // taskId illegal
	"110033": {vendors.CredentialBad, 0},    // appSecret illegal
	"110051": {vendors.QuotaExhausted, 0},   // over the app's count
	"110053": {vendors.CredentialBad, 0},    // data messages are limited
}

// tokenCodes are the keys of "value", about the tokens listed under them (the
// same place; 518 in the UPS SDK, 2019). 110010 means another thing here.
var tokenCodes = map[string]row{
	"201":    {vendors.Rejected, 0},              // no permission; see settle
	"501":    {vendors.Transient, 0},             // database error
	"513":    {vendors.Transient, 0},             // push failed
	"518":    {vendors.Throttled, qpsPause},      // over the configured rate
	"519":    {vendors.Throttled, overloadPause}, // service overloaded
	"520":    {vendors.Accepted, 0},              // folded with others of the last minute on this phone
	"110002": {vendors.TokenInvalid, 0},          // pushId not subscribed
	"110003": {vendors.TokenInvalid, 0},          // pushId illegal
	"110005": {vendors.Rejected, 0},              // alias not subscribed
	"110010": {vendors.Rejected, 0},              // the phone's notification switch is off: the token stays
	"110011": {vendors.QuotaExhausted, 0},        // public messages over the day's limit
}

const noPermission = "201"

// answer is what Meizu writes. Value is an object, and "" beside an error.
type answer struct {
	Code  json.RawMessage `json:"code"`
	Value json.RawMessage `json:"value"`
	MsgID string          `json:"msgId"`
}

// verdict is an answer's meaning: of the call, and the codes of tokens.
type verdict struct {
	call  vendors.Result
	codes map[string]string // by token
	now   time.Time
	pause time.Duration // that the vendor asked for
}

// classify gives an answer its meaning at now. Errors come with HTTP 200 and a
// code. What is not Meizu's own blames neither token nor credential nor push.
func classify(a courier.Answer, now time.Time) verdict {
	v := verdict{now: now, pause: a.RetryAfter}
	var body answer
	shaped := json.Unmarshal(a.Body, &body) == nil
	code := strings.Trim(string(body.Code), `"`)
	if _, err := strconv.Atoi(code); !shaped || err != nil || a.Status < 200 || a.Status >= 500 {
		v.call = byHTTP(a)
		return v
	}
	if code == "200" && a.Status < 300 {
		v.call = vendors.Result{Outcome: vendors.Accepted, VendorID: body.MsgID}
		v.readValue(body.Value)
		v.call.VendorID = v.call.VendorID[:min(len(v.call.VendorID), 128)]
		return v
	}
	unknown := row{vendors.Transient, 0}
	if a.Status >= 400 {
		unknown.outcome = vendors.Rejected
	}
	v.call = v.meaning(callCodes, code, unknown)
	return v
}

// readValue takes the codes of tokens from any of the shapes that clients have
// met: code to tokens, that under "respTarget", or token to code. A token under
// two codes is dead only if both say so.
func (v *verdict) readValue(raw json.RawMessage) {
	var value map[string]json.RawMessage
	if json.Unmarshal(raw, &value) != nil {
		return // "" or nothing: no token is named
	}
	if inner, ok := value["respTarget"]; ok {
		if v.call.VendorID == "" {
			_ = json.Unmarshal(value["msgId"], &v.call.VendorID) // else it has none
		}
		v.readValue(inner)
		return
	}
	for _, key := range slices.Sorted(maps.Keys(value)) {
		var tokens []string
		var code string
		switch {
		case json.Unmarshal(value[key], &tokens) == nil:
			for _, token := range tokens {
				v.note(token, key)
			}
		case json.Unmarshal(value[key], &code) == nil:
			v.note(key, code)
		}
	}
}

func (v *verdict) note(token, code string) {
	if v.codes == nil {
		v.codes = map[string]string{}
	}
	if had, ok := v.codes[token]; !ok || tokenCodes[had].outcome == vendors.TokenInvalid {
		v.codes[token] = code
	}
}

// settle gives each token its Result.
func (v *verdict) settle(tokens []string) []vendors.Result {
	results := make([]vendors.Result, len(tokens))
	refused := 0
	for i, token := range tokens {
		code, named := v.codes[token]
		if !named {
			results[i] = v.call
			continue
		}
		if code == noPermission {
			refused++
		}
		results[i] = v.meaning(tokenCodes, code, row{vendors.Transient, 0})
		if results[i].Outcome == vendors.Accepted {
			results[i].VendorID = v.call.VendorID
		}
	}
	// "No permission" for one phone is its own matter, for all of many the app's.
	if refused == len(tokens) && refused > 1 {
		for i := range results {
			results[i].Outcome = vendors.CredentialBad
		}
	}
	return results
}

// china is the clock of daily quotas; it has no summer time.
var china = time.FixedZone("UTC+8", 8*60*60)

func (v *verdict) meaning(table map[string]row, code string, unknown row) vendors.Result {
	r, ok := table[code]
	if !ok {
		r = unknown
	}
	result := vendors.Result{Outcome: r.outcome, Code: code[:min(len(code), 64)], RetryAfter: r.pause}
	switch r.outcome {
	case vendors.QuotaExhausted:
		day := v.now.In(china)
		result.RetryAfter = time.Date(day.Year(), day.Month(), day.Day()+1, 0, 0, 0, 0, china).Sub(v.now)
	case vendors.Throttled, vendors.Transient:
		if v.pause > 0 {
			result.RetryAfter = v.pause
		}
	case vendors.Accepted, vendors.TokenInvalid, vendors.TokenReplaced, vendors.Rejected, vendors.CredentialBad:
	}
	return result
}

// byHTTP is for answers without a code.
func byHTTP(a courier.Answer) vendors.Result {
	result := vendors.Result{Outcome: vendors.Transient, Code: "HTTP " + strconv.Itoa(a.Status), RetryAfter: a.RetryAfter}
	if a.Status == http.StatusTooManyRequests {
		result.Outcome = vendors.Throttled
	}
	return result
}
