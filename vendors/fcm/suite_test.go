package fcm

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rouse-im/rouse/vendors"
	"github.com/rouse-im/rouse/vendors/fake"
	"github.com/rouse-im/rouse/vendors/vendortest"
)

func TestConformance(t *testing.T) {
	for name, dataOnly := range map[string]bool{"notification": false, "data": true} {
		t.Run(name, func(t *testing.T) {
			vendortest.Run(t, vendortest.Harness{
				Protocol: "fcm_" + name,
				Codes:    resultCodes(),
				Classes: map[vendors.Class]string{
					vendors.ClassCall: "high 10", vendors.ClassIM: "high 10",
					vendors.ClassSystem: "normal 5", vendors.ClassMarketing: "normal 5",
				},
				Own:      map[string]string{"promo": "high 10 promo"},
				Start:    func(t *testing.T) *vendortest.Rig { return suiteRig(t, dataOnly) },
				Answers:  answers(),
				Override: vendors.Override{ChannelID: "chat", ClickAction: "OPEN_CHAT", AnalyticsLabel: "im"},
				MaxBytes: 4096,
				Lacks:    vendortest.InvalidSince | vendortest.AddBadge | vendortest.Batches,
			})
		})
	}
}

func suiteRig(t *testing.T, dataOnly bool) *vendortest.Rig {
	r := newRig(t, func(c *Config, o *fake.FCMOptions) { c.MaxInFlight, c.DataOnly = 32, dataOnly })
	serial := 0
	return &vendortest.Rig{
		Sender: r.Sender,
		Faults: &r.fake.Faults, AuthFaults: &r.fake.OAuthFaults,
		SetRate: r.fake.SetRate, SetCert: r.fake.SetCert, CA: theIdentity(t).ca, Hosts: []string{"fcm.test"},
		NewToken: func() string {
			serial++
			token := "fSuite:APA91b-" + strconv.Itoa(serial)
			r.fake.AddDevice(token, project)
			return token
		},
		Kill: func(token string, _ time.Time) { r.fake.Unregister(token) },
		Seen: func(token string) []vendortest.Push {
			d, _ := r.fake.Device(token)
			var seen []vendortest.Push
			for _, p := range d.Received {
				seen = append(seen, readBack(t, p))
			}
			return seen
		},
		Requests:   func() int { return int(r.fake.Stats().Requests) },
		Peak:       func() int { return int(r.fake.Stats().Peak) },
		ExpireAuth: r.fake.RevokeBearers,
		Bearers:    func() int { return int(r.fake.Stats().Bearers) },
		Secrets:    append(strings.Fields(string(theIdentity(t).account.Private)), "ya29.fake-"),
	}
}

// readBack takes from the wire what an app would find, whichever way it came.
func readBack(t *testing.T, p fake.FCMPush) vendortest.Push {
	m := at(wire(t, p), "message")
	aps := at(m, "apns", "payload", "aps")
	seen := vendortest.Push{
		ID:       p.PushID,
		Title:    text(aps, "alert", "title"),
		Subtitle: text(aps, "alert", "subtitle"),
		Body:     text(aps, "alert", "body"),
		Sound:    text(aps, "sound"),
		ImageURL: text(m, "apns", "fcm_options", "image"),
		Category: text(aps, "category"),
		Thread:   text(aps, "thread-id"),
		Group:    text(m, "apns", "headers", "apns-collapse-id"),
		Data:     map[string]string{},
		Expires:  p.Expires.Truncate(time.Second),
		Bytes:    p.Bytes,
		Wire:     string(p.Raw),
	}
	seen.Kind = strings.TrimSpace(p.Priority + " " + text(m, "apns", "headers", "apns-priority") + " " + seen.Category)
	if p.Expires.Equal(p.At) {
		seen.Expires = time.Time{}
	}
	if badge, ok := at(aps, "badge").(float64); ok {
		n := int(badge)
		seen.Badge = &n
	}
	for key, value := range p.Data {
		if !strings.HasPrefix(key, "rouse_") {
			seen.Data[key] = value
		}
	}
	sameOnAndroid(t, p, seen, m)
	return seen
}

