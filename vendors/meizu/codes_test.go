package meizu

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rouse-im/rouse/vendors"
	"github.com/rouse-im/rouse/vendors/courier"
)

// one is the meaning of an answer for token t, sent to alone.
func one(status int, body string, now time.Time) vendors.Result {
	v := classify(courier.Answer{Status: status, Body: []byte(body)}, now)
	return v.settle([]string{"t"})[0]
}

var lateInChina = time.Date(2026, 11, 23, 15, 30, 0, 0, time.UTC) // 23:30

// TestCallCodes: the README's codes of a call, with HTTP 200.
func TestCallCodes(t *testing.T) {
	for outcome, list := range map[vendors.Outcome][]string{
		vendors.Transient:      {"500", "1001", "1003", "314159"},
		vendors.Rejected:       {"1005", "110004", "110032"},
		vendors.CredentialBad:  {"1006", "110000", "110001", "110009", "110031", "110033", "110053"},
		vendors.TokenInvalid:   {"110002", "110003"},
		vendors.Throttled:      {"110010"},
		vendors.QuotaExhausted: {"110019", "110051"},
	} {
		for _, code := range list {
			got := one(200, fmt.Sprintf(`{"code":%q,"message":"m","value":"","redirect":""}`, code), lateInChina)
			checkCode(t, code, got, outcome)
		}
	}
}

// TestTokenCodes: the keys of value, for a token that is alone.
func TestTokenCodes(t *testing.T) {
	for outcome, list := range map[vendors.Outcome][]string{
		vendors.Transient:      {"501", "513", "510", "511", "314159", "more"},
		vendors.Rejected:       {"201", "110005", "110010"},
		vendors.TokenInvalid:   {"110002", "110003"},
		vendors.Throttled:      {"518", "519"},
		vendors.QuotaExhausted: {"110011"},
		vendors.Accepted:       {"520"},
	} {
		for _, code := range list {
			got := one(200, fmt.Sprintf(`{"code":"200","message":"","value":{%q:["t","u"]},"msgId":"m"}`, code), lateInChina)
			if outcome == vendors.Accepted && got.VendorID != "m" {
				t.Errorf("%s: vendor id %q", code, got.VendorID)
			}
			got.VendorID = ""
			checkCode(t, code, got, outcome)
		}
	}
}

func checkCode(t *testing.T, code string, got vendors.Result, outcome vendors.Outcome) {
	t.Helper()
	if want := (vendors.Result{Outcome: outcome, Code: code, RetryAfter: got.RetryAfter}); got != want {
		t.Errorf("%s: got %+v, want %s", code, got, outcome)
	}
	switch {
	case outcome == vendors.QuotaExhausted && got.RetryAfter != 30*time.Minute,
		outcome == vendors.Throttled && (got.RetryAfter < time.Second || got.RetryAfter > time.Minute),
		outcome != vendors.QuotaExhausted && outcome != vendors.Throttled && got.RetryAfter != 0:
		t.Errorf("%s: a pause of %v", code, got.RetryAfter)
	}
}

func TestClassify(t *testing.T) {
	for _, tt := range []struct {
		name   string
		status int
		body   string
		want   vendors.Result
	}{
		{"accepted", 200, `{"code":"200","message":"","value":{},"msgId":"c2ee"}`, vendors.Result{Outcome: vendors.Accepted, VendorID: "c2ee"}},
		{"code as number", 200, `{"code":200,"value":{},"msgId":"c2ee"}`, vendors.Result{Outcome: vendors.Accepted, VendorID: "c2ee"}},
		{"without value", 200, `{"code":"200"}`, vendors.Result{Outcome: vendors.Accepted}},
		{"id within value", 200, `{"code":"200","value":{"msgId":"m7","respTarget":{}}}`, vendors.Result{Outcome: vendors.Accepted, VendorID: "m7"}},
		{"no code", 200, `{"value":{}}`, vendors.Result{Outcome: vendors.Transient, Code: "HTTP 200"}},
		{"code of words", 200, `{"code":"ok"}`, vendors.Result{Outcome: vendors.Transient, Code: "HTTP 200"}},
		{"page", 200, `<html>`, vendors.Result{Outcome: vendors.Transient, Code: "HTTP 200"}},
		{"redirect", 200, `{"code":"300","redirect":"https://x"}`, vendors.Result{Outcome: vendors.Transient, Code: "300"}},
		{"200 in a 4xx", 404, `{"code":"200","value":{}}`, vendors.Result{Outcome: vendors.Rejected, Code: "200"}},
		{"dead, says a broken server", 502, `{"code":"110002","value":""}`, vendors.Result{Outcome: vendors.Transient, Code: "HTTP 502"}},
		{"401 of a proxy", 401, `<html>`, vendors.Result{Outcome: vendors.Transient, Code: "HTTP 401"}},
		{"429", 429, ``, vendors.Result{Outcome: vendors.Throttled, Code: "HTTP 429"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, one(tt.status, tt.body, time.Now())); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// FuzzClassify: whatever comes back, a token is dead only by the table, each
// token has a result, and bounds hold.
func FuzzClassify(f *testing.F) {
	f.Add(200, `{"code":"200","value":{"110002":["t"],"520":["u"]},"msgId":"m"}`)
	f.Add(200, `{"code":"200","value":{"respTarget":{"110003":["t"]},"msgId":"m"}}`)
	f.Add(200, `{"code":"200","value":{"t":"110002"}}`)
	f.Add(200, `{"code":"110003","value":""}`)
	f.Add(200, `{"code":"200","value":{"201":["t","u"]}}`)
	f.Add(503, `<html>`)
	f.Fuzz(func(t *testing.T, status int, body string) {
		v := classify(courier.Answer{Status: status, Body: []byte(body)}, time.Unix(1_800_000_000, 0))
		tokens := []string{"t", "u"}
		results := v.settle(tokens)
		if len(results) != len(tokens) {
			t.Fatalf("%d results", len(results))
		}
		for _, got := range results {
			if got.Outcome.String() == "unknown" || len(got.Code) > 64 || len(got.VendorID) > 128 ||
				got.RetryAfter < 0 || got.RetryAfter > 24*time.Hour {
				t.Fatalf("out of bounds: %+v", got)
			}
			if got.Outcome == vendors.TokenInvalid && !slices.Contains([]string{"110002", "110003"}, got.Code) {
				t.Fatalf("dead by %q", got.Code)
			}
		}
	})
}
