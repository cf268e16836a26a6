package huawei

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/rouse-im/rouse/vendors"
	"github.com/rouse-im/rouse/vendors/courier"
	"github.com/rouse-im/rouse/vendors/fake"
)

func TestReasons(t *testing.T) {
	for reason, outcome := range map[string]vendors.Outcome{
		"tokenFormatError": vendors.TokenInvalid, "tokenPlatformNotSupport": vendors.TokenInvalid,
		"noRight": vendors.TokenInvalid, "noPushTypeRight": vendors.Rejected,
		"noRightToSendThisLiveNotificationEvent": vendors.Rejected, "notSupportPlayVoice": vendors.Rejected,
		"differentImgVerifyPolicy": vendors.Rejected, "atomicUnableSendUnsubscribedMsg": vendors.Rejected,
		"disableSendHuaweiMsgBecauseOfPenalty": vendors.CredentialBad, "appinfoError": vendors.Transient,
		"countryNotSupport": vendors.Rejected, "aReasonFromTheFuture": vendors.Transient,
	} {
		msg := fmt.Sprintf(`{"illegalTokens":{" %s ":["bad"]},"success":1,"failure":1}`, reason)
		v := classify(answerOf(200, codePartial, msg))
		got := v.of([]string{"good", "bad"})
		if got[0].Outcome != vendors.Accepted || got[1].Outcome != outcome {
			t.Errorf("%s: %+v", reason, got)
		}
	}
}

// TestStatus: the HTTP status limits what a code may say.
func TestStatus(t *testing.T) {
	for _, c := range []struct {
		status int
		code   string
		want   vendors.Outcome
	}{
		{200, "80000000", vendors.Accepted},
		{302, "80000000", vendors.Transient},
		{400, "80000000", vendors.Rejected},
		{400, codeAllInvalid, vendors.TokenInvalid},
		{404, "89999999", vendors.CredentialBad},
		{413, "", vendors.Rejected},
		{500, codeAllInvalid, vendors.Transient},
		{500, "80300002", vendors.Transient},
		{503, "81000001", vendors.Throttled},
		{503, "80100003", vendors.Throttled},
	} {
		if got := classify(answerOf(c.status, c.code, "msg")).call; got.Outcome != c.want {
			t.Errorf("HTTP %d with %s: %+v, want outcome %d", c.status, c.code, got, c.want)
		}
	}
}

func answerOf(status int, code, msg string) courier.Answer {
	body, _ := json.Marshal(map[string]string{"code": code, "msg": msg, "requestId": "r1"})
	return courier.Answer{Status: status, Body: body}
}