// sameOnAndroid: Android must be told what iOS is told.
func sameOnAndroid(t *testing.T, p fake.FCMPush, seen vendortest.Push, m any) {
	t.Helper()
	n := at(m, "android", "notification")
	got := []string{p.Title, p.Body, text(n, "sound"), text(m, "notification", "image"), text(n, "channel_id"), text(n, "tag")}
	if p.DataOnly {
		got = nil
		for _, key := range []string{keyTitle, keyBody, keySound, keyImage, keyChannel, keyTag} {
			got = append(got, p.Data[key])
		}
	}
	want := []string{seen.Title, seen.Body, seen.Sound, seen.ImageURL, seen.Category, seen.Group}
	if text(m, "fcm_options", "analytics_label") != "" {
		want[4] = got[4] // the channel of an override is for Android alone
	}
	for i := range want {
		if got[i] != want[i] && !(p.DataOnly && want[0] == "") {
			t.Errorf("Android gets %d bytes in field %d, iOS %d", len(got[i]), i, len(want[i]))
		}
	}
}

// resultCodes are Google's ("ErrorCode", "FCM error codes").
func resultCodes() []vendortest.Code {
	return []vendortest.Code{
		{Name: "UNREGISTERED", Fault: fake.FCMRefusal(404, "NOT_FOUND", "UNREGISTERED", "m", ""), Want: vendors.TokenInvalid},
		{Name: "SENDER_ID_MISMATCH", Fault: fake.FCMRefusal(403, "PERMISSION_DENIED", "SENDER_ID_MISMATCH", "m", ""), Want: vendors.TokenInvalid},
		{Name: "INVALID_ARGUMENT of the token", Fault: fake.FCMRefusal(400, "INVALID_ARGUMENT", "INVALID_ARGUMENT", invalidToken, ""), Want: vendors.TokenInvalid, Shown: "INVALID_ARGUMENT"},
		{Name: "INVALID_ARGUMENT by field message.token", Fault: fake.FCMBadField("message.token"), Want: vendors.TokenInvalid, Shown: "INVALID_ARGUMENT"},
		{Name: "INVALID_ARGUMENT of the ttl", Fault: fake.FCMBadField("message.android.ttl"), Want: vendors.Rejected, Shown: "INVALID_ARGUMENT"},
		{Name: "INVALID_ARGUMENT", Fault: fake.FCMRefusal(400, "INVALID_ARGUMENT", "INVALID_ARGUMENT", "Message is too big", ""), Want: vendors.Rejected},
		{Name: "PERMISSION_DENIED", Fault: fake.FCMRefusal(403, "PERMISSION_DENIED", "", "m", ""), Want: vendors.CredentialBad},
		{Name: "UNAUTHENTICATED", Fault: fake.FCMRefusal(401, "UNAUTHENTICATED", "", "m", ""), Want: vendors.CredentialBad},
		{Name: "THIRD_PARTY_AUTH_ERROR", Fault: fake.FCMRefusal(401, "UNAUTHENTICATED", "THIRD_PARTY_AUTH_ERROR", "m", ""), Want: vendors.Rejected},
		{Name: "APNS_AUTH_ERROR", Fault: fake.FCMRefusal(401, "UNAUTHENTICATED", "APNS_AUTH_ERROR", "m", ""), Want: vendors.Rejected},
		{Name: "QUOTA_EXCEEDED", Fault: fake.FCMRefusal(429, "RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED", "m", ""), Want: vendors.Throttled},
		{Name: "QUOTA_EXCEEDED of the device", Fault: fake.FCMDeviceQuota("30"), Want: vendors.Throttled, Shown: "QUOTA_EXCEEDED"},
		{Name: "UNAVAILABLE", Fault: fake.FCMRefusal(503, "UNAVAILABLE", "UNAVAILABLE", "m", ""), Want: vendors.Transient},
		{Name: "INTERNAL", Fault: fake.FCMRefusal(500, "INTERNAL", "INTERNAL", "m", ""), Want: vendors.Transient},
		{Name: "UNSPECIFIED_ERROR", Fault: fake.FCMRefusal(500, "UNKNOWN", "UNSPECIFIED_ERROR", "m", ""), Want: vendors.Transient},
	}
}

