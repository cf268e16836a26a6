package oppo

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/rouse-im/rouse/vendors"
	"github.com/rouse-im/rouse/vendors/fake"
	"github.com/rouse-im/rouse/vendors/vendortest"
)

func TestConformance(t *testing.T) {
	vendortest.Run(t, vendortest.Harness{
		Protocol: "oppo",
		Start:    suiteRig,
		Codes:    resultCodes(),
		Classes: map[vendors.Class]string{
			vendors.ClassCall: "IM", vendors.ClassIM: "IM", vendors.ClassSystem: "ACCOUNT", vendors.ClassMarketing: "MARKETING",
		},
		Own:      map[string]string{"ORDER": "ORDER", "chats": "IM chats"},
		Batch:    &vendortest.Batch{Reply: reply, Dead: vendors.TokenInvalid, Unnamed: vendors.Accepted},
		Answers:  answers(),
		Override: vendors.Override{Category: "ORDER", ChannelID: "chat", ClickAction: "com.example.Chat", NotifyLevel: 2},
		MaxBytes: maxParameters,
		Lacks: vendortest.Subtitle | vendortest.Sound | vendortest.Image | vendortest.Thread | vendortest.Collapse |
			vendortest.AddBadge | vendortest.BadgeOnly | vendortest.VoIP | vendortest.InvalidSince,
	})
}

func reply(fine, dead []string) fake.Fault {
	elements := []map[string]any{}
	for _, token := range fine {
		elements = append(elements, map[string]any{"messageId": "id", "registrationId": token})
	}
	for _, token := range dead {
		elements = append(elements, map[string]any{"messageId": "id", "registrationId": token, "errorCode": 10000, "errorMessage": "m"})
	}
	raw, _ := json.Marshal(map[string]any{"code": 0, "message": "", "data": elements})
	return fake.Fault{Kind: fake.Answer, Status: 200, Body: string(raw)}
}

// resultCodes are of "Return codes", as far as sends can meet them.
func resultCodes() []vendortest.Code {
	return vendortest.CodesOf(func(code string) fake.Fault {
		number, _ := strconv.Atoi(code)
		return fake.OPPORefusal(number, "m")
	}, map[vendors.Outcome][]string{
		vendors.Accepted:       strings.Fields("0 32 10004 10005"),
		vendors.Transient:      strings.Fields("-1 11 29"),
		vendors.Throttled:      strings.Fields("-2 13 55 69"),
		vendors.QuotaExhausted: strings.Fields("33 34 42"),
		vendors.TokenInvalid:   strings.Fields("10000"),
		vendors.Rejected:       strings.Fields("31 40 41 51 10001 10002 10003"),
		vendors.CredentialBad:  strings.Fields("12 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 30 54 59 67"),
	})
}

func suiteRig(t *testing.T) *vendortest.Rig {
	r := newRig(t, func(c *Config, o *fake.OPPOOptions, _ *fake.OPPOApp) {
		c.MaxInFlight = 32
		o.TokenLife = time.Hour // so that the suite's hours see renewals
	})
	id, err := identities()
	if err != nil {
		t.Fatal(err)
	}
	return &vendortest.Rig{
		Sender: r.Sender,
		Faults: &r.fake.Faults, AuthFaults: &r.fake.AuthFaults,
		SetRate: r.fake.SetRate, SetCert: r.fake.SetCert, CA: id.ca, Hosts: []string{"oppo.test", "intl.oppo.test"},
		NewToken: func() string { return r.token("OnePlus_CN_") },
		Kill:     func(token string, _ time.Time) { r.fake.SetCode(token, 10000) },
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
		ExpireAuth: r.fake.RevokeTokens,
		Bearers:    r.fake.Tokens,
		Secrets:    []string{secret},
	}
}

func readBack(p fake.OPPOPush) vendortest.Push {
	seen := vendortest.Push{
		ID: p.PushID, Title: p.Title, Body: p.Content, Category: p.ChannelID,
		Badge: p.Badge, Data: p.Parameters, Expires: p.Expires, Bytes: fullest(p),
		Kind: strings.TrimSpace(p.Category + " " + p.ChannelID), Wire: string(p.Raw),
	}
	if p.Content == p.Title {
		seen.Body = "" // the title stands in for it
	}
	return seen
}

