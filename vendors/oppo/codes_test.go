package oppo

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rouse-im/rouse/vendors"
	"github.com/rouse-im/rouse/vendors/courier"
	"github.com/rouse-im/rouse/vendors/fake"
)

func answerOf(status int, body string) *answer {
	a := read(courier.Answer{Status: status, Header: http.Header{}, Body: []byte(body), RetryAfter: 3 * time.Second})
	return &a
}

// TestCodes holds each code to its outcome, said once more.
func TestCodes(t *testing.T) {
	want := map[vendors.Outcome][]int{
		vendors.Accepted:       {0, 32, 10004, 10005},
		vendors.Transient:      {-1, 11, 29},
		vendors.Throttled:      {-2, 13, 55, 69},
		vendors.QuotaExhausted: {33, 34, 42},
		vendors.TokenInvalid:   {10000},
		vendors.Rejected:       {31, 40, 41, 51, 10001, 10002, 10003},
		vendors.CredentialBad: {
			12, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 30, 54, 59, 67,
		},
	}
	now := time.Date(2026, 11, 23, 15, 0, 0, 0, time.UTC) // 23:00 in Shanghai
	pauses := map[vendors.Outcome]time.Duration{
		vendors.Throttled: 3 * time.Second, vendors.Transient: 3 * time.Second, vendors.QuotaExhausted: time.Hour,
	}
	seen := 0
	for outcome, all := range want {
		for _, code := range all {
			seen++
			got := answerOf(200, fmt.Sprintf(`{"code":%d,"message":"m"}`, code)).result(now, true)
			if got.Outcome != outcome || got.RetryAfter != pauses[outcome] || code != 0 && got.Code != fmt.Sprint(code) {
				t.Errorf("%d: got %+v, want outcome %d", code, got, outcome)
			}
		}
	}
	if seen != len(codes) {
		t.Errorf("%d codes are held to an outcome, the table has %d", seen, len(codes))
	}
}

func TestAnswers(t *testing.T) {
	for _, c := range []struct {
		name   string
		status int
		body   string
		main   bool
		want   vendors.Result
	}{
		{"accepted", 200, `{"code":0,"message":"","data":{"messageId":"id-1"}}`, true, vendors.Result{Outcome: vendors.Accepted, VendorID: "id-1"}},
		{"code as text", 200, `{"code":"10000"}`, true, vendors.Result{Outcome: vendors.TokenInvalid, Code: "10000"}},
		{"data null", 200, `{"code":0,"data":null}`, true, vendors.Result{Outcome: vendors.Accepted}},
		{"data an array", 200, `{"code":0,"data":[]}`, true, vendors.Result{Outcome: vendors.Accepted}},
		{"message of a wrong type", 200, `{"code":10000,"message":7}`, true, vendors.Result{Outcome: vendors.TokenInvalid, Code: "10000"}},
		{"41 about the token", 200, `{"code":41,"message":"Registration_id invalid"}`, true, vendors.Result{Outcome: vendors.TokenInvalid, Code: "41"}},
		{"category of the credential", 200, `{"code":67}`, true, vendors.Result{Outcome: vendors.CredentialBad, Code: "67"}},
		{"category of the push", 200, `{"code":67}`, false, vendors.Result{Outcome: vendors.Rejected, Code: "67"}},
		{"template of the push", 200, `{"code":54}`, false, vendors.Result{Outcome: vendors.Rejected, Code: "54"}},
		{"dead token, but from a broken server", 500, `{"code":10000}`, true, vendors.Result{Outcome: vendors.Transient, Code: "HTTP 500", RetryAfter: 3 * time.Second}},
		{"unknown code", 200, `{"code":10099}`, true, vendors.Result{Outcome: vendors.Transient, Code: "10099", RetryAfter: 3 * time.Second}},
		{"unreadable code", 200, `{"code":{}}`, true, vendors.Result{Outcome: vendors.Transient, Code: "HTTP 200", RetryAfter: 3 * time.Second}},
		{"rate limit of a proxy", 429, `slow down`, true, vendors.Result{Outcome: vendors.Throttled, Code: "HTTP 429", RetryAfter: 3 * time.Second}},
		{"body too large", 413, ``, true, vendors.Result{Outcome: vendors.Rejected, Code: "HTTP 413"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := answerOf(c.status, c.body).result(time.Now(), c.main); got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}

// TestBlame: whose fault a refused category is.
func TestBlame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(c *Config, _ *fake.OPPOOptions, app *fake.OPPOApp) {
			c.NotifyLevel, c.SystemCategory = 16, "WEATHER"
		})
		n := r.push()
		if got := r.must(t, n, vendors.CredentialBad); got.Code != "67" {
			t.Errorf("no right to the level: %+v", got)
		}
		n.Class = vendors.ClassSystem
		if got := r.must(t, n, vendors.Rejected); got.Code != "67" {
			t.Errorf("a system notice's category: %+v", got)
		}
		n.Class, n.Category = vendors.ClassIM, "ORDER"
		if got := r.must(t, n, vendors.Rejected); got.Code != "67" {
			t.Errorf("a push's own category: %+v", got)
		}
	})
}

// TestQuota: the vendor's day ends at 16:00 UTC.
func TestQuota(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(_ *Config, o *fake.OPPOOptions, _ *fake.OPPOApp) { o.PublicPerDay = 1 })
		n := r.push()
		n.Class = vendors.ClassMarketing
		r.must(t, n, vendors.Accepted)
		got := r.must(t, n, vendors.QuotaExhausted)
		if got.RetryAfter != 16*time.Hour {
			t.Errorf("got %+v", got)
		}
		n.Class = vendors.ClassIM
		r.must(t, n, vendors.Accepted)
		<-time.After(got.RetryAfter)
		n.Class = vendors.ClassMarketing
		r.must(t, n, vendors.Accepted)
	})
}

func FuzzRead(f *testing.F) {
	for _, seed := range []string{
		`{"code":0,"data":{"messageId":"x"}}`, `{"code":"-1"}`, `{"code":null}`, `[]`, `{`,
		`{"code":0,"data":[{"registrationId":"a","errorCode":10000},{"registrationId":"a"},7,null]}`,
		`{"code":0,"data":{"auth_token":"a","create_time":"9999999999999999"}}`,
	} {
		f.Add(200, []byte(seed))
	}
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		a := read(courier.Answer{Status: status, Body: body})
		results := []vendors.Result{a.result(time.Unix(0, 0), true)}
		for _, e := range a.elements() {
			results = append(results, e.result(a.Answer, time.Unix(0, 0), true))
		}
		for _, got := range results {
			if got.Outcome < vendors.Accepted || got.Outcome > vendors.CredentialBad || len(got.Code) > 64 || len(got.VendorID) > 128 {
				t.Errorf("%+v", got)
			}
			if got.Outcome == vendors.TokenInvalid && !bytes.Contains(body, []byte("10000")) && !bytes.Contains(body, []byte("41")) && json.Valid(body) {
				t.Errorf("a token was dropped by %s", body)
			}
		}
		now := time.Unix(1_700_000_000, 0)
		if b, err := a.bearer(now); err == nil && (b.Expiry.Before(now.Add(clockSlack)) || b.Expiry.After(now.Add(bearerLife))) {
			t.Errorf("bearer until %v", b.Expiry)
		}
	})
}
