package vivo

import (
	"encoding/json"
	"fmt"
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
		Protocol: "vivo",
		Start:    suiteRig,
		Codes:    resultCodes(),
		Classes: map[vendors.Class]string{
			vendors.ClassCall: "IM 1", vendors.ClassIM: "IM 1", vendors.ClassSystem: "ACCOUNT 1", vendors.ClassMarketing: "MARKETING 0",
		},
		Own:      map[string]string{"ORDER": "ORDER 1", "NEWS": "NEWS 0", "chats": "IM 1"},
		Batch:    &vendortest.Batch{Reply: reply, Dead: vendors.TokenInvalid, Unnamed: vendors.Accepted},
		Answers:  answers(),
		Override: vendors.Override{Category: "ORDER", ClickAction: "intent://chat"},
		MaxBytes: maxCustom,
		Lacks: vendortest.Subtitle | vendortest.Image | vendortest.Category | vendortest.Thread | vendortest.Collapse |
			vendortest.AbsoluteBadge | vendortest.BadgeClear | vendortest.BadgeOnly | vendortest.VoIP |
			vendortest.TTL | vendortest.InvalidSince,
	})
}

func reply(_, dead []string) fake.Fault {
	users := []map[string]any{}
	for _, token := range dead {
		users = append(users, map[string]any{"userid": token, "status": 1})
	}
	raw, _ := json.Marshal(map[string]any{"result": 0, "desc": "m", "requestId": "r", "invalidUsers": users})
	return fake.Fault{Kind: fake.Answer, Status: 200, Body: string(raw)}
}

// resultCodes are of "Return codes".
func resultCodes() []vendortest.Code {
	return vendortest.CodesOf(func(code string) fake.Fault {
		number, _ := strconv.Atoi(code)
		return fake.VivoRefusal(number, "m")
	}, map[vendors.Outcome][]string{
		vendors.Accepted:       strings.Fields("0"),
		vendors.Transient:      strings.Fields("10000 10040 10155"),
		vendors.Throttled:      strings.Fields("10072 10093"),
		vendors.QuotaExhausted: strings.Fields("10070 10071 10073 10252 10254"),
		vendors.TokenInvalid:   strings.Fields("10302"),
		vendors.Rejected: strings.Fields("10050 10054 10055 10056 10057 10058 10059 10060 10065 10067 10085 10095 10103 " +
			"10104 10150 10151 10152 10153 10300 10301 10303 10304 10305 10306 10311 10352 10353 10800 10801"),
		vendors.CredentialBad: strings.Fields("10043 10045 10051 10082 10094 10096 10097 10200 10201 10202 10203 10204 10205 10206 10207"),
	})
}

func suiteRig(t *testing.T) *vendortest.Rig {
	r := newRig(t, func(c *Config, _ *fake.VivoOptions, _ *fake.VivoApp) { c.MaxInFlight, c.AddBadge = 32, true })
	id, err := identities()
	if err != nil {
		t.Fatal(err)
	}
	return &vendortest.Rig{
		Sender: r.Sender,
		Faults: &r.fake.Faults, AuthFaults: &r.fake.AuthFaults,
		SetRate: r.fake.SetRate, SetCert: r.fake.SetCert, CA: id.ca, Hosts: []string{"vivo.test"},
		NewToken: r.token,
		Kill:     func(token string, _ time.Time) { r.fake.SetStatus(token, 2) },
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
		ExpireAuth: r.fake.RevokeTokens,
		Bearers:    r.fake.Tokens,
		Secrets:    []string{secret},
	}
}

