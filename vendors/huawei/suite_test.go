package huawei

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

const lacks = vendortest.Subtitle | vendortest.AddBadge | vendortest.BadgeOnly | vendortest.VoIP |
	vendortest.InvalidSince | vendortest.Goaway

func TestConformanceHMS(t *testing.T) {
	vendortest.Run(t, vendortest.Harness{
		Protocol: "hms",
		Start:    func(t *testing.T) *vendortest.Rig { return suiteRig(t, HMS) },
		Override: vendors.Override{Category: "WORK", ChannelID: "chat", ClickAction: "intent://chat", ReceiptID: "R1", Test: true},
		Answers:  answers(), Codes: resultCodes(), MaxBytes: maxPayload, MaxBadge: 99, Lacks: lacks,
		Classes: map[vendors.Class]string{
			vendors.ClassCall: "VOIP NORMAL", vendors.ClassIM: "IM NORMAL",
			vendors.ClassSystem: "ACCOUNT NORMAL", vendors.ClassMarketing: "MARKETING LOW",
		},
		Own:   map[string]string{"travel": "TRAVEL NORMAL", "chats": "IM NORMAL chats"},
		Batch: &vendortest.Batch{Reply: reply(HMS), Dead: vendors.TokenInvalid, Unnamed: vendors.Accepted},
	})
}

// HarmonyOS has no groups and no name for its own sound, and takes a number
// for a collapse id, which TestHarmonyCollapse checks.
func TestConformanceHarmony(t *testing.T) {
	vendortest.Run(t, vendortest.Harness{
		Protocol: "harmony",
		Start:    func(t *testing.T) *vendortest.Rig { return suiteRig(t, Harmony) },
		Override: vendors.Override{Category: "WORK", ClickAction: "com.example.OPEN", ReceiptID: "R1", NotifyID: 7, Test: true},
		Answers:  answers(), Codes: resultCodes(), MaxBytes: maxPayload, MaxBadge: 99,
		Lacks: lacks | vendortest.Thread | vendortest.Sound | vendortest.Collapse | vendortest.Grant,
		Classes: map[vendors.Class]string{
			vendors.ClassCall: "VOIP", vendors.ClassIM: "IM", vendors.ClassSystem: "ACCOUNT", vendors.ClassMarketing: "MARKETING",
		},
		Own:   map[string]string{"travel": "TRAVEL", "chats": "IM"},
		Batch: &vendortest.Batch{Reply: reply(Harmony), Dead: vendors.TokenInvalid, Unnamed: vendors.Accepted},
	})
}

// reply lists the dead inside a string, as each service does.
func reply(api API) func(fine, dead []string) fake.Fault {
	return func(_, dead []string) fake.Fault {
		msg := map[string]any{"success": 1, "failure": len(dead), "illegal_tokens": dead}
		if api == Harmony {
			msg = map[string]any{"success": 1, "failure": len(dead), "illegalTokens": map[string][]string{" tokenFormatError ": dead}}
		}
		raw, _ := json.Marshal(msg)
		return fake.HuaweiRefusal(200, codePartial, string(raw))
	}
}

// resultCodes are of Huawei's tables ("Result codes").
func resultCodes() []vendortest.Code {
	return vendortest.CodesOf(func(code string) fake.Fault { return fake.HuaweiRefusal(200, code, "msg") }, map[vendors.Outcome][]string{
		vendors.Rejected: {
			"80100001", "80100002", "80100003", "80100004", "80100013", "80100016", "80100018", "80100022",
			"80300008", "80300010", "80300011", "80300030",
		},
		vendors.CredentialBad: {
			"80200001", "80200003", "80200005", "80300002", "80300013", "80300036", "80300037", "82000012", "82000013",
		},
		vendors.Throttled:    {"80100017", "80300029"},
		vendors.Transient:    {"80600003", "81000001", "80100000"}, // the last without its list
		vendors.TokenInvalid: {"80300007"},
		vendors.Accepted:     {"80000000"},
	})
}

// TestCodesAreComplete: the suite has a case for each code of the table.
func TestCodesAreComplete(t *testing.T) {
	if got := len(resultCodes()); got != len(codes) {
		t.Errorf("the suite has %d codes, the table %d", got, len(codes))
	}
}

