package vivo

import (
	"encoding/json"
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
		Start:    suiteRig,
		Answers:  answers(),
		MaxBytes: maxCustom,
		Lacks: vendortest.Subtitle | vendortest.Image | vendortest.Category | vendortest.Thread | vendortest.Collapse |
			vendortest.AbsoluteBadge | vendortest.BadgeClear | vendortest.BadgeOnly | vendortest.VoIP |
			vendortest.TTL | vendortest.InvalidSince,
	})
}

func suiteRig(t *testing.T) *vendortest.Rig {
	r := newRig(t, func(c *Config, _ *fake.VivoOptions, _ *fake.VivoApp) { c.MaxInFlight = 32 })
	return &vendortest.Rig{
		Sender:   r.Sender,
		Faults:   &r.fake.Faults,
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
	seen := vendortest.Push{ID: p.RequestID, Title: p.Title, Body: p.Content, Data: p.Custom, Bytes: fullest(p)}
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
