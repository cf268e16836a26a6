package fcm

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rouse-im/rouse/vendors"
	"github.com/rouse-im/rouse/vendors/vendortest"
)

// fcmBody is an error answer in Google's shape.
func fcmBody(status, errorCode, message string, details ...string) string {
	if errorCode != "" {
		details = append(details, `{"@type":"`+typeFCM+`","errorCode":"`+errorCode+`"}`)
	}
	return `{"error":{"code":0,"message":"` + message + `","status":"` + status + `","details":[` + strings.Join(details, ",") + `]}}`
}

func badFields(fields ...string) string {
	for i, f := range fields {
		fields[i] = `{"field":"` + f + `","description":"d"}`
	}
	return `{"@type":"` + typeBadRequest + `","fieldViolations":[` + strings.Join(fields, ",") + `]}`
}

func quota(subject string) string {
	return `{"@type":"` + typeQuota + `","violations":[{"subject":"` + subject + `"}]}`
}

func TestClassify(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	const html = "<html>nope</html>"
	result := func(o vendors.Outcome, code string, pause time.Duration) vendors.Result {
		return vendors.Result{Outcome: o, Code: code, RetryAfter: pause}
	}
	device := func(r vendors.Result) vendors.Result { r.Scope = vendors.ScopeDevice; return r }
	for _, tt := range []struct {
		name   string
		status int
		body   string
		after  string
		want   vendors.Result
	}{
		{"accepted", 200, `{"name":"projects/p/messages/0:1%2"}`, "", vendors.Result{Outcome: vendors.Accepted, VendorID: "0:1%2"}},
		{"200 of a portal", 200, html, "", result(vendors.Transient, "HTTP 200", 0)},
		{"200 without name", 200, `{}`, "", result(vendors.Transient, "HTTP 200", 0)},
		{"redirect", 302, "", "", result(vendors.Transient, "HTTP 302", 0)},

		{"bad token", 400, fcmBody("INVALID_ARGUMENT", "INVALID_ARGUMENT", invalidToken), "", result(vendors.TokenInvalid, "INVALID_ARGUMENT", 0)},
		{"bad token, longer sentence", 400, fcmBody("INVALID_ARGUMENT", "INVALID_ARGUMENT", invalidToken+"s"), "", result(vendors.TokenInvalid, "INVALID_ARGUMENT", 0)},
		{"bad token by field", 400, fcmBody("INVALID_ARGUMENT", "", "m", badFields("message.token")), "", result(vendors.TokenInvalid, "INVALID_ARGUMENT", 0)},
		{"bad token and ttl", 400, fcmBody("INVALID_ARGUMENT", "", "m", badFields("message.token", "message.android.ttl")), "", result(vendors.Rejected, "INVALID_ARGUMENT", 0)},
		{"bad ttl", 400, fcmBody("INVALID_ARGUMENT", "INVALID_ARGUMENT", "m", badFields("message.android.ttl")), "", result(vendors.Rejected, "INVALID_ARGUMENT", 0)},
		{"the sentence without FcmError", 400, fcmBody("INVALID_ARGUMENT", "", invalidToken), "", result(vendors.Rejected, "INVALID_ARGUMENT", 0)},
		{"too big", 400, fcmBody("INVALID_ARGUMENT", "INVALID_ARGUMENT", "Message is too big"), "", result(vendors.Rejected, "INVALID_ARGUMENT", 0)},
		{"400 html", 400, html, "", result(vendors.Transient, "HTTP 400", 0)},

		{"bearer", 401, fcmBody("UNAUTHENTICATED", "", "m"), "", result(vendors.CredentialBad, "UNAUTHENTICATED", 0)},
		{"APNs key", 401, fcmBody("UNAUTHENTICATED", "THIRD_PARTY_AUTH_ERROR", "m"), "", result(vendors.Rejected, "THIRD_PARTY_AUTH_ERROR", 0)},
		{"APNs key, older", 401, fcmBody("UNAUTHENTICATED", "APNS_AUTH_ERROR", "m"), "", result(vendors.Rejected, "APNS_AUTH_ERROR", 0)},
		{"401 html", 401, html, "", result(vendors.Transient, "HTTP 401", 0)},

		{"other project", 403, fcmBody("PERMISSION_DENIED", "SENDER_ID_MISMATCH", "m"), "", result(vendors.TokenInvalid, "SENDER_ID_MISMATCH", 0)},
		{"no permission", 403, fcmBody("PERMISSION_DENIED", "", "m"), "", result(vendors.CredentialBad, "PERMISSION_DENIED", 0)},
		{"403 html", 403, html, "", result(vendors.Transient, "HTTP 403", 0)},

		{"unregistered", 404, fcmBody("NOT_FOUND", "UNREGISTERED", "m"), "", result(vendors.TokenInvalid, "UNREGISTERED", 0)},
		{"unregistered in the wrong place", 500, fcmBody("NOT_FOUND", "UNREGISTERED", "m"), "", result(vendors.Transient, "HTTP 500", serverPause)},
		{"no project", 404, fcmBody("NOT_FOUND", "", "m"), "", result(vendors.CredentialBad, "NOT_FOUND", 0)},
		{"404 html", 404, html, "", result(vendors.Transient, "HTTP 404", 0)},

		{"413 of a proxy", 413, html, "", result(vendors.Rejected, "HTTP 413", 0)},
		{"project quota", 429, fcmBody("RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED", "m", quota("project")), "", result(vendors.Throttled, "QUOTA_EXCEEDED", quotaPause)},
		{"device quota", 429, fcmBody("RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED", "m", quota("Device:x")), "30", device(result(vendors.Throttled, "QUOTA_EXCEEDED", 30*time.Second))},
		{"429 by status", 429, fcmBody("RESOURCE_EXHAUSTED", "", "m"), "", result(vendors.Throttled, "RESOURCE_EXHAUSTED", quotaPause)},
		{"429 html", 429, html, "", result(vendors.Throttled, "HTTP 429", quotaPause)},

		{"500", 500, fcmBody("INTERNAL", "INTERNAL", "m"), "", result(vendors.Transient, "INTERNAL", serverPause)},
		{"unspecified", 500, fcmBody("UNKNOWN", "UNSPECIFIED_ERROR", "m"), "", result(vendors.Transient, "UNSPECIFIED_ERROR", serverPause)},
		{"502 empty", 502, "", "", result(vendors.Transient, "HTTP 502", serverPause)},
		{"503 says when", 503, fcmBody("UNAVAILABLE", "UNAVAILABLE", "m"), "Mon, 23 Nov 2026 12:02:00 GMT", result(vendors.Transient, "UNAVAILABLE", 2*time.Minute)},
		{"503 says now", 503, fcmBody("UNAVAILABLE", "UNAVAILABLE", "m"), "Mon, 23 Nov 2026 11:00:00 GMT", result(vendors.Transient, "UNAVAILABLE", 0)},
		{"503 says a day", 503, fcmBody("UNAVAILABLE", "UNAVAILABLE", "m"), "86400", result(vendors.Transient, "UNAVAILABLE", maxRetryAfter)},
		{"503 says junk", 503, fcmBody("UNAVAILABLE", "UNAVAILABLE", "m"), "-5", result(vendors.Transient, "UNAVAILABLE", serverPause)},
		{"503 html", 503, html, "", result(vendors.Transient, "HTTP 503", serverPause)},
		{"504 by status", 504, fcmBody("DEADLINE_EXCEEDED", "", "m"), "", result(vendors.Transient, "HTTP 504", serverPause)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := answer{status: tt.status, header: http.Header{}, body: []byte(tt.body)}
			if tt.after != "" {
				a.header.Set("retry-after", tt.after)
			}
			if diff := cmp.Diff(tt.want, classify(a, now)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestNeedsBearer(t *testing.T) {
	for _, tt := range []struct {
		status int
		body   string
		want   bool
	}{
		{401, fcmBody("UNAUTHENTICATED", "", "m"), true},
		{401, "<html>", true},
		{401, fcmBody("UNAUTHENTICATED", "THIRD_PARTY_AUTH_ERROR", "m"), false},
		{403, fcmBody("PERMISSION_DENIED", "", "m"), false},
	} {
		if got := needsBearer(answer{status: tt.status, body: []byte(tt.body)}); got != tt.want {
			t.Errorf("%d %s: got %t", tt.status, tt.body, got)
		}
	}
}

func TestClassifyGrant(t *testing.T) {
	now := time.Now()
	for _, tt := range []struct {
		status int
		body   string
		want   vendors.Result
	}{
		{400, `{"error":"invalid_grant","error_description":"d"}`, vendors.Result{Outcome: vendors.CredentialBad, Code: "oauth invalid_grant"}},
		{401, `{"error":"invalid_client"}`, vendors.Result{Outcome: vendors.CredentialBad, Code: "oauth invalid_client"}},
		{400, `{"error":"from_the_future"}`, vendors.Result{Outcome: vendors.Transient, Code: "oauth HTTP 400"}},
		{403, `<html>`, vendors.Result{Outcome: vendors.Transient, Code: "oauth HTTP 403"}},
		{503, `{"error":"invalid_grant"}`, vendors.Result{Outcome: vendors.Transient, Code: "oauth HTTP 503"}},
		{200, `{"access_token":"a b","expires_in":3599}`, vendors.Result{Outcome: vendors.Transient, Code: "oauth HTTP 200"}},
	} {
		_, err := readGrant(answer{status: tt.status, body: []byte(tt.body)}, now)
		refused, ok := errors.AsType[*refusedError](err)
		if !ok {
			t.Errorf("%d %s: got %v", tt.status, tt.body, err)
			continue
		}
		if diff := cmp.Diff(tt.want, refused.result); diff != "" {
			t.Errorf("%d %s (-want +got):\n%s", tt.status, tt.body, diff)
		}
	}
}

// FuzzClassify: whatever comes back, a token is invalid only by the table, and
// bounds hold.
func FuzzClassify(f *testing.F) {
	f.Add(404, fcmBody("NOT_FOUND", "UNREGISTERED", "m"), "5")
	f.Add(403, fcmBody("PERMISSION_DENIED", "SENDER_ID_MISMATCH", "m"), "")
	f.Add(400, fcmBody("INVALID_ARGUMENT", "INVALID_ARGUMENT", invalidToken), "")
	f.Add(400, fcmBody("INVALID_ARGUMENT", "", "m", badFields("message.token")), "")
	f.Add(429, fcmBody("RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED", "m", quota("device")), "Mon, 23 Nov 2026 12:02:00 GMT")
	f.Add(200, `{"name":"projects/p/messages/1"}`, "")
	f.Add(503, "<html>", "99999999999999999999")
	f.Add(0, `{"error":[]}`, "")
	f.Fuzz(func(t *testing.T, status int, body, after string) {
		a := answer{status: status, header: http.Header{"Retry-After": {after}}, body: []byte(body)}
		got := classify(a, time.Unix(1_800_000_000, 0))
		needsBearer(a)
		classifyGrant(a, time.Unix(1_800_000_000, 0))
		if got.Outcome.String() == "unknown" || len(got.Code) > 64 || len(got.VendorID) > 128 ||
			got.RetryAfter < 0 || got.RetryAfter > maxRetryAfter {
			t.Fatalf("out of bounds: %+v", got)
		}
		if got.Outcome != vendors.TokenInvalid {
			return
		}
		mentions := map[string]int{"UNREGISTERED": 404, "SENDER_ID_MISMATCH": 403, "INVALID_ARGUMENT": 400}
		if mentions[got.Code] != status || status == 0 {
			t.Fatalf("token invalid by %q with HTTP %d", got.Code, status)
		}
	})
}

func FuzzGrant(f *testing.F) {
	vendortest.FuzzGrant(f, func(status int, body []byte, now time.Time) vendortest.Granted {
		b, err := readGrant(answer{status: status, header: http.Header{}, body: body}, now)
		if refused, ok := errors.AsType[*refusedError](err); ok {
			return vendortest.Granted{Refusal: refused.result}
		}
		return vendortest.Granted{Value: b.Value, Expiry: b.Expiry}
	}, `{"access_token":"ya29.x","expires_in":3599}`, `{"access_token":"a b","expires_in":3599}`, `{"error":1101,"sub_error":12304}`, `{"error":1302}`)
}
