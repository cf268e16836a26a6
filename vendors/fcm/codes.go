package fcm

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rouse-im/rouse/vendors"
)

// Codes of our own, for what Google has no code for.
const (
	codeTooBig    = "rouse:MESSAGE_TOO_BIG"
	codeMalformed = "rouse:MALFORMED_MESSAGE"
)

// Pauses. Google: "QUOTA_EXCEEDED: minimum initial delay of 1 minute",
// "INTERNAL, UNAVAILABLE: wait at least 10 seconds" (FCM docs: ErrorCode;
// Best practices when sending at scale). A Retry-After is clamped to 0..1 h.
const (
	quotaPause    = time.Minute
	serverPause   = 10 * time.Second
	maxRetryAfter = time.Hour
)

// row gives a code its meaning. It holds only for an answer with this HTTP
// status: a code in the wrong place is not understood.
type row struct {
	status  int
	outcome vendors.Outcome
	pause   time.Duration // when there is no Retry-After
}

// fcmCodes are the values of FcmError.errorCode (FCM HTTP v1 reference,
// ErrorCode, 2026). INVALID_ARGUMENT is TokenInvalid when it names the token.
//
// THIRD_PARTY_AUTH_ERROR says that the project's APNs or web push key is bad.
// It concerns the iOS and web tokens alone, so it does not condemn the
// credential, which goes on serving Android; and OAuth has no part in it.
var fcmCodes = map[string]row{
	"INVALID_ARGUMENT":       {400, vendors.Rejected, 0},
	"THIRD_PARTY_AUTH_ERROR": {401, vendors.Rejected, 0},
	"APNS_AUTH_ERROR":        {401, vendors.Rejected, 0}, // its older name
	"SENDER_ID_MISMATCH":     {403, vendors.TokenInvalid, 0},
	"UNREGISTERED":           {404, vendors.TokenInvalid, 0},
	"QUOTA_EXCEEDED":         {429, vendors.Throttled, quotaPause},
	"INTERNAL":               {500, vendors.Transient, serverPause},
	"UNSPECIFIED_ERROR":      {500, vendors.Transient, serverPause},
	"UNAVAILABLE":            {503, vendors.Transient, serverPause},
}

// statusCodes are the values of error.status without an FcmError (google.rpc.Code).
var statusCodes = map[string]row{
	"INVALID_ARGUMENT":   {400, vendors.Rejected, 0},
	"UNAUTHENTICATED":    {401, vendors.CredentialBad, 0}, // after one new bearer
	"PERMISSION_DENIED":  {403, vendors.CredentialBad, 0}, // API off or IAM role missing
	"NOT_FOUND":          {404, vendors.CredentialBad, 0}, // no such project
	"RESOURCE_EXHAUSTED": {429, vendors.Throttled, quotaPause},
	"INTERNAL":           {500, vendors.Transient, serverPause},
	"UNAVAILABLE":        {503, vendors.Transient, serverPause},
}

// invalidToken is the message of a 400 about the token (FCM docs: FCM error codes).
const invalidToken = "The registration token is not a valid FCM registration token"

const (
	typeFCM        = "type.googleapis.com/google.firebase.fcm.v1.FcmError"
	typeBadRequest = "type.googleapis.com/google.rpc.BadRequest"
	typeQuota      = "type.googleapis.com/google.rpc.QuotaFailure"
)

// answer is one HTTP answer, whoever gave it.
type answer struct {
	status int
	header http.Header
	body   []byte // at most maxAnswer bytes, cut there
}

// rpcError is google.rpc.Status as JSON. An answer without error.status is not
// from FCM but from something on the way.
type rpcError struct {
	Status  string   `json:"status"`
	Message string   `json:"message"`
	Details []detail `json:"details"`
}

type detail struct {
	Type       string      `json:"@type"`
	ErrorCode  string      `json:"errorCode"`
	Fields     []violation `json:"fieldViolations"`
	Violations []violation `json:"violations"`
}

type violation struct {
	Field       string `json:"field"`
	Subject     string `json:"subject"`
	Description string `json:"description"`
}

// classify gives an answer its meaning at now: by FcmError, then by status,
// then by HTTP code. What is not FCM's own answer blames neither token nor
// credential nor push.
func classify(a answer, now time.Time) vendors.Result {
	if a.status >= 200 && a.status < 300 {
		return accepted(a)
	}
	var body struct {
		Error rpcError `json:"error"`
	}
	_ = json.Unmarshal(a.body, &body) // not JSON: no status either
	e := body.Error
	if e.Status == "" {
		e = rpcError{}
	}
	result := byHTTP(a.status, e.Status != "")
	if r, ok := statusCodes[e.Status]; ok && r.status == a.status {
		result = vendors.Result{Outcome: r.outcome, Code: e.Status, RetryAfter: r.pause}
	}
	code := e.fcmCode()
	if r, ok := fcmCodes[code]; ok && r.status == a.status {
		result = vendors.Result{Outcome: r.outcome, Code: code, RetryAfter: r.pause}
	}
	if result.Code == "INVALID_ARGUMENT" && e.namesToken(code) {
		result.Outcome = vendors.TokenInvalid
	}
	if result.Outcome == vendors.Throttled && e.namesDevice() {
		result.Scope = vendors.ScopeDevice
	}
	if result.Outcome == vendors.Throttled || result.Outcome == vendors.Transient {
		if pause, ok := retryAfter(a.header, now); ok {
			result.RetryAfter = pause
		}
	}
	return result
}