func suiteRig(t *testing.T, api API) *vendortest.Rig {
	r := newRig(t, api, func(c *Config, _ *fake.HuaweiOptions) { c.MaxInFlight = 32 })
	serial := 0
	return &vendortest.Rig{
		Sender: r.Sender,
		Faults: &r.fake.Faults, AuthFaults: &r.fake.OAuthFaults,
		SetRate: r.fake.SetRate, SetCert: r.fake.SetCert, CA: theIdentity(t).ca, Hosts: []string{"push.test", "auth.test"},
		NewToken: func() string {
			serial++
			token := "IQSuite-" + strconv.Itoa(serial)
			r.fake.AddDevice(token, "")
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
		Secrets:    append(strings.Fields(string(theIdentity(t).account.Private)), secret, "DQEBAfake", "eyJ"),
	}
}

func readBack(p fake.HuaweiPush) vendortest.Push {
	seen := vendortest.Push{
		ID: p.PushID, Title: p.Title, Body: strings.TrimSuffix(p.Body, noText), Sound: p.Sound, ImageURL: p.Image,
		Category: strings.ToLower(p.Category), Thread: p.Group, Group: p.Tag, Data: p.Data,
		Expires: p.Expires.Truncate(time.Second), Bytes: p.Bytes, Wire: string(p.Raw),
		Kind: strings.Join(strings.Fields(p.Category+" "+p.Importance+" "+p.Channel), " "),
	}
	if p.Badge != nil {
		seen.Badge = p.Badge.Set
	}
	return seen
}

func answers() map[vendortest.Situation]vendortest.Answer {
	page := fake.HTML(503)
	page.Header["retry-after"] = "120"
	pause := fake.HuaweiRefusal(503, "80300020", "Flow control")
	pause.Header["retry-after"] = "7"
	return map[vendortest.Situation]vendortest.Answer{
		vendortest.Throttled: {
			Fault: fake.HuaweiRefusal(200, "80300029", "Test message flow control"),
			Want:  vendors.Result{Outcome: vendors.Throttled, Code: "80300029"},
		},
		vendortest.ThrottledPause: {
			Fault: pause,
			Want:  vendors.Result{Outcome: vendors.Throttled, Code: "80300020", RetryAfter: 7 * time.Second},
		},
		vendortest.ServerError: {
			Fault: fake.HuaweiRefusal(500, "81000001", "System inner error"),
			Want:  vendors.Result{Outcome: vendors.Transient, Code: "81000001"},
		},
		vendortest.Unavailable: {
			Fault: fake.HuaweiRefusal(503, "80300020", "Flow control"),
			Want:  vendors.Result{Outcome: vendors.Throttled, Code: "80300020"},
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
			Fault:    fake.HuaweiRefusal(401, "80200001", "OAuth authentication error"),
			Want:     vendors.Result{Outcome: vendors.CredentialBad, Code: "80200001"},
			Requests: 2,
		},
		vendortest.BadRequest: {
			Fault: fake.HuaweiRefusal(400, "80100003", "Illegal payload"),
			Want:  vendors.Result{Outcome: vendors.Rejected, Code: "80100003"},
		},
		vendortest.Unknown4xx: {
			Fault: fake.HuaweiRefusal(400, "89999999", "?"),
			Want:  vendors.Result{Outcome: vendors.Rejected, Code: "89999999"},
		},
		vendortest.Unknown5xx: {
			Fault: fake.HuaweiRefusal(599, "89999999", "?"),
			Want:  vendors.Result{Outcome: vendors.Transient, Code: "89999999"},
		},
		"200 with a code from the future": {
			Fault: fake.HuaweiRefusal(200, "89999999", "?"),
			Want:  vendors.Result{Outcome: vendors.Transient, Code: "89999999"},
		},
		vendortest.BearerRefused: {
			Fault:    fake.HuaweiRefusal(200, "80200003", "OAuth token expired"),
			Want:     vendors.Result{Outcome: vendors.CredentialBad, Code: "80200003"},
			Requests: 2,
		},
	}
}
