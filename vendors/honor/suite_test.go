package honor

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rouse-im/rouse/vendors"
	"github.com/rouse-im/rouse/vendors/fake"
	"github.com/rouse-im/rouse/vendors/vendortest"
)

// TestConformance lifts Honor's bounds of texts, which TestTextUnits checks,
// since the suite is about bytes.
func TestConformance(t *testing.T) {
	for name, change := range map[string]func(*fake.HonorOptions){
		"200":      func(*fake.HonorOptions) {},
		"80000000": func(o *fake.HonorOptions) { o.SuccessCode, o.CodeAsString = "80000000", true },
	} {
		t.Run(name, func(t *testing.T) {
			vendortest.Run(t, vendortest.Harness{
				Protocol: "honor",
				Start:    func(t *testing.T) *vendortest.Rig { return suiteRig(t, change) },
				Override: vendors.Override{ClickAction: "com.example.OPEN", Importance: "LOW", Test: true},
				Answers:  answers(), Codes: resultCodes(), MaxBytes: maxPayload, MaxBadge: 99,
				Classes: map[vendors.Class]string{
					vendors.ClassCall: "NORMAL", vendors.ClassIM: "NORMAL", vendors.ClassSystem: "NORMAL", vendors.ClassMarketing: "LOW",
				},
				Own:   map[string]string{"low": "LOW", "chats": "NORMAL"},
				Batch: &vendortest.Batch{Reply: answered, Dead: vendors.TokenInvalid, Unnamed: vendors.Accepted},
				Lacks: vendortest.Subtitle | vendortest.Sound | vendortest.Category | vendortest.AddBadge |
					vendortest.BadgeOnly | vendortest.VoIP | vendortest.InvalidSince | vendortest.Goaway,
			})
		})
	}
}

func answered(_, dead []string) fake.Fault {
	raw, _ := json.Marshal(map[string]any{
		"code": 200, "data": map[string]any{"sendResult": true, "requestId": "7", "expireTokens": dead},
	})
	return fake.Fault{Kind: fake.Answer, Status: 200, Body: string(raw)}
}

// resultCodes are Huawei's, on which Honor's are built, and HTTP's.
func resultCodes() []vendortest.Code {
	return vendortest.CodesOf(func(code string) fake.Fault { return fake.HonorRefusal(200, code, "msg") }, map[vendors.Outcome][]string{
		vendors.Rejected:      {"400", "80100001", "80100003", "80100004", "80300008", "80300010"},
		vendors.CredentialBad: {"401", "403", "80200001", "80200003", "80300002"},
		vendors.Throttled:     {"429", "503", "80300028"},
		// The successes are without effect when sendResult is false.
		vendors.Transient: {"81000001", "80300007", "200", "80000000", "80100000"},
	})
}

// TestCodesAreComplete: the suite has a case for each code of the table.
func TestCodesAreComplete(t *testing.T) {
	if got := len(resultCodes()); got != len(codes) {
		t.Errorf("the suite has %d codes, the table %d", got, len(codes))
	}
}

func suiteRig(t *testing.T, change func(*fake.HonorOptions)) *vendortest.Rig {
	r := newRig(t, func(c *Config, o *fake.HonorOptions) {
		c.MaxInFlight, c.TitleUnits, c.BodyUnits = 32, maxTextUnits, maxTextUnits
		change(o)
	})
	serial := 0
	return &vendortest.Rig{
		Sender: r.Sender,
		Faults: &r.fake.Faults, AuthFaults: &r.fake.OAuthFaults,
		SetRate: r.fake.SetRate, SetCert: r.fake.SetCert, CA: theIdentity(t).ca, Hosts: []string{"push.test", "auth.test"},
		NewToken: func() string {
			serial++
			token := "BAESuite-" + strconv.Itoa(serial)
			r.fake.AddDevice(token)
			return token
		},
		Kill: func(token string, _ time.Time) { r.fake.Unregister(token) },
		Seen: func(token string) []vendortest.Push {
			d, _ := r.fake.Device(token)
			var seen []vendortest.Push
			for _, p := range d.Received {
				seen = append(seen, readBack(p))
			}
			return seen
		},
		Requests:   func() int { return int(r.fake.Stats().Requests) },
		Peak:       func() int { return int(r.fake.Stats().Peak) },
		ExpireAuth: r.fake.RevokeBearers,
		Bearers:    func() int { return int(r.fake.Stats().Bearers) },
		Secrets:    []string{secret, "honor-fake-"},
	}
}

