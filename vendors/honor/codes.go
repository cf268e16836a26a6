package honor

import (
	"cmp"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/rouse-im/rouse/vendors"
	"github.com/rouse-im/rouse/vendors/courier"
)

// Codes of our own, for what Honor has no code for.
const (
	codeTooBig    = "rouse:MESSAGE_TOO_BIG"
	codeNoChannel = "rouse:CHANNEL_UNSUPPORTED"
	codeExpired   = "expireTokens"
	codeFailed    = "failTokens"
)

// maxCode bounds a code in bytes; what is longer is none.
const maxCode = 32

const codePartial = "80100000"

// row gives a code its meaning.
type row struct {
	outcome vendors.Outcome
	renew   bool // another bearer may help, once
}

// codes: 200 is in the answers that public clients of Honor's downlink-message
// API agree on. All of 8xxxxxxx is unconfirmed: Huawei's codes, which some of
// those clients take for Honor's too. The rest is HTTP's, in the place of a
// code. Config.Outcomes comes first.
//
// 80300007, "all tokens are invalid" at Huawei, drops none here: Honor names
// dead tokens in expireTokens.
var codes = map[string]row{
	"200":       {vendors.Accepted, false},
	"80000000":  {vendors.Accepted, false},
	codePartial: {vendors.Accepted, false}, // but for the tokens listed
	"400":       {vendors.Rejected, false},
	"401":       {vendors.CredentialBad, true}, // "accesstoken invalid"
	"403":       {vendors.CredentialBad, true}, // same
	"429":       {vendors.Throttled, false},
	"503":       {vendors.Throttled, false},
	"80100001":  {vendors.Rejected, false},      // parameter
	"80100003":  {vendors.Rejected, false},      // message structure
	"80100004":  {vendors.Rejected, false},      // ttl
	"80200001":  {vendors.CredentialBad, true},  // bearer invalid
	"80200003":  {vendors.CredentialBad, true},  // bearer expired
	"80300002":  {vendors.CredentialBad, false}, // app may not send
	"80300007":  {vendors.Transient, false},     // all tokens invalid
	"80300008":  {vendors.Rejected, false},      // body too long
	"80300010":  {vendors.Rejected, false},      // number of tokens
	"80300028":  {vendors.Throttled, false},     // flow control
	"81000001":  {vendors.Transient, false},     // internal
}

// verdict is what an answer says of the call and of single tokens.
type verdict struct {
	call   vendors.Result
	tokens map[string]vendors.Result
	renew  bool
}

// reply has the spellings that clients have met: code as number or string, the
// request id in data or beside it.
type reply struct {
	Code      scalar     `json:"code"`
	RequestID courier.ID `json:"requestId"`
	Data      struct {
		SendResult   scalar     `json:"sendResult"` // "true", "false"
		RequestID    courier.ID `json:"requestId"`
		FailTokens   []string   `json:"failTokens"`
		ExpireTokens []string   `json:"expireTokens"`
	} `json:"data"`
}

// classify gives an answer its meaning. What is not Honor's own answer blames
// neither token nor credential nor push.
func (c *Config) classify(a courier.Answer) verdict {
	var r reply
	_ = json.Unmarshal(a.Body, &r) // a field of another type leaves the others
	shaped := r.Code != "" || r.Data.SendResult != ""
	v := verdict{call: byHTTP(a.Status, shaped), tokens: map[string]vendors.Result{}}
	if r.Code != "" {
		v.call.Code = string(r.Code)
	}
	v.call.VendorID = string(cmp.Or(r.Data.RequestID, r.RequestID))
	v.renew = a.Status == http.StatusUnauthorized || a.Status == http.StatusForbidden
	if shaped && a.Status < 500 {
		if a.Status != http.StatusTooManyRequests { // flow control whatever the code
			v.readCode(c, &r, a.Status < 300)
		}
		v.readTokens(&r)
	}
	if v.call.Outcome == vendors.Throttled || v.call.Outcome == vendors.Transient {
		v.call.RetryAfter = a.RetryAfter
	}
	if v.call.Outcome == vendors.Accepted {
		v.call.Code = ""
	}
	return v
}

// readCode: a success is sendResult true or a code of success, within HTTP
// 2xx. sendResult false takes a code's success back unless lists say for whom.
func (v *verdict) readCode(c *Config, r *reply, ok bool) {
	code := string(r.Code)
	known, found := codes[code]
	if own, set := c.Outcomes[code]; set {
		known, found = row{outcome: own}, true
	}
	listed := len(r.Data.FailTokens)+len(r.Data.ExpireTokens) > 0
	sent := r.Data.SendResult
	switch {
	case ok && sent == "true":
		known, found = row{outcome: vendors.Accepted}, true
	case found && known.outcome == vendors.Accepted && (!ok || !listed && (sent == "false" || code == codePartial)):
		known.outcome = vendors.Transient // a contradiction
	}
	if found {
		v.call.Outcome, v.renew = known.outcome, known.renew
	}
}

// readTokens: Honor does not say why a token failed, so that one is tried again.
func (v *verdict) readTokens(r *reply) {
	for _, token := range r.Data.FailTokens {
		v.tokens[token] = vendors.Result{Outcome: vendors.Transient, Code: codeFailed, VendorID: v.call.VendorID}
	}
	for _, token := range r.Data.ExpireTokens {
		v.tokens[token] = vendors.Result{Outcome: vendors.TokenInvalid, Code: codeExpired, VendorID: v.call.VendorID}
	}
}

// of gives each token its result, in order.
func (v *verdict) of(tokens []string) []vendors.Result {
	results := slices.Repeat([]vendors.Result{v.call}, len(tokens))
	for i, token := range tokens {
		if single, ok := v.tokens[token]; ok {
			results[i] = single
		}
	}
	return results
}

// byHTTP is for answers without a known code. shaped: Honor itself answered.
func byHTTP(status int, shaped bool) vendors.Result {
	result := vendors.Result{Outcome: vendors.Transient, Code: httpCode(status)}
	switch {
	case status == http.StatusServiceUnavailable || status == http.StatusTooManyRequests:
		result.Outcome = vendors.Throttled
	case status < 400 || status >= 500:
	case shaped && (status == http.StatusUnauthorized || status == http.StatusForbidden || status == http.StatusNotFound):
		result.Outcome = vendors.CredentialBad
	case shaped || status == http.StatusRequestEntityTooLarge:
		result.Outcome = vendors.Rejected
	}
	return result
}

func httpCode(status int) string { return "HTTP " + strconv.Itoa(status) }

// scalar is a JSON string, number or boolean of at most maxCode bytes; anything else is empty.
type scalar string

// UnmarshalJSON never fails.
func (s *scalar) UnmarshalJSON(raw []byte) error {
	text := strings.Trim(string(raw), `" `)
	*s = ""
	if len(text) <= maxCode && visible(text) && !strings.ContainsAny(text, `\{[`) && text != "null" {
		*s = scalar(text)
	}
	return nil
}
