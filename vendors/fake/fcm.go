package fake

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// FCM is Google's FCM HTTP v1 API with its OAuth token endpoint: POST /token
// and POST /v1/projects/{project}/messages:send, over TLS with HTTP/2. Facts:
// "REST Resource: projects.messages", "ErrorCode", "FCM error codes",
// "Throttling and quotas" (firebase.google.com/docs, 2026-11).
type FCM struct {
	// Faults hit send requests; in Light mode those for all tokens only.
	Faults Faults
	// OAuthFaults hit token requests.
	OAuthFaults Faults

	opts    FCMOptions
	server  *Server
	pace    *rate
	auth    fcmAuth
	devices fcmDevices
	stats   fcmStats
	serial  atomic.Int64
}

// FCMOptions configures a fake. Only Cert is needed.
type FCMOptions struct {
	Cert tls.Certificate
	// AnyDevice registers unknown tokens at their first push; otherwise they
	// are answered with INVALID_ARGUMENT, not a valid registration token.
	AnyDevice bool
	// Light keeps counters only: any token is live, bodies are not parsed,
	// and no OnPush is called. For benchmarks.
	Light bool
	// MaxDevices bounds the devices remembered, default 100,000. Pushes to
	// further ones are taken and counted, not recorded.
	MaxDevices int
	// KeepPerDevice bounds the pushes and message ids remembered for one
	// device, default 64; the oldest go first.
	KeepPerDevice int
	// PerMinute bounds the messages per minute of all projects together,
	// default 600,000.
	PerMinute int
	// DevicePerMinute bounds the messages per minute to one device, default 240.
	DevicePerMinute int
	// OnPush is called for each push taken. It must not block.
	OnPush func(FCMPush)
}

// NewFCM makes a fake without accounts; Serve starts it.
func NewFCM(o FCMOptions) *FCM {
	for _, field := range []struct {
		value *int
		zero  int
	}{
		{&o.MaxDevices, 100_000}, {&o.KeepPerDevice, 64}, {&o.PerMinute, 600_000}, {&o.DevicePerMinute, 240},
	} {
		if *field.value == 0 {
			*field.value = field.zero
		}
	}
	f := &FCM{opts: o, pace: newRate(o.PerMinute, time.Minute)}
	f.auth.accounts = map[string]FCMAccount{}
	f.auth.bearers = map[string]fcmBearer{}
	f.devices.byToken = map[string]*fcmDevice{}
	f.stats.codes = map[string]int64{}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /token", f.serveToken)
	mux.HandleFunc("POST /v1/projects/{project}/{method}", f.serveSend)
	f.server = NewServer(mux, &o.Cert)
	return f
}

// Serve answers on l until Close, then returns nil.
func (f *FCM) Serve(l net.Listener) error { return f.server.Serve(l) }

// Close ends the listeners and all connections. It must be called once.
func (f *FCM) Close() error { return f.server.Close() }

func (f *FCM) serveSend(w http.ResponseWriter, r *http.Request) {
	if r.PathValue("method") != "messages:send" {
		http.NotFound(w, r)
		return
	}
	f.stats.opened()
	defer f.stats.open.Add(-1)
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client went away, or sent more than maxBody
	}
	f.stats.requests.Add(1)
	m := &fcmMessage{}
	var malformed *fcmError
	if !f.opts.Light {
		m, malformed = parseFCM(body)
	}
	judge := func() (string, *fcmError) {
		name, refusal := f.judge(r, m, malformed, body)
		if refusal != nil {
			f.stats.count(refusal.code())
		}
		return name, refusal
	}
	usual := func() {
		name, refusal := judge()
		if refusal != nil {
			refusal.write(w)
			return
		}
		w.Header().Set("content-type", "application/json; charset=UTF-8")
		_, _ = fmt.Fprintf(w, "{\n  \"name\": %q\n}\n", name)
	}
	if fault, hit := f.Faults.Take(m.token()); hit {
		f.server.Fail(fault, w, r, func() { _, _ = judge() }, usual)
		return
	}
	usual()
}

