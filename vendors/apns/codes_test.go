package apns

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sideshow/apns2"
	"pgregory.net/rapid"

	"github.com/rouse-im/rouse/vendors"
	"github.com/rouse-im/rouse/vendors/fake"
)

// deadTokens are the only reasons for which a token may be dropped.
var deadTokens = map[string]bool{
	"BadDeviceToken": true, "DeviceTokenNotForTopic": true, "ExpiredToken": true, "Unregistered": true,
}

func TestEveryReason(t *testing.T) {
	for _, known := range []string{
		apns2.ReasonBadCollapseID, apns2.ReasonBadDeviceToken, apns2.ReasonBadExpirationDate, apns2.ReasonBadMessageID,
		apns2.ReasonBadPriority, apns2.ReasonBadTopic, apns2.ReasonDeviceTokenNotForTopic, apns2.ReasonDuplicateHeaders,
		apns2.ReasonIdleTimeout, apns2.ReasonInvalidPushType, apns2.ReasonMissingDeviceToken, apns2.ReasonMissingTopic,
		apns2.ReasonPayloadEmpty, apns2.ReasonTopicDisallowed, apns2.ReasonBadCertificate, apns2.ReasonBadCertificateEnvironment,
		apns2.ReasonExpiredProviderToken, apns2.ReasonForbidden, apns2.ReasonInvalidProviderToken, apns2.ReasonMissingProviderToken,
		apns2.ReasonBadPath, apns2.ReasonMethodNotAllowed, apns2.ReasonExpiredToken, apns2.ReasonUnregistered,
		apns2.ReasonPayloadTooLarge, apns2.ReasonTooManyProviderTokenUpdates, apns2.ReasonTooManyRequests,
		apns2.ReasonInternalServerError, apns2.ReasonServiceUnavailable, apns2.ReasonShutdown,
	} {
		if _, ok := meanings[known]; !ok {
			t.Errorf("%s is not in the table", known)
		}
	}
	for reason, m := range meanings {
		if (m.outcome == vendors.TokenInvalid) != deadTokens[reason] {
			t.Errorf("%s: %v", reason, m.outcome)
		}
		if m.status/100 == 5 && m.outcome != vendors.Transient || m.status == 429 && m.outcome != vendors.Throttled {
			t.Errorf("%s: %d means %v", reason, m.status, m.outcome)
		}
		if m.about == "" || http.StatusText(m.status) == "" {
			t.Errorf("%s: no status or text", reason)
		}
	}
}

// TestReasonsOnTheWire asks for each reason through a fake and sees that the
// sender stays usable.
func TestReasonsOnTheWire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, c := newFake(t, fake.APNsOptions{AnyDevice: true})
		s := newSender(t, c)
		n := &vendors.Notification{PushID: testPushID, Token: "ab", Channel: vendors.ChannelAlert, Title: "t", Badge: -1, Expires: time.Now().Add(time.Hour)}
		if res, err := s.Send(t.Context(), n); err != nil || res.Outcome != vendors.Accepted { // no doubt about the credential
			t.Fatalf("%+v, %v", res, err)
		}
		for reason, m := range meanings {
			f := fake.Reason(m.status, reason)
			f.Times = 1
			a.Faults.Script(f)
			want := m.outcome
			if reason == reasonExpired {
				want = vendors.Throttled // its own token is too young to be replaced
			}
			if res, err := s.Send(t.Context(), n); err != nil || res.Outcome != want || res.Code != reason || res.Scope != m.scope {
				t.Errorf("%s: %+v, %v", reason, res, err)
			}
			if res, err := s.Send(t.Context(), n); err != nil || res.Outcome != vendors.Accepted {
				t.Errorf("after %s: %+v, %v", reason, res, err)
			}
		}
		retiring := 0
		for _, m := range meanings {
			if m.retire {
				retiring++
			}
		}
		if got := a.Stats().Connections; got != int64(1+retiring) {
			t.Errorf("%d connections, want one more for each of %d reasons", got, retiring)
		}
	})
}

func TestUnknownReasons(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		status := rapid.IntRange(100, 999).Draw(t, "status")
		reason := rapid.String().Filter(func(s string) bool { _, ok := meanings[s]; return !ok }).Draw(t, "reason")
		x := &exchange{status: status, reason: reason, unreadable: rapid.Bool().Draw(t, "unreadable"), since: time.Unix(1, 0)}
		r := x.result()
		if r.Outcome == vendors.TokenInvalid || !r.InvalidSince.IsZero() || len(r.Code) > 64 {
			t.Fatalf("%+v", r)
		}
		if r.Outcome == vendors.Accepted {
			t.Fatalf("accepted without an apns-id: %+v", x)
		}
	})
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for header, want := range map[string]time.Duration{
		"": 0, "0": 0, "-5": 0, "junk": 0, "1.5": 0, "60": time.Minute, "1000000000": maxRetryAfter,
		strings.Repeat("9", 30):         0,
		"Mon, 23 Nov 2026 12:00:30 GMT": 30 * time.Second,
		"Mon, 23 Nov 2026 11:00:00 GMT": 0,
		"Mon, 23 Nov 2099 11:00:00 GMT": maxRetryAfter,
	} {
		if got := retryAfter(header, now); got != want {
			t.Errorf("%q: %v, want %v", header, got, want)
		}
	}
}

// FuzzRead: whatever comes back, a token is dead only by the table, and bounds
// hold.
func FuzzRead(f *testing.F) {
	for _, seed := range []string{
		`{"reason":"Unregistered","timestamp":1700000000000}`, `{"reason":"BadDeviceToken","timestamp":"x"}`, `{"reason":7}`,
		`{"reason":"Unregistered","timestamp":1e400}`, `[]`, `null`, `<html>`, ``,
	} {
		f.Add(410, "5b0c7d1e-32aa-4f10-8c55-000000000001", []byte(seed))
		f.Add(200, "", []byte(seed))
	}
	f.Fuzz(func(t *testing.T, status int, id string, body []byte) {
		x := &exchange{status: status, id: id}
		x.read(body)
		got := x.result()
		switch {
		case status == 0:
			return // no answer
		case got.Outcome.String() == "unknown", len(got.Code) > 64, len(got.VendorID) > 128:
			t.Errorf("out of bounds: %+v", got)
		case got.Outcome == vendors.TokenInvalid && !deadTokens[got.Code]:
			t.Errorf("dead by %q", got.Code)
		case got.Outcome != vendors.TokenInvalid && !got.InvalidSince.IsZero():
			t.Errorf("a token that lives is dead since %v", got.InvalidSince)
		case got.Outcome == vendors.Accepted && (status != 200 || id == ""):
			t.Errorf("accepted with HTTP %d", status)
		}
	})
}
