package oppo

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rouse-im/rouse/vendors"
	"github.com/rouse-im/rouse/vendors/fake"
)

func (r *rig) batch(t *testing.T, n *vendors.Notification, tokens []string) []vendors.Result {
	t.Helper()
	results, err := r.SendBatch(t.Context(), n, tokens)
	if err != nil || len(results) != len(tokens) {
		t.Fatalf("%d results, %v; want %d", len(results), err, len(tokens))
	}
	return results
}

// TestBatch: partial failure, in the answer's own order.
func TestBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		n := r.push()
		tokens := []string{n.Token}
		for len(tokens) < r.MaxBatch() {
			tokens = append(tokens, r.token("CN_"))
		}
		bad := map[int]vendors.Outcome{3: vendors.TokenInvalid, 7: vendors.Rejected, 249: vendors.TokenInvalid}
		r.fake.SetCode(tokens[3], 10000)
		r.fake.SetCode(tokens[7], 10001)
		r.fake.SetCode(tokens[249], 10000)
		for i, got := range r.batch(t, n, tokens) {
			want := bad[i]
			if want == 0 {
				want = vendors.Accepted
				if p := r.last(t, tokens[i]); p.ID != got.VendorID || p.PushID != n.PushID || p.Title != n.Title {
					t.Errorf("token %d: %+v, the fake has %+v", i, got, p)
				}
			}
			if got.Outcome != want {
				t.Errorf("token %d: got %+v, want outcome %d", i, got, want)
			}
		}
		if got := r.fake.Stats(); got.Requests != 1 || got.Accepted != 247 {
			t.Errorf("%+v; want one request", got)
		}
	})
}

// TestBatchRegions: one call for each region; one that gets no answer does not
// hide the other's.
func TestBatchRegions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		n := r.push()
		tokens := []string{n.Token, r.token("OPPO_US_"), r.token(""), r.token("IN_"), r.token("OnePlus_CN_")}
		for i, got := range r.batch(t, n, tokens) {
			if got.Outcome != vendors.Accepted || len(strings.Split(r.last(t, tokens[i]).Form, "target_value")) != 4-i%2 {
				t.Errorf("token %d: %+v, %s", i, got, r.last(t, tokens[i]).Form)
			}
		}
		if got := r.fake.Stats().Requests; got != 2 || r.fake.Tokens() != 2 {
			t.Errorf("%d requests with %d auth tokens, want 2 with 2", got, r.fake.Tokens())
		}
		r.fake.Faults.Script(fake.Fault{Kind: fake.Refuse, Tokens: tokens[1:2]})
		for i, got := range r.batch(t, n, tokens) {
			want := vendors.Result{Outcome: vendors.Transient, Code: codeNoAnswer}
			if i%2 == 0 && got.Outcome != vendors.Accepted || i%2 == 1 && got != want {
				t.Errorf("token %d: %+v", i, got)
			}
		}
		r.fake.Faults.Script(fake.Fault{Kind: fake.Refuse})
		if results, err := r.SendBatch(t.Context(), n, tokens); err == nil || results != nil {
			t.Errorf("got %+v without any answer", results)
		}
	})
}

// TestBatchReplies: answers that mention tokens oddly.
func TestBatchReplies(t *testing.T) {
	accepted := func(id string) vendors.Result {
		return vendors.Result{Outcome: vendors.Accepted, VendorID: id}
	}
	dead := vendors.Result{Outcome: vendors.TokenInvalid, Code: "10000"}
	for _, c := range []struct {
		name, data string // ONE and TWO are the tokens
		want       [2]vendors.Result
	}{
		{"shuffled", `[{"messageId":"2","registrationId":"TWO","errorCode":10000},{"messageId":"1","registrationId":"ONE"}]`, [2]vendors.Result{accepted("1"), dead}},
		{"short", `[{"messageId":"2","registrationId":"TWO","errorCode":"10000"}]`, [2]vendors.Result{accepted(""), dead}},
		{"repeated", `[{"messageId":"1","registrationId":"ONE"},{"registrationId":"ONE","errorCode":10000},{"messageId":"2","registrationId":"TWO"}]`, [2]vendors.Result{accepted("1"), accepted("2")}},
		{"strangers", `[{"registrationId":"CN_x","errorCode":10000},7,null,{"errorCode":10000}]`, [2]vendors.Result{accepted(""), accepted("")}},
		{"odd code", `[{"registrationId":"ONE","errorCode":[]},{"messageId":"2","registrationId":"TWO","errorCode":null}]`, [2]vendors.Result{{Outcome: vendors.Transient, Code: "-2147483648"}, accepted("2")}},
		{"none", `null`, [2]vendors.Result{accepted(""), accepted("")}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				n := r.push()
				tokens := []string{n.Token, r.token("CN_")}
				data := strings.NewReplacer("ONE", tokens[0], "TWO", tokens[1]).Replace(c.data)
				r.fake.Faults.Script(fake.Fault{Kind: fake.Answer, Status: http.StatusOK, Body: `{"code":0,"data":` + data + `}`})
				for i, got := range r.batch(t, n, tokens) {
					if got != c.want[i] {
						t.Errorf("token %d: got %+v, want %+v", i, got, c.want[i])
					}
				}
			})
		})
	}
}

// TestBatchRefused: an answer about the whole call is every token's.
func TestBatchRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		n := r.push()
		tokens := []string{n.Token, r.token("CN_")}
		r.fake.Faults.Script(fake.OPPORefusal(55, "slow"))
		for i, got := range r.batch(t, n, tokens) {
			if got.Outcome != vendors.Throttled || got.Code != "55" {
				t.Errorf("token %d: %+v", i, got)
			}
		}
		n.Channel = vendors.ChannelBadge
		for i, got := range r.batch(t, n, tokens) {
			if got.Outcome != vendors.Rejected || got.Code != codeChannel {
				t.Errorf("token %d: %+v", i, got)
			}
		}
	})
}

// TestBigBatch: the size of a call is bounded too.
func TestBigBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		n := r.push()
		n.Data = map[string]string{"k": strings.Repeat("界", 3900)}
		tokens := []string{n.Token}
		for len(tokens) < 60 {
			tokens = append(tokens, r.token("CN_"))
		}
		for i, got := range r.batch(t, n, tokens) {
			if got.Outcome != vendors.Accepted {
				t.Fatalf("token %d: %+v", i, got)
			}
		}
		if got := r.fake.Stats().Requests; got != 5 {
			t.Errorf("%d requests, want 5 of at most 14 tokens", got)
		}
	})
}

// TestRepeatShowsOnce: the push id is what OPPO drops repeats by.
func TestRepeatShowsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		n := r.push()
		r.fake.Faults.Script(fake.Fault{Kind: fake.Cut, Times: 1})
		if res, err := r.Send(t.Context(), n); err == nil {
			t.Fatalf("got %+v without an answer", res)
		}
		<-time.After(time.Minute)
		r.must(t, n, vendors.Accepted)
		if d, _ := r.fake.Device(n.Token); len(d.Received) != 2 || len(d.Shown) != 1 {
			t.Errorf("%d received, %d shown; want 2 and 1", len(d.Received), len(d.Shown))
		}
	})
}