// judge checks in Google's order, credential before content, and takes the push.
func (f *FCM) judge(r *http.Request, m *fcmMessage, malformed *fcmError, body []byte) (string, *fcmError) {
	now := time.Now()
	project := r.PathValue("project")
	if refusal := f.auth.allow(r.Header.Get("Authorization"), project, now); refusal != nil {
		return "", refusal
	}
	if mediaType, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";"); mediaType != "application/json" {
		return "", fcmBadRequest("", "Content-Type must be application/json")
	}
	if malformed != nil {
		return "", malformed
	}
	if !f.pace.spend(1, now) {
		return "", fcmQuota("project", "Quota exceeded for quota metric 'Send requests' and limit 'Send requests per minute'.", "60")
	}
	id := "0:" + strconv.FormatInt(now.UnixMicro(), 10) + "%" + strconv.FormatInt(f.serial.Add(1), 16)
	name := "projects/" + project + "/messages/" + id
	if f.opts.Light {
		f.stats.accepted.Add(1)
		return name, nil
	}
	if refusal := f.devices.check(m.Message.Token, project, now, &f.opts); refusal != nil {
		return "", refusal
	}
	if m.ValidateOnly {
		return "projects/" + project + "/messages/fake_message_id", nil
	}
	f.take(m, project, id, body, now)
	return name, nil
}

// fcmError is google.rpc.Status as Google writes it.
type fcmError struct {
	http       int
	status     string
	errorCode  string // of the FcmError detail; empty = no such detail
	message    string
	details    []any
	retryAfter string
}

// code names an error in FCMStats.
func (e *fcmError) code() string {
	if e.errorCode != "" {
		return e.errorCode
	}
	return e.status
}

func (e *fcmError) body() string {
	details := e.details
	if e.errorCode != "" {
		details = append([]any{map[string]any{
			"@type":     "type.googleapis.com/google.firebase.fcm.v1.FcmError",
			"errorCode": e.errorCode,
		}}, details...)
	}
	object := map[string]any{"code": e.http, "message": e.message, "status": e.status}
	if len(details) > 0 {
		object["details"] = details
	}
	raw, err := json.MarshalIndent(map[string]any{"error": object}, "", "  ")
	if err != nil {
		return ""
	}
	return string(raw)
}

func (e *fcmError) write(w http.ResponseWriter) {
	w.Header().Set("content-type", "application/json; charset=UTF-8")
	if e.retryAfter != "" {
		w.Header().Set("retry-after", e.retryAfter)
	}
	w.WriteHeader(e.http)
	_, _ = io.WriteString(w, e.body())
}

// fcmBadRequest is a 400 without FcmError, about one field.
func fcmBadRequest(field, description string) *fcmError {
	return &fcmError{
		http: 400, status: "INVALID_ARGUMENT", message: "Invalid value at '" + field + "': " + description,
		details: []any{map[string]any{
			"@type":           "type.googleapis.com/google.rpc.BadRequest",
			"fieldViolations": []any{map[string]any{"field": field, "description": description}},
		}},
	}
}

// fcmQuota is a 429 with the quota's subject.
func fcmQuota(subject, description, retryAfter string) *fcmError {
	return &fcmError{
		http: 429, status: "RESOURCE_EXHAUSTED", errorCode: "QUOTA_EXCEEDED", message: description,
		details: []any{map[string]any{
			"@type":      "type.googleapis.com/google.rpc.QuotaFailure",
			"violations": []any{map[string]any{"subject": subject, "description": description}},
		}},
		retryAfter: retryAfter,
	}
}

// FCMRefusal is the fault that answers with an FCM error. errorCode is the
// FcmError's, empty for an error without one; retryAfter is the header's text,
// empty for none.
func FCMRefusal(httpStatus int, status, errorCode, message, retryAfter string) Fault {
	return (&fcmError{
		http: httpStatus, status: status, errorCode: errorCode, message: message, retryAfter: retryAfter,
	}).fault()
}

// FCMDeviceQuota is the fault that answers with the quota of one device.
func FCMDeviceQuota(retryAfter string) Fault { return fcmDeviceQuota(retryAfter).fault() }

// FCMBadField is the fault that answers with a BadRequest about field, such as
// "message.token", and no FcmError.
func FCMBadField(field string) Fault { return fcmBadRequest(field, "Invalid value").fault() }

func fcmDeviceQuota(retryAfter string) *fcmError {
	return fcmQuota("device", "Device message rate exceeded.", retryAfter)
}

func (e *fcmError) fault() Fault {
	header := map[string]string{"content-type": "application/json; charset=UTF-8"}
	if e.retryAfter != "" {
		header["retry-after"] = e.retryAfter
	}
	return Fault{Kind: Answer, Status: e.http, Header: header, Body: e.body()}
}

// asFCMError turns a decoding error into Google's words.
func asFCMError(err error) *fcmError {
	if kind := (*json.UnmarshalTypeError)(nil); errors.As(err, &kind) {
		return fcmBadRequest(kind.Field, "wrong type: "+kind.Value)
	}
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return fcmBadRequest("", "Unknown name "+name+": Cannot find field.")
	}
	return fcmBadRequest("", "Invalid JSON payload received.")
}
