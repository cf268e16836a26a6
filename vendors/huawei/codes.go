package huawei

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/rouse-im/rouse/vendors"
	"github.com/rouse-im/rouse/vendors/courier"
)

// Codes of our own, for what Huawei has no code for.
const (
	codeTooBig     = "rouse:MESSAGE_TOO_BIG"
	codeNoChannel  = "rouse:CHANNEL_UNSUPPORTED"
	codeDeadTokens = "rouse:DEAD_TOKENS_ONLY"
)

// Codes with tokens in their msg.
const (
	codePartial    = "80100000"
	codeAllInvalid = "80300007"
)

// row gives a code its meaning.
type row struct {
	outcome vendors.Outcome
	renew   bool // another bearer may help, once
}

// codes are the result codes of both services. Sources: HMS Core "Push Kit
// REST APIs, Result codes"; Huawei's own Java server demo for 8200xxxx, of
// which those about groups and topics, not used here, are left out;
// HarmonyOS "push-scenariozed-api-response" for 80100022, 80200005, 803000(29,
// 30, 36, 37). What only concerns one push or an option of it is Rejected.
var codes = map[string]row{
	"80000000":     {vendors.Accepted, false},
	codePartial:    {vendors.Accepted, false},      // but for the tokens in msg
	"80100001":     {vendors.Rejected, false},      // wrong parameter
	"80100002":     {vendors.Rejected, false},      // a sync message has one token
	"80100003":     {vendors.Rejected, false},      // message structure
	"80100004":     {vendors.Rejected, false},      // expires in the past
	"80100013":     {vendors.Rejected, false},      // collapse_key
	"80100016":     {vendors.Rejected, false},      // sensitive content, of the push and not the token
	"80100017":     {vendors.Throttled, false},     // too many topic tasks
	"80100018":     {vendors.Rejected, false},      // body or its review signature
	"80100022":     {vendors.Rejected, false},      // image not verified
	"80200001":     {vendors.CredentialBad, true},  // authentication failed, or another app's bearer
	"80200003":     {vendors.CredentialBad, true},  // bearer expired
	"80200005":     {vendors.CredentialBad, true},  // JWT expired
	"80300002":     {vendors.CredentialBad, false}, // app may not send
	codeAllInvalid: {vendors.TokenInvalid, false},
	"80300008":     {vendors.Rejected, false},      // body too long
	"80300010":     {vendors.Rejected, false},      // number of tokens
	"80300011":     {vendors.Rejected, false},      // no right to importance HIGH
	"80300013":     {vendors.CredentialBad, false}, // receipt address or certificate
	"80300029":     {vendors.Throttled, false},     // flow of test messages
	"80300030":     {vendors.Rejected, false},      // number of test tokens
	"80300036":     {vendors.CredentialBad, false}, // JWT valid for more than a day
	"80300037":     {vendors.CredentialBad, false}, // penalty
	"80600003":     {vendors.Transient, false},     // Huawei's own OAuth service
	"81000001":     {vendors.Transient, false},     // internal
	"82000012":     {vendors.CredentialBad, false}, // data location of the app
	"82000013":     {vendors.CredentialBad, false}, // same
}

// reasons are the keys of illegalTokens (same source; HarmonyOS only).
// noRight: the token is of another project, or its phone was upgraded to
// HarmonyOS 5; either way the app must register anew.
var reasons = map[string]vendors.Outcome{
	"tokenFormatError":                       vendors.TokenInvalid,
	"tokenPlatformNotSupport":                vendors.TokenInvalid,
	"noRight":                                vendors.TokenInvalid,
	"noPushTypeRight":                        vendors.Rejected,
	"noRightToSendThisLiveNotificationEvent": vendors.Rejected,
	"notSupportPlayVoice":                    vendors.Rejected,
	"differentImgVerifyPolicy":               vendors.Rejected,
	"atomicUnableSendUnsubscribedMsg":        vendors.Rejected,
	"disableSendHuaweiMsgBecauseOfPenalty":   vendors.CredentialBad,
	"appinfoError":                           vendors.Transient,
	"countryNotSupport":                      vendors.Rejected,
}

// verdict is what an answer says of the call and of single tokens.
type verdict struct {
	call   vendors.Result
	tokens map[string]vendors.Result // nil = nothing
	renew  bool
}

