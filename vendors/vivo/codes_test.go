package vivo

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
		vendors.Accepted:       {0},
		vendors.Transient:      {10000, 10040, 10155},
		vendors.Throttled:      {10072, 10093},
		vendors.QuotaExhausted: {10070, 10071, 10073, 10252, 10254},
		vendors.TokenInvalid:   {10302},
		vendors.Rejected: {
			10050, 10054, 10055, 10056, 10057, 10058, 10059, 10060, 10065, 10067, 10085, 10095, 10103, 10104,
			10150, 10151, 10152, 10153, 10300, 10301, 10303, 10304, 10305, 10306, 10311, 10352, 10353, 10800, 10801,
		},
		vendors.CredentialBad: {
			10043, 10045, 10051, 10082, 10094, 10096, 10097, 10200, 10201, 10202, 10203, 10204, 10205, 10206, 10207,
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
			pause := pauses[outcome]
			if code == 10071 {
				pause = 8 * time.Hour
			}
			got := answerOf(200, fmt.Sprintf(`{"result":%d,"desc":"m"}`, code)).single("t", now, true)
			if got.Outcome != outcome || got.RetryAfter != pause || code != 0 && got.Code != fmt.Sprint(code) {
				t.Errorf("%d: got %+v, want outcome %d", code, got, outcome)
			}
		}
	}
	if seen != len(codes) {
		t.Errorf("%d codes are held to an outcome, the table has %d", seen, len(codes))
	}
}

func TestHours(t *testing.T) {
	day := time.Date(2026, 11, 23, 0, 0, 0, 0, shanghai)
	for _, c := range []struct {
		at   time.Duration
		hour int
		want time.Duration
	}{
		{0, midnight, 24 * time.Hour},
		{23 * time.Hour, midnight, time.Hour},
		{23 * time.Hour, opening, 8 * time.Hour},
		{6 * time.Hour, opening, time.Hour},
		{7 * time.Hour, opening, 24 * time.Hour},
	} {
		if got := untilHour(day.Add(c.at).UTC(), c.hour); got != c.want {
			t.Errorf("at %v to %d: %v, want %v", c.at, c.hour, got, c.want)
		}
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
		{"accepted", 200, `{"result":0,"taskId":"34298"}`, true, vendors.Result{Outcome: vendors.Accepted, VendorID: "34298"}},
		{"task as number", 200, `{"result":"0","taskId":342982232646537216}`, true, vendors.Result{Outcome: vendors.Accepted, VendorID: "342982232646537216"}},
		{"accepted, no test device", 200, `{"result":0,"invalidUser":{"userid":"me","status":4}}`, true, vendors.Result{Outcome: vendors.Rejected, Code: "status 4"}},
		{"unknown in the app", 200, `{"result":10302,"invalidUser":{"userid":"me","status":1}}`, true, vendors.Result{Outcome: vendors.TokenInvalid, Code: "10302"}},
		{"uninstalled", 200, `{"result":10302,"invalidUser":{"userid":"me","status":"2"}}`, true, vendors.Result{Outcome: vendors.TokenInvalid, Code: "10302"}},
		{"inactive", 200, `{"result":10302,"invalidUser":{"userid":"me","status":3}}`, true, vendors.Result{Outcome: vendors.Rejected, Code: "10302"}},
		{"no status", 200, `{"result":10302,"invalidUser":null}`, true, vendors.Result{Outcome: vendors.TokenInvalid, Code: "10302"}},
		{"somebody else", 200, `{"result":10302,"invalidUser":{"userid":"you","status":1}}`, true, vendors.Result{Outcome: vendors.Transient, Code: "10302"}},
		{"category of the credential", 200, `{"result":10097}`, true, vendors.Result{Outcome: vendors.CredentialBad, Code: "10097"}},
		{"category of the push", 200, `{"result":10097}`, false, vendors.Result{Outcome: vendors.Rejected, Code: "10097"}},
		{"dead token, but from a broken server", 500, `{"result":10302}`, true, vendors.Result{Outcome: vendors.Transient, Code: "HTTP 500", RetryAfter: 3 * time.Second}},
		{"unknown code", 200, `{"result":10399}`, true, vendors.Result{Outcome: vendors.Transient, Code: "10399", RetryAfter: 3 * time.Second}},
		{"unreadable code", 200, `{"result":{}}`, true, vendors.Result{Outcome: vendors.Transient, Code: "HTTP 200", RetryAfter: 3 * time.Second}},
		{"rate limit of a proxy", 429, `slow down`, true, vendors.Result{Outcome: vendors.Throttled, Code: "HTTP 429", RetryAfter: 3 * time.Second}},
		{"body too large", 413, ``, true, vendors.Result{Outcome: vendors.Rejected, Code: "HTTP 413"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := answerOf(c.status, c.body).single("me", time.Now(), c.main); got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}

// TestRights: an app without the right to system messages is to blame, a push
// that asks for another category is not; marketing has its hours and number.
func TestRights(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(_ *Config, o *fake.VivoOptions, app *fake.VivoApp) {
			app.NoSystem, o.OperationalPerDay = true, 1
		})
		n := r.push()
		r.must(t, n, vendors.CredentialBad)
		n.Category = "ORDER"
		r.must(t, n, vendors.Rejected)
		n.Category, n.Class = "", vendors.ClassMarketing // it is 08:00 in Shanghai
		r.must(t, n, vendors.Accepted)
		if got := r.must(t, n, vendors.QuotaExhausted); got.Code != "10070" || got.RetryAfter != 16*time.Hour {
			t.Errorf("got %+v", got)
		}
		<-time.After(16 * time.Hour)
		got := r.must(t, n, vendors.QuotaExhausted)
		if got.Code != "10071" || got.RetryAfter != 7*time.Hour {
			t.Errorf("at night: %+v", got)
		}
		<-time.After(got.RetryAfter)
		r.must(t, n, vendors.Accepted)
	})
}

func FuzzRead(f *testing.F) {
	for _, seed := range []string{
		`{"result":0,"taskId":"x"}`, `{"result":"10302","invalidUser":{"userid":"me","status":1}}`, `{"result":null}`, `[]`, `{`,
		`{"result":0,"invalidUsers":[{"userid":"me","status":2},{"userid":"me"},7,null]}`, `{"result":0,"taskId":{}}`,
	} {
		f.Add(200, []byte(seed))
	}
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		a := read(courier.Answer{Status: status, Body: body})
		now := time.Unix(0, 0)
		results := append(a.each([]string{"me", "you"}, now, true), a.single("me", now, true), a.refusal(now))
		for _, got := range results {
			if got.Outcome < vendors.Accepted || got.Outcome > vendors.CredentialBad || len(got.Code) > 64 || len(got.VendorID) > 128 {
				t.Errorf("%+v", got)
			}
			// A token is dropped by 10302, or by its own status.
			if got.Outcome == vendors.TokenInvalid && json.Valid(body) && !bytes.Contains(body, []byte("10302")) && !bytes.ContainsAny(body, "12") {
				t.Errorf("a token was dropped by %s", body)
			}
		}
	})
}
