package meizu

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/rouse-im/rouse/vendors"
	"github.com/rouse-im/rouse/vendors/cut"
	"github.com/rouse-im/rouse/vendors/fake"
	"github.com/rouse-im/rouse/vendors/vendortest"
)

func TestConformance(t *testing.T) {
	vendortest.Run(t, vendortest.Harness{
		Protocol: "meizu",
		Start:    suiteRig,
		Codes:    resultCodes(),
		Classes: map[vendors.Class]string{
			vendors.ClassCall: "private", vendors.ClassIM: "private",
			vendors.ClassSystem: "private", vendors.ClassMarketing: "public",
		},
		Own:      map[string]string{"public": "public", "other": "private"},
		Batch:    &vendortest.Batch{Reply: reply, Dead: vendors.TokenInvalid, Unnamed: vendors.Accepted},
		Answers:  answers(),
		Override: vendors.Override{ClickAction: "com.example.Chat", Public: true},
		MaxBytes: maxParameters,
		// TTL: Meizu counts hours, up to three days.
		Lacks: vendortest.Subtitle | vendortest.Image | vendortest.Category | vendortest.Thread |
			vendortest.Collapse | vendortest.AbsoluteBadge | vendortest.AddBadge | vendortest.Bearer | vendortest.Grant | vendortest.BadgeClear | vendortest.BadgeOnly |
			vendortest.VoIP | vendortest.TTL | vendortest.InvalidSince,
	})
}

func reply(_, dead []string) fake.Fault {
	raw, _ := json.Marshal(map[string][]string{"110002": dead})
	return fake.MeizuValue(string(raw))
}

// resultCodes are the README's: of calls, and of tokens within a call.
func resultCodes() []vendortest.Code {
	codes := vendortest.CodesOf(func(code string) fake.Fault { return fake.MeizuRefusal(200, code, "m", "") }, map[vendors.Outcome][]string{
		vendors.Transient:      {"500", "1001", "1003", "314159"},
		vendors.Rejected:       {"1005", "110004", "110032"},
		vendors.CredentialBad:  {"1006", "110000", "110001", "110009", "110031", "110033", "110053"},
		vendors.TokenInvalid:   {"110002", "110003"},
		vendors.Throttled:      {"110010"},
		vendors.QuotaExhausted: {"110019", "110051"},
	})
	for outcome, list := range map[vendors.Outcome][]string{
		vendors.Transient:      {"501", "513", "510", "511", "314159"},
		vendors.Rejected:       {"201", "110005", "110010"},
		vendors.TokenInvalid:   {"110002", "110003"},
		vendors.Throttled:      {"518", "519"},
		vendors.QuotaExhausted: {"110011"},
		vendors.Accepted:       {"520"},
	} {
		for _, code := range list {
			// The second token of the bubble is the one that is asked about.
			value := fmt.Sprintf(`{%q:["RA50c634803632","other"]}`, code)
			codes = append(codes, vendortest.Code{Name: "token " + code, Fault: fake.MeizuValue(value), Want: outcome, Shown: code})
		}
	}
	return codes
}

func suiteRig(t *testing.T) *vendortest.Rig {
	r := newRig(t, func(_ *Config, o *fake.MeizuOptions) { o.PerSecond = 10_000 })
	return &vendortest.Rig{
		Sender:   r.Sender,
		Faults:   &r.fake.Faults,
		NewToken: r.token,
		SetRate:  r.fake.SetRate,
		SetCert:  r.fake.SetCert,
		CA:       theIdentity(t).ca,
		Hosts:    []string{"meizu.test"},
		Kill:     func(token string, _ time.Time) { r.fake.Unregister(token) },
		Seen: func(token string) []vendortest.Push {
			d, _ := r.fake.Device(token)
			var seen []vendortest.Push
			for _, p := range d.Received {
				seen = append(seen, readBack(p))
			}
			return seen
		},
		Requests: func() int { return int(r.fake.Stats().Requests) },
		Peak:     func() int { return int(r.fake.Stats().Peak) },
		Secrets:  []string{testSecret},
	}
}

// readBack takes from the wire what a phone would find.
func readBack(p fake.MeizuPush) vendortest.Push {
	seen := vendortest.Push{
		ID: p.PushID, Title: p.Title, Body: p.Content, Data: maps.Clone(p.Parameters),
		// The limits are several: Bytes is how much of the parameters' is used,
		// or would be if the content's limit were as many bytes.
		Bytes: max(p.ParametersBytes, cut.UTF16(p.Content)*maxParameters/maxContent),
	}
	seen.Kind, seen.Wire = "public", strings.ReplaceAll(string(p.Raw), "&", "&\n")+"\n\n"+p.Message
	if p.Private {
		seen.Kind = "private"
	}
	if p.Content == p.Title { // stands in for a missing one
		seen.Body = ""
	}
	if p.Sound {
		seen.Sound = "default"
	}
	delete(seen.Data, keyPush)
	return seen
}

func answers() map[vendortest.Situation]vendortest.Answer {
	page := fake.HTML(503)
	page.Header["retry-after"] = "120"
	refusal := func(status int, code string, want vendors.Result) vendortest.Answer {
		return vendortest.Answer{Fault: fake.MeizuRefusal(status, code, "message", ""), Want: want}
	}
	return map[vendortest.Situation]vendortest.Answer{
		vendortest.Throttled: refusal(200, "110010", vendors.Result{Outcome: vendors.Throttled, Code: "110010", RetryAfter: time.Second}),
		vendortest.ThrottledPause: {
			Fault: fake.MeizuRefusal(429, "110010", "message", "7"),
			Want:  vendors.Result{Outcome: vendors.Throttled, Code: "110010", RetryAfter: 7 * time.Second},
		},
		// The bubble's clock starts at midnight UTC, which is 8:00 in China.
		vendortest.QuotaUsedUp: refusal(200, "110019", vendors.Result{Outcome: vendors.QuotaExhausted, Code: "110019", RetryAfter: 16 * time.Hour}),
		vendortest.ServerError: refusal(200, "1001", vendors.Result{Outcome: vendors.Transient, Code: "1001"}),
		vendortest.Unavailable: refusal(503, "1003", vendors.Result{Outcome: vendors.Transient, Code: "HTTP 503"}),
		vendortest.UnavailablePage: {
			Fault: page,
			Want:  vendors.Result{Outcome: vendors.Transient, Code: "HTTP 503", RetryAfter: 2 * time.Minute},
		},
		vendortest.NotFoundPage: {Fault: fake.HTML(404), Want: vendors.Result{Outcome: vendors.Transient, Code: "HTTP 404"}},
		vendortest.EmptyBody: {
			Fault: fake.Fault{Kind: fake.Answer, Status: 502},
			Want:  vendors.Result{Outcome: vendors.Transient, Code: "HTTP 502"},
		},
		vendortest.HugeBody: {
			Fault: fake.Fault{Kind: fake.Answer, Status: 500, Body: strings.Repeat("x", 1<<20)},
			Want:  vendors.Result{Outcome: vendors.Transient, Code: "HTTP 500"},
		},
		vendortest.BadCredential: refusal(200, "1006", vendors.Result{Outcome: vendors.CredentialBad, Code: "1006"}),
		vendortest.BadRequest:    refusal(200, "1005", vendors.Result{Outcome: vendors.Rejected, Code: "1005"}),
		vendortest.Unknown4xx:    refusal(400, "987654", vendors.Result{Outcome: vendors.Rejected, Code: "987654"}),
		vendortest.Unknown5xx:    refusal(599, "987654", vendors.Result{Outcome: vendors.Transient, Code: "HTTP 599"}),
	}
}