func readBack(p fake.HonorPush) vendortest.Push {
	seen := vendortest.Push{
		ID: p.PushID, Title: p.Title, Body: strings.TrimSuffix(p.Body, noText), ImageURL: p.Image,
		Thread: p.Group, Group: p.Tag, Data: p.Data, Expires: p.Expires.Truncate(time.Second), Bytes: p.Bytes,
		Kind: p.Importance, Wire: string(p.Raw),
	}
	if p.Badge != nil {
		seen.Badge = p.Badge.Set
	}
	return seen
}

func answers() map[vendortest.Situation]vendortest.Answer {
	page := fake.HTML(503)
	page.Header["retry-after"] = "120"
	pause := fake.HonorRefusal(429, "429", "too many requests")
	pause.Header["retry-after"] = "7"
	return map[vendortest.Situation]vendortest.Answer{
		vendortest.Throttled: {
			Fault: fake.HonorRefusal(200, "80300028", "flow control"),
			Want:  vendors.Result{Outcome: vendors.Throttled, Code: "80300028"},
		},
		vendortest.ThrottledPause: {
			Fault: pause,
			Want:  vendors.Result{Outcome: vendors.Throttled, Code: "429", RetryAfter: 7 * time.Second},
		},
		vendortest.ServerError: {
			Fault: fake.HonorRefusal(500, "81000001", "internal"),
			Want:  vendors.Result{Outcome: vendors.Transient, Code: "81000001"},
		},
		vendortest.Unavailable: {
			Fault: fake.HonorRefusal(503, "80300028", "flow control"),
			Want:  vendors.Result{Outcome: vendors.Throttled, Code: "80300028"},
		},
		vendortest.UnavailablePage: {
			Fault: page,
			Want:  vendors.Result{Outcome: vendors.Throttled, Code: "HTTP 503", RetryAfter: 2 * time.Minute},
		},
		vendortest.NotFoundPage: {
			Fault: fake.HTML(404),
			Want:  vendors.Result{Outcome: vendors.Transient, Code: "HTTP 404"},
		},
		vendortest.EmptyBody: {
			Fault: fake.Fault{Kind: fake.Answer, Status: 502},
			Want:  vendors.Result{Outcome: vendors.Transient, Code: "HTTP 502"},
		},
		vendortest.HugeBody: {
			Fault: fake.Fault{Kind: fake.Answer, Status: 500, Body: strings.Repeat("x", 1<<20)},
			Want:  vendors.Result{Outcome: vendors.Transient, Code: "HTTP 500"},
		},
		vendortest.BadCredential: {
			Fault:    fake.HonorRefusal(403, "403", "accesstoken invalid"),
			Want:     vendors.Result{Outcome: vendors.CredentialBad, Code: "403"},
			Requests: 2,
		},
		vendortest.BearerRefused: {
			Fault:    fake.HonorRefusal(401, "80200003", "accesstoken expired"),
			Want:     vendors.Result{Outcome: vendors.CredentialBad, Code: "80200003"},
			Requests: 2,
		},
		vendortest.BadRequest: {
			Fault: fake.HonorRefusal(400, "80100003", "structure"),
			Want:  vendors.Result{Outcome: vendors.Rejected, Code: "80100003"},
		},
		vendortest.Unknown4xx: {
			Fault: fake.HonorRefusal(400, "89999999", "?"),
			Want:  vendors.Result{Outcome: vendors.Rejected, Code: "89999999"},
		},
		vendortest.Unknown5xx: {
			Fault: fake.HonorRefusal(599, "89999999", "?"),
			Want:  vendors.Result{Outcome: vendors.Transient, Code: "89999999"},
		},
		"200 with a code from the future": {
			Fault: fake.HonorRefusal(200, "89999999", "?"),
			Want:  vendors.Result{Outcome: vendors.Transient, Code: "89999999"},
		},
		"a success that was not sent": {
			Fault: fake.HonorRefusal(200, "200", "success"),
			Want:  vendors.Result{Outcome: vendors.Transient, Code: "200"},
		},
		"a proxy's page instead of 403": {
			Fault:    fake.HTML(403),
			Want:     vendors.Result{Outcome: vendors.Transient, Code: "HTTP 403"},
			Requests: 2,
		},
	}
}