func answers() map[vendortest.Situation]vendortest.Answer {
	page := fake.HTML(503)
	page.Header["retry-after"] = "120"
	return map[vendortest.Situation]vendortest.Answer{
		vendortest.Throttled: {
			Fault: fake.FCMRefusal(429, "RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED", "Quota exceeded.", ""),
			Want:  vendors.Result{Outcome: vendors.Throttled, Code: "QUOTA_EXCEEDED", RetryAfter: time.Minute},
		},
		vendortest.ThrottledPause: {
			Fault: fake.FCMRefusal(429, "RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED", "Quota exceeded.", "7"),
			Want:  vendors.Result{Outcome: vendors.Throttled, Code: "QUOTA_EXCEEDED", RetryAfter: 7 * time.Second},
		},
		vendortest.ThrottledDevice: {
			Fault: fake.FCMDeviceQuota(""),
			Want:  vendors.Result{Outcome: vendors.Throttled, Scope: vendors.ScopeDevice, Code: "QUOTA_EXCEEDED", RetryAfter: time.Minute},
		},
		vendortest.ServerError: {
			Fault: fake.FCMRefusal(500, "INTERNAL", "INTERNAL", "Internal error encountered.", ""),
			Want:  vendors.Result{Outcome: vendors.Transient, Code: "INTERNAL", RetryAfter: 10 * time.Second},
		},
		vendortest.Unavailable: {
			Fault: fake.FCMRefusal(503, "UNAVAILABLE", "UNAVAILABLE", "The service is currently unavailable.", ""),
			Want:  vendors.Result{Outcome: vendors.Transient, Code: "UNAVAILABLE", RetryAfter: 10 * time.Second},
		},
		vendortest.UnavailablePage: {
			Fault: page,
			Want:  vendors.Result{Outcome: vendors.Transient, Code: "HTTP 503", RetryAfter: 2 * time.Minute},
		},
		vendortest.NotFoundPage: {
			Fault: fake.HTML(404),
			Want:  vendors.Result{Outcome: vendors.Transient, Code: "HTTP 404"},
		},
		vendortest.EmptyBody: {
			Fault: fake.Fault{Kind: fake.Answer, Status: 502},
			Want:  vendors.Result{Outcome: vendors.Transient, Code: "HTTP 502", RetryAfter: 10 * time.Second},
		},
		vendortest.HugeBody: {
			Fault: fake.Fault{Kind: fake.Answer, Status: 500, Body: strings.Repeat("x", 1<<20)},
			Want:  vendors.Result{Outcome: vendors.Transient, Code: "HTTP 500", RetryAfter: 10 * time.Second},
		},
		vendortest.BadCredential: {
			Fault:    fake.FCMRefusal(401, "UNAUTHENTICATED", "", "Request had invalid authentication credentials.", ""),
			Want:     vendors.Result{Outcome: vendors.CredentialBad, Code: "UNAUTHENTICATED"},
			Requests: 2,
		},
		vendortest.BearerRefused: {
			Fault:    fake.FCMRefusal(401, "UNAUTHENTICATED", "", "Request had invalid authentication credentials.", ""),
			Want:     vendors.Result{Outcome: vendors.CredentialBad, Code: "UNAUTHENTICATED"},
			Requests: 2,
		},
		vendortest.BadRequest: {
			Fault: fake.FCMBadField("message.android.ttl"),
			Want:  vendors.Result{Outcome: vendors.Rejected, Code: "INVALID_ARGUMENT"},
		},
		vendortest.Unknown4xx: {
			Fault: fake.FCMRefusal(400, "FUTURE_STATUS", "FUTURE_CODE", "?", ""),
			Want:  vendors.Result{Outcome: vendors.Rejected, Code: "HTTP 400"},
		},
		vendortest.Unknown5xx: {
			Fault: fake.FCMRefusal(599, "FUTURE_STATUS", "FUTURE_CODE", "?", ""),
			Want:  vendors.Result{Outcome: vendors.Transient, Code: "HTTP 599", RetryAfter: 10 * time.Second},
		},
	}
}