// classify gives an answer its meaning. What is not Huawei's own answer blames
// neither token nor credential nor push.
func classify(a courier.Answer) verdict {
	var body struct {
		Code      scalar          `json:"code"`
		Msg       json.RawMessage `json:"msg"`
		RequestID courier.ID      `json:"requestId"`
	}
	shaped := json.Unmarshal(a.Body, &body) == nil && body.Code != ""
	v := verdict{call: byHTTP(a.Status, shaped)}
	if shaped {
		v.call.Code = string(body.Code)
	}
	v.call.VendorID = string(body.RequestID)
	v.renew = a.Status == http.StatusUnauthorized
	r, known := codes[string(body.Code)]
	// HTTP 503 is flow control whatever its body; a failure cannot say success.
	if shaped && known && a.Status != http.StatusServiceUnavailable && (a.Status < 300 || r.outcome != vendors.Accepted) &&
		(a.Status < 500 || r.outcome == vendors.Transient || r.outcome == vendors.Throttled) {
		v.call.Outcome, v.renew = r.outcome, r.renew
		v.readTokens(string(body.Code), body.Msg)
	}
	if v.call.Outcome == vendors.Throttled || v.call.Outcome == vendors.Transient {
		v.call.RetryAfter = a.RetryAfter
	}
	if v.call.Outcome == vendors.Accepted {
		v.call.Code = ""
	}
	return v
}

// byHTTP is for answers without a known code. shaped: Huawei itself answered.
func byHTTP(status int, shaped bool) vendors.Result {
	result := vendors.Result{Outcome: vendors.Transient, Code: httpCode(status)}
	switch {
	case status == http.StatusServiceUnavailable || status == http.StatusTooManyRequests:
		result.Outcome = vendors.Throttled // devices per second, or the system's
	case status < 400 || status >= 500:
	case shaped && (status == http.StatusUnauthorized || status == http.StatusForbidden || status == http.StatusNotFound):
		result.Outcome = vendors.CredentialBad
	case shaped || status == http.StatusRequestEntityTooLarge:
		result.Outcome = vendors.Rejected
	}
	return result
}

func httpCode(status int) string { return "HTTP " + strconv.Itoa(status) }

// readTokens takes single tokens from msg, a JSON text within a string:
// {"illegal_tokens":[...]} from HMS, {"illegalTokens":{reason:[...]}} from
// HarmonyOS, whose reasons may carry spaces (Huawei's own sample). A partial
// success whose list cannot be read leaves all unknown.
func (v *verdict) readTokens(code string, raw json.RawMessage) {
	if code != codePartial && code != codeAllInvalid {
		return
	}
	var text string
	if json.Unmarshal(raw, &text) == nil {
		raw = json.RawMessage(text)
	}
	var msg struct {
		HMS     []string            `json:"illegal_tokens"`
		Harmony map[string][]string `json:"illegalTokens"`
	}
	_ = json.Unmarshal(raw, &msg) // whatever could be read counts
	v.tokens = map[string]vendors.Result{}
	for _, token := range msg.HMS {
		v.tokens[token] = v.single(vendors.TokenInvalid, code+" illegal_tokens")
	}
	for reason, tokens := range msg.Harmony {
		reason = strings.TrimSpace(reason)
		outcome, known := reasons[reason]
		if !known {
			outcome, reason = vendors.Transient, "unknown reason"
		}
		for _, token := range tokens {
			v.tokens[token] = v.single(outcome, code+" "+reason)
		}
	}
	if code == codePartial && len(v.tokens) == 0 {
		v.call.Outcome, v.call.Code = vendors.Transient, code
	}
}

func (v *verdict) single(o vendors.Outcome, code string) vendors.Result {
	return vendors.Result{Outcome: o, Code: code, VendorID: v.call.VendorID}
}

// of gives each token its result, in order.
func (v *verdict) of(tokens []string) []vendors.Result {
	results := make([]vendors.Result, len(tokens))
	for i, token := range tokens {
		results[i] = v.call
		if single, ok := v.tokens[token]; ok {
			results[i] = single
		}
	}
	return results
}

// maxDeadRun is how many tokens in a row may be dead before that blames the
// credential: 80300007 is also the answer to the tokens of another app, so a
// wrong App ID must not cost an app all its tokens.
const maxDeadRun = 200

// run counts the dead tokens since the last push that was taken.
type run struct{ dead atomic.Int64 }

// judge replaces TokenInvalid beyond the run by CredentialBad.
func (r *run) judge(results []vendors.Result) {
	for i := range results {
		if results[i].Outcome == vendors.Accepted {
			r.dead.Store(0)
			return
		}
	}
	for i := range results {
		if results[i].Outcome == vendors.TokenInvalid && r.dead.Add(1) > maxDeadRun {
			results[i] = vendors.Result{Outcome: vendors.CredentialBad, Code: codeDeadTokens}
		}
	}
}