// accepted reads {"name":"projects/p/messages/id"}.
func accepted(a answer) vendors.Result {
	var body struct {
		Name string `json:"name"`
	}
	if json.Unmarshal(a.body, &body) != nil || body.Name == "" {
		return vendors.Result{Outcome: vendors.Transient, Code: httpCode(a.status)}
	}
	id := body.Name[strings.LastIndexByte(body.Name, '/')+1:]
	return vendors.Result{Outcome: vendors.Accepted, VendorID: id[:min(len(id), 128)]}
}

// byHTTP is for answers without a known code. shaped: FCM itself answered.
func byHTTP(status int, shaped bool) vendors.Result {
	result := vendors.Result{Outcome: vendors.Transient, Code: httpCode(status)}
	switch {
	case status == http.StatusTooManyRequests:
		result.Outcome, result.RetryAfter = vendors.Throttled, quotaPause
	case status >= 500:
		result.RetryAfter = serverPause
	case shaped && (status == http.StatusUnauthorized || status == http.StatusForbidden || status == http.StatusNotFound):
		result.Outcome = vendors.CredentialBad
	case shaped && status >= 400 || status == http.StatusRequestEntityTooLarge:
		result.Outcome = vendors.Rejected
	}
	return result
}

func httpCode(status int) string { return "HTTP " + strconv.Itoa(status) }

// needsBearer tells that another bearer may help: a 401 without an FcmError,
// since those are about other keys than ours.
func needsBearer(a answer) bool {
	if a.status != http.StatusUnauthorized {
		return false
	}
	var body struct {
		Error rpcError `json:"error"`
	}
	_ = json.Unmarshal(a.body, &body)
	return body.Error.fcmCode() == ""
}

func (e *rpcError) fcmCode() string {
	for _, d := range e.Details {
		if d.Type == typeFCM {
			return d.ErrorCode
		}
	}
	return ""
}

// namesToken needs FCM's sentence beside its own code, or field violations
// that are all about the token.
func (e *rpcError) namesToken(fcmCode string) bool {
	if fcmCode == "INVALID_ARGUMENT" && strings.HasPrefix(e.Message, invalidToken) {
		return true
	}
	fields := 0
	for _, d := range e.Details {
		if d.Type != typeBadRequest {
			continue
		}
		for _, v := range d.Fields {
			if v.Field != "message.token" {
				return false
			}
			fields++
		}
	}
	return fields > 0
}

// namesDevice tells a device's quota from the project's.
func (e *rpcError) namesDevice() bool {
	about := func(v violation) bool {
		return strings.Contains(strings.ToLower(v.Subject+" "+v.Description), "device")
	}
	return slices.ContainsFunc(e.Details, func(d detail) bool {
		return d.Type == typeQuota && slices.ContainsFunc(d.Violations, about)
	})
}

// retryAfter reads seconds or an HTTP date; anything else counts as not said.
func retryAfter(h http.Header, now time.Time) (time.Duration, bool) {
	text := strings.TrimSpace(h.Get("Retry-After"))
	if seconds, err := strconv.ParseUint(text, 10, 31); err == nil {
		return min(time.Duration(seconds)*time.Second, maxRetryAfter), true
	}
	if date, err := http.ParseTime(text); err == nil {
		return min(max(date.Sub(now), 0), maxRetryAfter), true
	}
	return 0, false
}

// classifyGrant gives the token endpoint's refusal its meaning. Only OAuth's
// own error object (RFC 6749 §5.2) condemns the credential.
func classifyGrant(a answer, now time.Time) vendors.Result {
	var body struct {
		Error string `json:"error"`
	}
	result := vendors.Result{Outcome: vendors.Transient, Code: "oauth " + httpCode(a.status)}
	if a.status >= 400 && a.status < 500 && a.status != http.StatusTooManyRequests &&
		json.Unmarshal(a.body, &body) == nil && slices.Contains(grantErrors, body.Error) {
		return vendors.Result{Outcome: vendors.CredentialBad, Code: "oauth " + body.Error}
	}
	if pause, ok := retryAfter(a.header, now); ok {
		result.RetryAfter = pause
	}
	return result
}

var grantErrors = []string{
	"invalid_grant", "invalid_client", "invalid_request", "invalid_scope",
	"unauthorized_client", "unsupported_grant_type", "access_denied",
}
