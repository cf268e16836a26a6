package xiaomi

import (
	"maps"
	"strconv"
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
		Protocol: "xiaomi",
		Start:    suiteRig,
		Codes:    resultCodes(),
		Classes: map[vendors.Class]string{
			vendors.ClassCall: "channel im", vendors.ClassIM: "channel im",
			vendors.ClassSystem: "channel im", vendors.ClassMarketing: "channel news",
		},
		Own:      map[string]string{"order": "channel order"},
		Batch:    &vendortest.Batch{Reply: reply, Dead: vendors.TokenInvalid, Unnamed: vendors.Accepted},
		Answers:  answers(),
		Override: vendors.Override{ChannelID: "chat", ClickAction: "intent:#Intent;end"},
		MaxBytes: maxPayload,
		Lacks: vendortest.Subtitle | vendortest.Image | vendortest.Thread | vendortest.Collapse |
			vendortest.AbsoluteBadge | vendortest.AddBadge | vendortest.Bearer | vendortest.Grant | vendortest.BadgeClear | vendortest.BadgeOnly | vendortest.VoIP |
			vendortest.InvalidSince,
	})
}

func reply(_, dead []string) fake.Fault {
	return fake.Fault{
		Kind: fake.Answer, Status: 200,
		Body: `{"result":"ok","code":0,"data":{"id":"slm","bad_regids":"` + strings.Join(dead, ",") + `"}}`,
	}
}

// resultCodes are of the document "result codes", as ranges of the same meaning.
func resultCodes() []vendortest.Code {
	return vendortest.CodesOf(func(code string) fake.Fault {
		number, _ := strconv.Atoi(code)
		return fake.XiaomiRefusal(200, number, "why", "")
	}, map[vendors.Outcome][]string{
		vendors.Transient:      strings.Fields("-1 1 10001 10002 10003 10009 10010 10011 10037 20607 26003 65029 31415"),
		vendors.Throttled:      strings.Fields("10022 10023 10024 10027 10028 10030 10032 10039 26004 200002"),
		vendors.QuotaExhausted: strings.Fields("10034 200001"),
		vendors.TokenInvalid:   strings.Fields("10029 66007"),
		vendors.CredentialBad: strings.Fields("10004 10005 10014 10020 10021 10026 10031 10036 21301 21302 21303 " +
			"22000 22006 22007 22008 22022 26006 27001 65038"),
		vendors.Rejected: strings.Fields("10008 10012 10016 10017 10018 10041 20301 21305 65003 65009 65011 65014 65015 " +
			"65028 65030 65036 65037"),
	})
}

func suiteRig(t *testing.T) *vendortest.Rig {
	r := newRig(t, func(c *Config, _ *fake.XiaomiOptions) { c.MaxInFlight = 32 })
	return &vendortest.Rig{
		Sender:   r.Sender,
		Faults:   &r.fake.Faults,
		NewToken: r.token,
		SetRate:  r.fake.SetRate,
		SetCert:  r.fake.SetCert,
		CA:       theIdentity(t).ca,
		Hosts:    []string{"xiaomi.test"},
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
func readBack(p fake.XiaomiPush) vendortest.Push {
	seen := vendortest.Push{
		ID: p.PushID, Title: p.Title, Body: p.Description,
		Category: p.Extra["channel_id"], Data: maps.Clone(p.Data),
		Expires: p.Expires.Truncate(time.Second),
		// The limits are several: Bytes is how much of the payload's is used,
		// or would be if the description's limit were as many bytes.
		Bytes: max(len(p.Payload), cut.UTF16(p.Description)*maxPayload/maxDescription),
	}
	seen.Kind, seen.Wire = "channel "+seen.Category, strings.ReplaceAll(string(p.Raw), "&", "&\n")
	if p.Description == p.Title { // stands in for a missing one
		seen.Body = ""
	}
	if p.NotifyType&notifySound != 0 {
		seen.Sound = "default"
	}
	delete(seen.Data, keyPush)
	return seen
}

func answers() map[vendortest.Situation]vendortest.Answer {
	page := fake.HTML(503)
	page.Header["retry-after"] = "120"
	future := func(status int, outcome vendors.Outcome, code string) vendortest.Answer {
		return vendortest.Answer{
			Fault: fake.XiaomiRefusal(status, 98765, "?", ""), Want: vendors.Result{Outcome: outcome, Code: code},
		}
	}
	refusal := func(code int, want vendors.Result) vendortest.Answer {
		want.Code = strconv.Itoa(code)
		return vendortest.Answer{Fault: fake.XiaomiRefusal(200, code, "reason", ""), Want: want}
	}
	return map[vendortest.Situation]vendortest.Answer{
		vendortest.Throttled: refusal(200002, vendors.Result{Outcome: vendors.Throttled, RetryAfter: time.Second}),
		vendortest.ThrottledPause: {
			Fault: fake.XiaomiRefusal(429, 10027, "reason", "7"),
			Want:  vendors.Result{Outcome: vendors.Throttled, Code: "10027", RetryAfter: 7 * time.Second},
		},
		// The bubble's clock starts at midnight UTC, which is 8:00 in China.
		vendortest.QuotaUsedUp: refusal(200001, vendors.Result{Outcome: vendors.QuotaExhausted, RetryAfter: 16 * time.Hour}),
		vendortest.ServerError: refusal(10001, vendors.Result{Outcome: vendors.Transient}),
		vendortest.Unavailable: {
			Fault: fake.XiaomiRefusal(503, 10002, "paused", ""),
			Want:  vendors.Result{Outcome: vendors.Transient, Code: "HTTP 503"},
		},
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
		vendortest.BadCredential: refusal(21301, vendors.Result{Outcome: vendors.CredentialBad}),
		vendortest.BadRequest:    refusal(10017, vendors.Result{Outcome: vendors.Rejected}),
		vendortest.Unknown4xx:    future(400, vendors.Rejected, "98765"),
		vendortest.Unknown5xx:    future(599, vendors.Transient, "HTTP 599"),
	}
}