func readBack(t *testing.T, p fake.VivoPush) vendortest.Push {
	t.Helper()
	seen := vendortest.Push{ID: p.RequestID, Title: p.Title, Body: p.Content, Data: p.Custom, Bytes: fullest(p), Kind: strings.TrimSpace(fmt.Sprintf("%s %d", p.Category, p.Classification)), Wire: string(p.Raw)}
	if p.AddBadge {
		seen.Add = 1
	}
	if p.Content == p.Title {
		seen.Body = "" // the title stands in for it
	}
	if p.NotifyType == 4 {
		seen.Sound = "default"
	}
	if packed, ok := p.Custom[keyData]; ok {
		seen.Data = nil
		if err := json.Unmarshal([]byte(packed), &seen.Data); err != nil {
			t.Error(err)
		}
	}
	return seen
}

// fullest is how full the fullest field is, in parts of maxCustom: vivo bounds
// each field, and the suite knows one bound.
func fullest(p fake.VivoPush) int {
	most := max(utf8.RuneCountInString(p.Title)*maxCustom/maxTitle, utf8.RuneCountInString(p.Content)*maxCustom/maxContent)
	custom := 0
	for key, value := range p.Custom {
		custom += utf8.RuneCountInString(key) + utf8.RuneCountInString(value)
	}
	return max(most, custom)
}

func answers() map[vendortest.Situation]vendortest.Answer {
	page := fake.HTML(503)
	page.Header["retry-after"] = "120"
	pause := fake.VivoRefusal(10072, "too fast")
	pause.Header["retry-after"] = "7"
	at := func(status int, f fake.Fault) fake.Fault {
		f.Status = status
		return f
	}
	return map[vendortest.Situation]vendortest.Answer{
		vendortest.Throttled: {
			Fault: fake.VivoRefusal(10072, "too fast"),
			Want:  vendors.Result{Outcome: vendors.Throttled, Code: "10072"},
		},
		vendortest.ThrottledPause: {
			Fault: pause,
			Want:  vendors.Result{Outcome: vendors.Throttled, Code: "10072", RetryAfter: 7 * time.Second},
		},
		vendortest.QuotaUsedUp: { // bubbles begin at midnight UTC
			Fault: fake.VivoRefusal(10073, "daily total"),
			Want:  vendors.Result{Outcome: vendors.QuotaExhausted, Code: "10073", RetryAfter: 16 * time.Hour},
		},
		vendortest.ServerError: {
			Fault: fake.Fault{Kind: fake.Answer, Status: 500, Body: `{"result":10302,"desc":"down"}`},
			Want:  vendors.Result{Outcome: vendors.Transient, Code: "HTTP 500"},
		},
		vendortest.Unavailable: {
			Fault: fake.VivoRefusal(10040, "again"),
			Want:  vendors.Result{Outcome: vendors.Transient, Code: "10040"},
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
			Fault:    fake.VivoRefusal(10094, "token and appId differ"),
			Want:     vendors.Result{Outcome: vendors.CredentialBad, Code: "10094"},
			Requests: 2,
		},
		vendortest.BadRequest: {
			Fault: fake.VivoRefusal(10103, "sensitive"),
			Want:  vendors.Result{Outcome: vendors.Rejected, Code: "10103"},
		},
		vendortest.Unknown4xx: {
			Fault: at(400, fake.VivoRefusal(19999, "?")),
			Want:  vendors.Result{Outcome: vendors.Rejected, Code: "19999"},
		},
		vendortest.Unknown5xx: {
			Fault: at(599, fake.VivoRefusal(19999, "?")),
			Want:  vendors.Result{Outcome: vendors.Transient, Code: "HTTP 599"},
		},
		"200 with a code from the future": {
			Fault: fake.VivoRefusal(19999, "?"),
			Want:  vendors.Result{Outcome: vendors.Transient, Code: "19999"},
		},
		"200 without a code": {
			Fault: fake.Fault{Kind: fake.Answer, Status: 200, Body: `{"desc":"ok","taskId":"1"}`},
			Want:  vendors.Result{Outcome: vendors.Transient, Code: "HTTP 200"},
		},
		"bearer refused for good": {
			Fault:    fake.VivoRefusal(10000, "authToken"),
			Want:     vendors.Result{Outcome: vendors.Transient, Code: "10000"},
			Requests: 2,
		},
	}
}
