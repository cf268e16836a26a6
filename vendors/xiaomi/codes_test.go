package xiaomi

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rouse-im/rouse/vendors"
	"github.com/rouse-im/rouse/vendors/courier"
)

func refuse(code int, reason string) courier.Answer {
	return courier.Answer{Status: 200, Body: fmt.Appendf(nil, `{"result":"error","trace_id":"Xcm1","code":%d,"reason":%q,"description":"d","data":""}`, code, reason)}
}

// TestCodes: the documents' codes, as ranges of the same meaning.
func TestCodes(t *testing.T) {
	now := time.Date(2026, 11, 23, 15, 30, 0, 0, time.UTC) // 23:30 in China
	for outcome, list := range map[vendors.Outcome][]int{
		vendors.Transient:      {-1, 1, 10001, 10002, 10003, 10009, 10010, 10011, 10037, 20607, 26003, 65029, 31415},
		vendors.Throttled:      {10022, 10023, 10024, 10027, 10028, 10030, 10032, 10039, 26004, 200002},
		vendors.QuotaExhausted: {10034, 200001},
		vendors.TokenInvalid:   {10029, 66007},
		vendors.CredentialBad: {
			10004, 10005, 10014, 10020, 10021, 10026, 10031, 10036, 21301, 21302, 21303,
			22000, 22006, 22007, 22008, 22022, 26006, 27001, 65038,
		},
		vendors.Rejected: {
			10008, 10012, 10016, 10017, 10018, 10041, 20301, 21305, 65003, 65009, 65011, 65014, 65015,
			65028, 65030, 65036, 65037,
		},
	} {
		for _, code := range list {
			got := classify(refuse(code, "why"), now).of("t")
			want := vendors.Result{Outcome: outcome, Code: strconv.Itoa(code), RetryAfter: got.RetryAfter}
			if got != want {
				t.Errorf("%d: got %+v, want %s", code, got, outcome)
			}
			switch {
			case outcome == vendors.QuotaExhausted && got.RetryAfter != 30*time.Minute,
				outcome == vendors.Throttled && (got.RetryAfter < time.Second || got.RetryAfter > time.Minute),
				outcome != vendors.QuotaExhausted && outcome != vendors.Throttled && got.RetryAfter != 0:
				t.Errorf("%d: a pause of %v", code, got.RetryAfter)
			}
		}
	}
}

func TestClassify(t *testing.T) {
	const ok = `{"result":"ok","trace_id":"Xcm1","code":0,"description":"成功","data":{"id":"slm1","day_quota":"200000"%s}}`
	for _, tt := range []struct {
		name   string
		status int
		body   string
		want   vendors.Result
	}{
		{"accepted", 200, fmt.Sprintf(ok, ""), vendors.Result{Outcome: vendors.Accepted, VendorID: "slm1"}},
		{"code as text", 200, `{"result":"ok","code":"0","data":{"id":"slm1"}}`, vendors.Result{Outcome: vendors.Accepted, VendorID: "slm1"}},
		{"without data", 200, `{"result":"ok","code":0}`, vendors.Result{Outcome: vendors.Accepted}},
		{"empty list", 200, fmt.Sprintf(ok, `,"bad_regids":""`), vendors.Result{Outcome: vendors.Accepted, VendorID: "slm1"}},
		{"bad", 200, fmt.Sprintf(ok, `,"bad_regids":"x, t"`), vendors.Result{Outcome: vendors.TokenInvalid, Code: "bad_regids"}},
		{"bad, other spelling", 200, fmt.Sprintf(ok, `,"bad_regIds":"t"`), vendors.Result{Outcome: vendors.TokenInvalid, Code: "bad_regids"}},
		{"bad others", 200, fmt.Sprintf(ok, `,"bad_regids":"tt,x"`), vendors.Result{Outcome: vendors.Accepted, VendorID: "slm1"}},
		{"error with code 0", 200, `{"result":"error","code":0}`, vendors.Result{Outcome: vendors.Transient, Code: "0"}},
		{"no code", 200, `{"result":"ok"}`, vendors.Result{Outcome: vendors.Transient, Code: "HTTP 200"}},
		{"page", 200, `<html>`, vendors.Result{Outcome: vendors.Transient, Code: "HTTP 200"}},
		{"no target", 200, string(refuse(20301, "No valid targets!").Body), vendors.Result{Outcome: vendors.TokenInvalid, Code: "20301"}},
		{"dead, says a broken server", 500, string(refuse(66007, "").Body), vendors.Result{Outcome: vendors.Transient, Code: "HTTP 500"}},
		{"code in a 4xx", 401, string(refuse(21301, "").Body), vendors.Result{Outcome: vendors.CredentialBad, Code: "21301"}},
		{"401 of Xiaomi", 401, `{"error":"x"}`, vendors.Result{Outcome: vendors.CredentialBad, Code: "HTTP 401"}},
		{"401, empty", 401, ``, vendors.Result{Outcome: vendors.CredentialBad, Code: "HTTP 401"}},
		{"401 of a proxy", 401, `<html>`, vendors.Result{Outcome: vendors.Transient, Code: "HTTP 401"}},
		{"429", 429, ``, vendors.Result{Outcome: vendors.Throttled, Code: "HTTP 429"}},
		{"redirect", 302, ``, vendors.Result{Outcome: vendors.Transient, Code: "HTTP 302"}},
		{"unknown in 4xx", 400, `{"code":4242}`, vendors.Result{Outcome: vendors.Rejected, Code: "4242"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := classify(courier.Answer{Status: tt.status, Body: []byte(tt.body)}, time.Now()).of("t")
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// FuzzClassify: whatever comes back, a token is dead only by name or by the
// table, and bounds hold.
func FuzzClassify(f *testing.F) {
	f.Add(200, `{"result":"ok","code":0,"data":{"id":"1","bad_regids":"t,u"}}`)
	f.Add(200, `{"result":"error","code":66007}`)
	f.Add(200, `{"result":"error","code":20301,"reason":"No valid targets!"}`)
	f.Add(503, `<html>`)
	f.Add(200, `{"code":[],"data":7}`)
	f.Fuzz(func(t *testing.T, status int, body string) {
		v := classify(courier.Answer{Status: status, Body: []byte(body)}, time.Unix(1_800_000_000, 0))
		for _, got := range []vendors.Result{v.of("t"), v.of("unnamed-\x00")} {
			if got.Outcome.String() == "unknown" || len(got.Code) > 64 || len(got.VendorID) > 128 ||
				got.RetryAfter < 0 || got.RetryAfter > 24*time.Hour {
				t.Fatalf("out of bounds: %+v", got)
			}
			if got.Outcome != vendors.TokenInvalid {
				continue
			}
			switch got.Code {
			case "66007", "10029", "20301", codeBadToken:
			default:
				t.Fatalf("dead by %q", got.Code)
			}
		}
	})
}