func TestBatchMapping(t *testing.T) {
	dead := vendors.Result{Outcome: vendors.TokenInvalid, Code: "80100000 illegal_tokens", VendorID: "r1"}
	fine := vendors.Result{Outcome: vendors.Accepted, VendorID: "r1"}
	lost := vendors.Result{Outcome: vendors.Transient, Code: codePartial, VendorID: "r1"}
	gone := vendors.Result{Outcome: vendors.TokenInvalid, Code: codeAllInvalid, VendorID: "r1"}
	for name, c := range map[string]struct {
		code, msg string
		want      []vendors.Result // of a, b, c
	}{
		"none":        {"80000000", "Success", []vendors.Result{fine, fine, fine}},
		"one":         {codePartial, `{"success":2,"failure":1,"illegal_tokens":["b"]}`, []vendors.Result{fine, dead, fine}},
		"shuffled":    {codePartial, `{"illegal_tokens":["c","a"]}`, []vendors.Result{dead, fine, dead}},
		"repeated":    {codePartial, `{"illegal_tokens":["a","a","a","a"]}`, []vendors.Result{dead, fine, fine}},
		"foreign":     {codePartial, `{"illegal_tokens":["x","b"]}`, []vendors.Result{fine, dead, fine}},
		"unreadable":  {codePartial, "some tokens failed", []vendors.Result{lost, lost, lost}},
		"wrong types": {codePartial, `{"illegal_tokens":"b"}`, []vendors.Result{lost, lost, lost}},
		"all":         {codeAllInvalid, "All tokens are invalid", []vendors.Result{gone, gone, gone}},
	} {
		t.Run(name, func(t *testing.T) {
			v := classify(answerOf(200, c.code, c.msg))
			if diff := cmp.Diff(c.want, v.of([]string{"a", "b", "c"})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestBatch(t *testing.T) {
	for _, api := range []API{HMS, Harmony} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, api)
			n, tokens := r.push(), r.tokens(1000)
			r.fake.Unregister(tokens[3])
			r.fake.Unregister(tokens[999])
			r.fake.Upgrade(tokens[500])
			results, err := r.SendBatch(t.Context(), n, tokens)
			if err != nil || len(results) != len(tokens) {
				t.Fatalf("%d results, %v", len(results), err)
			}
			for i, res := range results {
				want := vendors.Accepted
				if slices.Contains([]int{3, 500, 999}, i) {
					want = vendors.TokenInvalid
				}
				if res.Outcome != want {
					t.Errorf("token %d: %+v", i, res)
				}
			}
			if s := r.fake.Stats(); s.Requests != 1 || s.Accepted != 997 {
				t.Errorf("%d requests, %d taken", s.Requests, s.Accepted)
			}
		})
	}
}

func TestMaxBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		test := func(c *Config, _ *fake.HuaweiOptions) { c.TestMessages = true }
		if a, b, c := newRig(t, HMS, test).MaxBatch(), newRig(t, Harmony).MaxBatch(), newRig(t, Harmony, test).MaxBatch(); a != 1000 || b != 1000 || c != 10 {
			t.Errorf("%d, %d and %d tokens a call, want 1000, 1000 and 10", a, b, c)
		}
	})
}

func TestDeadRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, HMS)
		r.took(t, r.push())
		tokens := r.tokens(maxDeadRun + 5)
		for _, token := range tokens {
			r.fake.Unregister(token)
		}
		results, err := r.SendBatch(t.Context(), r.push(), tokens)
		if err != nil {
			t.Fatal(err)
		}
		for i, res := range results {
			want := vendors.Result{Outcome: vendors.CredentialBad, Code: codeDeadTokens}
			if i < maxDeadRun && res.Outcome != vendors.TokenInvalid || i >= maxDeadRun && res != want {
				t.Fatalf("token %d: %+v", i, res)
			}
		}
		// One push that is taken clears the suspicion.
		r.took(t, r.push())
		n := r.push()
		r.fake.Unregister(n.Token)
		if res := r.got(t, n); res.Outcome != vendors.TokenInvalid {
			t.Errorf("got %+v", res)
		}
	})
}

func TestNumericCodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, HMS, func(_ *Config, o *fake.HuaweiOptions) { o.NumericCodes = true })
		r.took(t, r.push())
	})
}

// FuzzClassify: no answer panics, drops a token without Huawei's code for it,
// or accepts one without a success.
func FuzzClassify(f *testing.F) {
	for _, seed := range []string{
		`{"code":"80000000","msg":"Success","requestId":"1"}`, `{"code":80300007,"msg":{}}`, `{"code":"80100000","msg":"{\"illegal_tokens\":[\"a\"]}"}`,
		`{"code":"80100000","msg":"{\"illegalTokens\":{\" noRight \":[\"a\"]}}"}`, `[]`, `{"code":{}}`, `{"code":null,"msg":null,"requestId":7}`, "<html>",
	} {
		f.Add(200, []byte(seed))
		f.Add(503, []byte(seed))
	}
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		v := classify(courier.Answer{Status: status, Body: body})
		var shape struct{ Code scalar }
		_ = json.Unmarshal(body, &shape)
		for _, res := range v.of([]string{"a", "b"}) {
			switch {
			case res.Outcome == 0, len(res.Code) > 64, len(res.VendorID) > 128:
				t.Errorf("%+v", res)
			case res.Outcome == vendors.TokenInvalid && shape.Code != codePartial && shape.Code != codeAllInvalid:
				t.Errorf("a token is dropped: %+v", res)
			case res.Outcome == vendors.Accepted && (status >= 300 || codes[string(shape.Code)].outcome == 0):
				t.Errorf("accepted: %+v", res)
			}
		}
	})
}
