package apns

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rouse-im/rouse/vendors"
	"github.com/rouse-im/rouse/vendors/fake"
	"github.com/rouse-im/rouse/vendors/vendortest"
)

func TestConformance(t *testing.T) {
	for _, connections := range []int{1, 2} {
		t.Run(fmt.Sprintf("connections=%d", connections), func(t *testing.T) {
			vendortest.Run(t, vendortest.Harness{
				Protocol: "apns",
				Codes:    resultCodes(),
				Classes: map[vendors.Class]string{
					vendors.ClassCall: "alert 10", vendors.ClassIM: "alert 10",
					vendors.ClassSystem: "alert 10", vendors.ClassMarketing: "alert 5",
				},
				Own:      map[string]string{"MSG": "alert 10 MSG"},
				Lacks:    vendortest.AddBadge | vendortest.Grant | vendortest.Batches,
				Start:    func(t *testing.T) *vendortest.Rig { return suiteRig(t, connections) },
				Answers:  answers(),
				Override: vendors.Override{Category: "reply", MutableContent: true, ContentAvailable: true},
				MaxBytes: maxPayload,
			})
		})
	}
}

func suiteRig(t *testing.T, connections int) *vendortest.Rig {
	a, ca, config := newFakeOf(t, fake.APNsOptions{MaxStreams: 40})
	config.Connections, config.StreamsPerConnection = connections, 32/connections
	s := newSender(t, config)
	return &vendortest.Rig{
		Sender:   s,
		Faults:   &a.Faults,
		NewToken: func() string { return newToken(a, testBundle) },
		Kill:     a.Unregister,
		Seen:     func(token string) []vendortest.Push { return seen(t, a, token) },
		SetRate:  a.SetRate,
		SetCert:  a.SetCert,
		CA:       ca,
		Hosts:    []string{"api.push.apple.com"},
		Requests: func() int { return int(a.Stats().Requests) },
		Peak:     func() int { return int(a.Stats().Peak) },
		ExpireAuth: func() {
			<-time.After(tokenFloor + time.Minute)
			a.ExpireBearers()
		},
		Bearers: func() int { return int(a.Stats().Bearers) },
		Secrets: append(strings.Split(string(config.AuthKeyPEM), "\n")[1:3], "bearer ey"),
	}
}

func seen(t *testing.T, a *fake.APNs, token string) []vendortest.Push {
	d, _ := a.Device(token)
	var all []vendortest.Push
	for _, push := range d.Received {
		all = append(all, readBack(t, push))
	}
	return all
}

// readBack reads a push as Apple's documents describe the payload.
func readBack(t *testing.T, push fake.APNsPush) vendortest.Push {
	t.Helper()
	var p map[string]json.RawMessage
	var own struct {
		Alert    struct{ Title, Subtitle, Body string }
		Badge    *int
		Sound    string
		Thread   string `json:"thread-id"`
		Category string
	}
	if err := json.Unmarshal(push.Payload, &p); err != nil {
		t.Fatalf("payload: %v", err)
	}
	if err := json.Unmarshal(p["aps"], &own); err != nil {
		t.Fatalf("aps: %v", err)
	}
	delete(p, "aps")
	data := map[string]string{}
	for key, raw := range p {
		var value string
		if err := json.Unmarshal(raw, &value); err != nil {
			t.Fatalf("data %q: %v", key, err)
		}
		data[key] = value
	}
	return vendortest.Push{
		ID: push.ID, Title: own.Alert.Title, Subtitle: own.Alert.Subtitle, Body: own.Alert.Body,
		Sound: own.Sound, ImageURL: data["image"], Category: own.Category, Thread: own.Thread,
		Group: push.CollapseID, Badge: own.Badge, Data: data, Expires: push.Expires, Bytes: len(push.Payload),
		Kind: strings.TrimSpace(fmt.Sprintf("%s %d %s", push.PushType, push.Priority, own.Category)),
		Wire: fmt.Sprintf("apns-id: %s\napns-topic: %s\napns-push-type: %s\napns-priority: %d\napns-expiration: %d\napns-collapse-id: %s\n\n%s",
			push.ID, push.Topic, push.PushType, push.Priority, push.Expires.Unix(), push.CollapseID, push.Payload),
	}
}