// fullest is how full the fullest field is, in parts of maxParameters: OPPO
// bounds each field, and the suite knows one bound.
func fullest(p fake.OPPOPush) int {
	most := 0
	for _, field := range []struct {
		text  string
		limit int
	}{{p.Title, maxTitle}, {p.Content, maxLong}} {
		most = max(most, utf8.RuneCountInString(field.text)*maxParameters/field.limit)
	}
	for key, value := range p.Parameters {
		most = max(most, len(key)+len(value))
	}
	return most
}

func answers() map[vendortest.Situation]vendortest.Answer {
	page := fake.HTML(503)
	page.Header["retry-after"] = "120"
	pause := fake.OPPORefusal(55, "app call frequency limit")
	pause.Header["retry-after"] = "7"
	at := func(status int, f fake.Fault) fake.Fault {
		f.Status = status
		return f
	}
	return map[vendortest.Situation]vendortest.Answer{
		vendortest.Throttled: {
			Fault: fake.OPPORefusal(13, "app call limited"),
			Want:  vendors.Result{Outcome: vendors.Throttled, Code: "13"},
		},
		vendortest.ThrottledPause: {
			Fault: pause,
			Want:  vendors.Result{Outcome: vendors.Throttled, Code: "55", RetryAfter: 7 * time.Second},
		},
		vendortest.QuotaUsedUp: { // bubbles begin at midnight UTC
			Fault: fake.OPPORefusal(33, "daily limit"),
			Want:  vendors.Result{Outcome: vendors.QuotaExhausted, Code: "33", RetryAfter: 16 * time.Hour},
		},
		vendortest.ServerError: {
			Fault: fake.Fault{Kind: fake.Answer, Status: 500, Body: `{"code":-1,"message":"down"}`},
			Want:  vendors.Result{Outcome: vendors.Transient, Code: "HTTP 500"},
		},
		vendortest.Unavailable: {
			Fault: fake.OPPORefusal(-1, "service unavailable"),
			Want:  vendors.Result{Outcome: vendors.Transient, Code: "-1"},
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
			Want:  vendors.Result{Outcome: vendors.Transient, Code: "HTTP 502"},
		},
		vendortest.HugeBody: {
			Fault: fake.Fault{Kind: fake.Answer, Status: 500, Body: strings.Repeat("x", 1<<20)},
			Want:  vendors.Result{Outcome: vendors.Transient, Code: "HTTP 500"},
		},
		vendortest.BadCredential: {
			Fault: fake.OPPORefusal(28, "the app is disabled"),
			Want:  vendors.Result{Outcome: vendors.CredentialBad, Code: "28"},
		},
		vendortest.BadRequest: {
			Fault: fake.OPPORefusal(41, "content invalid"),
			Want:  vendors.Result{Outcome: vendors.Rejected, Code: "41"},
		},
		vendortest.Unknown4xx: {
			Fault: at(400, fake.OPPORefusal(19999, "?")),
			Want:  vendors.Result{Outcome: vendors.Rejected, Code: "19999"},
		},
		vendortest.Unknown5xx: {
			Fault: at(599, fake.OPPORefusal(19999, "?")),
			Want:  vendors.Result{Outcome: vendors.Transient, Code: "HTTP 599"},
		},
		"200 with a code from the future": {
			Fault: fake.OPPORefusal(19999, "?"),
			Want:  vendors.Result{Outcome: vendors.Transient, Code: "19999"},
		},
		"200 without a code": {
			Fault: fake.Fault{Kind: fake.Answer, Status: 200, Body: `{"message":"ok"}`},
			Want:  vendors.Result{Outcome: vendors.Transient, Code: "HTTP 200"},
		},
		"bearer refused for good": {
			Fault:    fake.OPPORefusal(11, "auth_token invalid"),
			Want:     vendors.Result{Outcome: vendors.Transient, Code: "11"},
			Requests: 2,
		},
	}
}
