package honor

import (
	"encoding/json"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/rouse-im/rouse/vendors"
	"github.com/rouse-im/rouse/vendors/courier"
)

// TestAnswers has the spellings of the vendor's answer, for tokens a, b and c.
func TestAnswers(t *testing.T) {
	fine, dead := vendors.Result{Outcome: vendors.Accepted}, vendors.Result{Outcome: vendors.TokenInvalid, Code: codeExpired}
	failed := vendors.Result{Outcome: vendors.Transient, Code: codeFailed}
	no := vendors.Result{Outcome: vendors.Rejected, Code: "80100003"}
	slow := vendors.Result{Outcome: vendors.Throttled, Code: "200"}
	unknown := func(code string) vendors.Result { return vendors.Result{Outcome: vendors.Transient, Code: code} }
	for name, c := range map[string]struct {
		status int
		body   string
		want   []vendors.Result
	}{
		"number":                {200, `{"code":200,"message":"success"}`, []vendors.Result{fine, fine, fine}},
		"string":                {200, `{"code":"80000000","msg":"success"}`, []vendors.Result{fine, fine, fine}},
		"sendResult alone":      {200, `{"data":{"sendResult":true}}`, []vendors.Result{fine, fine, fine}},
		"sendResult wins":       {200, `{"code":12345,"data":{"sendResult":true}}`, []vendors.Result{fine, fine, fine}},
		"own code":              {200, `{"code":12200000}`, []vendors.Result{fine, fine, fine}},
		"both lists":            {200, `{"code":200,"data":{"sendResult":true,"failTokens":["c"],"expireTokens":["a"]}}`, []vendors.Result{dead, fine, failed}},
		"shuffled and repeated": {200, `{"code":200,"data":{"sendResult":true,"expireTokens":["c","x","a","c"]}}`, []vendors.Result{dead, fine, dead}},
		"in both lists":         {200, `{"code":200,"data":{"sendResult":true,"failTokens":["b"],"expireTokens":["b"]}}`, []vendors.Result{fine, dead, fine}},
		"all dead":              {200, `{"code":200,"data":{"sendResult":false,"expireTokens":["a","b","c"]}}`, []vendors.Result{dead, dead, dead}},
		"partial":               {200, `{"code":80100000,"data":{"expireTokens":["b"]}}`, []vendors.Result{fine, dead, fine}},
		"partial without list":  {200, `{"code":80100000}`, []vendors.Result{unknown("80100000"), unknown("80100000"), unknown("80100000")}},
		"success of a failure":  {400, `{"code":200}`, []vendors.Result{unknown("200"), unknown("200"), unknown("200")}},
		"listed in a failure":   {502, `{"code":200,"data":{"expireTokens":["a"]}}`, []vendors.Result{unknown("200"), unknown("200"), unknown("200")}},
		"sendResult in quotes":  {200, `{"data":{"sendResult":"true"}}`, []vendors.Result{fine, fine, fine}},
		"wrong types":           {200, `{"code":200,"data":{"sendResult":"yes","expireTokens":"a"}}`, []vendors.Result{fine, fine, fine}},
		"sent, yet refused":     {400, `{"code":80100003,"data":{"sendResult":true}}`, []vendors.Result{no, no, no}},
		"sent, yet an error":    {500, `{"code":12345,"data":{"sendResult":true}}`, []vendors.Result{unknown("12345"), unknown("12345"), unknown("12345")}},
		"sent, yet throttled":   {429, `{"code":200,"data":{"sendResult":true}}`, []vendors.Result{slow, slow, slow}},
		"page":                  {200, `<html>`, []vendors.Result{unknown("HTTP 200"), unknown("HTTP 200"), unknown("HTTP 200")}},
	} {
		t.Run(name, func(t *testing.T) {
			config := Config{Outcomes: map[string]vendors.Outcome{"12200000": vendors.Accepted}}
			v := config.classify(courier.Answer{Status: c.status, Body: []byte(c.body)})
			if diff := cmp.Diff(c.want, v.of([]string{"a", "b", "c"})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		n, tokens := r.push(), r.tokens(100)
		r.fake.Unregister(tokens[3])
		r.fake.FailNext(tokens[99], 1)
		results, err := r.SendBatch(t.Context(), n, tokens)
		if err != nil || len(results) != len(tokens) {
			t.Fatalf("%d results, %v", len(results), err)
		}
		for i, res := range results {
			want := map[int]vendors.Outcome{3: vendors.TokenInvalid, 99: vendors.Transient}[i]
			if want == 0 {
				want = vendors.Accepted
			}
			if res.Outcome != want {
				t.Errorf("token %d: %+v", i, res)
			}
		}
		if s := r.fake.Stats(); s.Requests != 1 || s.Accepted != 98 || r.MaxBatch() != 100 {
			t.Errorf("%d requests, %d taken, %d a call", s.Requests, s.Accepted, r.MaxBatch())
		}
	})
}

// FuzzClassify: no answer panics, drops a token that Honor did not list, or
// accepts one without a success.
func FuzzClassify(f *testing.F) {
	for _, seed := range []string{
		`{"code":200,"data":{"sendResult":true,"failTokens":["a"],"expireTokens":["b"]}}`, `{"code":"80000000"}`,
		`{"code":[],"data":[]}`, `{"code":null,"requestId":7}`, `[]`, "<html>",
	} {
		f.Add(200, []byte(seed))
		f.Add(503, []byte(seed))
	}
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		v := (&Config{}).classify(courier.Answer{Status: status, Body: body})
		var shape reply
		_ = json.Unmarshal(body, &shape)
		for _, res := range v.of([]string{"a", "b"}) {
			switch {
			case res.Outcome == 0, len(res.Code) > 64, len(res.VendorID) > 128:
				t.Errorf("%+v", res)
			case res.Outcome == vendors.TokenInvalid && len(shape.Data.ExpireTokens) == 0:
				t.Errorf("a token is dropped: %+v", res)
			case res.Outcome == vendors.Accepted && status >= 300:
				t.Errorf("accepted: %+v", res)
			}
		}
	})
}