// resultCodes are Apple's reasons ("Handling notification responses from APNs").
func resultCodes() []vendortest.Code {
	var codes []vendortest.Code
	for outcome, reasons := range map[vendors.Outcome]map[int][]string{
		vendors.Rejected: {
			400: {
				"BadCollapseId", "BadExpirationDate", "BadMessageId", "BadPriority", "DuplicateHeaders",
				"InvalidPushType", "MissingDeviceToken", "PayloadEmpty",
			},
			404: {"BadPath"}, 405: {"MethodNotAllowed"}, 413: {"PayloadTooLarge"},
		},
		vendors.TokenInvalid: {400: {"BadDeviceToken", "DeviceTokenNotForTopic"}, 410: {"ExpiredToken", "Unregistered"}},
		vendors.CredentialBad: {
			400: {"BadTopic", "MissingTopic", "TopicDisallowed"},
			403: {
				"BadCertificate", "BadCertificateEnvironment", "BadEnvironmentKeyIdInToken", "Forbidden",
				"InvalidProviderToken", "MissingProviderToken",
			},
		},
		// Its own token is too young to be replaced.
		vendors.Throttled: {403: {reasonExpired}, 429: {"TooManyProviderTokenUpdates", "TooManyRequests"}},
		vendors.Transient: {
			400: {"IdleTimeout"}, 403: {"UnrelatedKeyIdInToken"}, 500: {"InternalServerError"}, 503: {"ServiceUnavailable", "Shutdown"},
		},
	} {
		for status, names := range reasons {
			for _, name := range names {
				codes = append(codes, vendortest.Code{Name: name, Fault: fake.Reason(status, name), Want: outcome})
			}
		}
	}
	return codes
}

func answers() map[vendortest.Situation]vendortest.Answer {
	reason := func(status int, reason string, want vendors.Result) vendortest.Answer {
		want.Code = reason
		return vendortest.Answer{Fault: fake.Reason(status, reason), Want: want}
	}
	plain := func(f fake.Fault, want vendors.Result) vendortest.Answer {
		f.Kind = fake.Answer
		return vendortest.Answer{Fault: f, Want: want}
	}
	pause := reason(429, "TooManyRequests", vendors.Result{Outcome: vendors.Throttled, Scope: vendors.ScopeDevice, RetryAfter: time.Minute})
	pause.Fault.Header["retry-after"] = "60"
	page := fake.HTML(503)
	page.Header["retry-after"] = "120"
	return map[vendortest.Situation]vendortest.Answer{
		vendortest.Throttled:       reason(429, "TooManyProviderTokenUpdates", vendors.Result{Outcome: vendors.Throttled}),
		vendortest.ThrottledDevice: reason(429, "TooManyRequests", vendors.Result{Outcome: vendors.Throttled, Scope: vendors.ScopeDevice}),
		vendortest.ThrottledPause:  pause,
		vendortest.ServerError:     reason(500, "InternalServerError", vendors.Result{Outcome: vendors.Transient}),
		vendortest.Unavailable:     reason(503, "Shutdown", vendors.Result{Outcome: vendors.Transient}),
		vendortest.UnavailablePage: plain(page, vendors.Result{Outcome: vendors.Transient, Code: "http_503", RetryAfter: 2 * time.Minute}),
		vendortest.NotFoundPage:    plain(fake.HTML(404), vendors.Result{Outcome: vendors.Transient, Code: "http_404"}),
		vendortest.EmptyBody:       plain(fake.Fault{Status: 502}, vendors.Result{Outcome: vendors.Transient, Code: "http_502"}),
		vendortest.HugeBody: plain(fake.Fault{Status: 500, Body: strings.Repeat("x", 10<<20)},
			vendors.Result{Outcome: vendors.Transient, Code: "http_500"}),
		vendortest.BadCredential: reason(403, reasonInvalid, vendors.Result{Outcome: vendors.CredentialBad}),
		vendortest.BearerRefused: reason(403, reasonExpired, vendors.Result{Outcome: vendors.Throttled, RetryAfter: tokenLook}),
		vendortest.BadRequest:    reason(400, "BadPriority", vendors.Result{Outcome: vendors.Rejected}),
		vendortest.Unknown4xx:    reason(400, "TokenTooBlue", vendors.Result{Outcome: vendors.Rejected}),
		vendortest.Unknown5xx:    reason(599, "MoonPhase", vendors.Result{Outcome: vendors.Transient}),
	}
}
