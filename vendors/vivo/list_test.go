package vivo

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

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

// tokens are n's own and new ones.
func (r *rig) tokens(n *vendors.Notification, count int) []string {
	all := []string{n.Token}
	for len(all) < count {
		all = append(all, r.token())
	}
	return all
}

// TestList: partial failure, in the answer's own order.
func TestList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		n := r.push()
		tokens := r.tokens(n, r.MaxBatch())
		bad := map[int]vendors.Result{
			3:   {Outcome: vendors.TokenInvalid, Code: "status 2"},
			7:   {Outcome: vendors.Rejected, Code: "status 3"},
			499: {Outcome: vendors.TokenInvalid, Code: "status 1"},
		}
		r.fake.SetStatus(tokens[3], 2)
		r.fake.SetStatus(tokens[7], 3)
		r.fake.SetStatus(tokens[499], 1)
		for i, got := range r.batch(t, n, tokens) {
			want, ok := bad[i]
			if !ok {
				p := r.last(t, tokens[i])
				want = vendors.Result{Outcome: vendors.Accepted, VendorID: p.TaskID}
				if p.RequestID != n.PushID || p.Title != n.Title || p.TaskID == "" {
					t.Errorf("token %d: the fake has %+v", i, p)
				}
			}
			if got != want {
				t.Errorf("token %d: got %+v, want %+v", i, got, want)
			}
		}
		if got := r.fake.Stats(); got.Requests != 2 || got.Accepted != 497 {
			t.Errorf("%+v; want two requests", got)
		}
		want := `{"appId":100000,"notifyType":1,"title":"Ann","content":"hi","timeToLive":3600,"skipType":1,"networkType":-1,` +
			`"classification":1,"category":"IM","clientCustomMap":{"m":"m1"},"requestId":"` + n.PushID + `-1","pushMode":0}`
		if diff := cmp.Diff(want, string(r.last(t, tokens[0]).Raw)); diff != "" {
			t.Errorf("saved message (-want +got):\n%s", diff)
		}
	})
}

// TestListOfOne: a list needs two tokens.
func TestListOfOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		n := r.push()
		if got := r.batch(t, n, []string{n.Token})[0]; got.Outcome != vendors.Accepted || r.fake.Stats().Requests != 1 {
			t.Errorf("%+v", got)
		}
	})
}

// TestSavedQuota: lists end for the day, pushes do not.
func TestSavedQuota(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(_ *Config, o *fake.VivoOptions, _ *fake.VivoApp) { o.SavesPerDay = 1 })
		n := r.push()
		tokens := r.tokens(n, 5)
		r.fake.SetStatus(tokens[2], 2)
		// One list; then one save refused and five alone; then five alone;
		// with the next day a list again.
		for i, requests := range []int64{2, 6, 5, 2} {
			before := r.fake.Stats().Requests
			for j, got := range r.batch(t, n, tokens) {
				if want := j != 2; (got.Outcome == vendors.Accepted) != want || !want && got.Outcome != vendors.TokenInvalid {
					t.Errorf("batch %d, token %d: %+v", i, j, got)
				}
			}
			if got := r.fake.Stats().Requests - before; got != requests {
				t.Errorf("batch %d: %d requests, want %d", i, got, requests)
			}
			if i == 2 {
				<-time.After(16 * time.Hour)
			}
		}
		if a, b := r.last(t, tokens[0]), r.last(t, tokens[1]); a.RequestID != n.PushID || b.RequestID != n.PushID {
			t.Errorf("request ids %s, %s", a.RequestID, b.RequestID)
		}
	})
}

// TestApart: one token without an answer does not hide the others'.
func TestApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.listless.Store(time.Now().Add(time.Hour).UnixNano())
		n := r.push()
		tokens := r.tokens(n, 3)
		r.fake.Faults.Script(fake.Fault{Kind: fake.Abort, Tokens: tokens[1:2]})
		for i, got := range r.batch(t, n, tokens) {
			if want := (vendors.Result{Outcome: vendors.Transient, Code: codeNoAnswer}); i == 1 && got != want || i != 1 && got.Outcome != vendors.Accepted {
				t.Errorf("token %d: %+v", i, got)
			}
		}
		if got := r.last(t, tokens[2]).RequestID; got != n.PushID+"-2" {
			t.Errorf("request id %s", got)
		}
		r.fake.Faults.Script(fake.Fault{Kind: fake.Refuse})
		if results, err := r.SendBatch(t.Context(), n, tokens); err == nil || results != nil {
			t.Errorf("got %+v without any answer", results)
		}
	})
}

// TestSavedGone: the message is saved again, once.
func TestSavedGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		n := r.push()
		tokens := r.tokens(n, 2)
		gone := fake.VivoRefusal(10155, "gone")
		gone.Tokens, gone.Times = tokens[:1], 1
		r.fake.Faults.Script(gone)
		for i, got := range r.batch(t, n, tokens) {
			if got.Outcome != vendors.Accepted {
				t.Errorf("token %d: %+v", i, got)
			}
		}
		if got := r.fake.Stats().Requests; got != 4 {
			t.Errorf("%d requests, want 4", got)
		}
		gone.Times = 0
		r.fake.Faults.Script(gone)
		for i, got := range r.batch(t, n, tokens) {
			if got.Outcome != vendors.Transient || got.Code != "10155" {
				t.Errorf("token %d: %+v", i, got)
			}
		}
		if got := r.fake.Stats().Requests; got != 8 {
			t.Errorf("%d requests, want 8", got)
		}
	})
}

// TestListReplies: answers that mention tokens oddly, or the call as a whole.
func TestListReplies(t *testing.T) {
	accepted := vendors.Result{Outcome: vendors.Accepted, VendorID: "342982232646537217"}
	dead := vendors.Result{Outcome: vendors.TokenInvalid, Code: "status 1"}
	for _, c := range []struct {
		name, body string // ONE and TWO are the tokens
		want       [2]vendors.Result
	}{
		{"shuffled", `{"result":0,"invalidUsers":[{"userid":"TWO","status":3},{"userid":"ONE","status":1}]}`, [2]vendors.Result{dead, {Outcome: vendors.Rejected, Code: "status 3"}}},
		{"repeated", `{"result":0,"invalidUsers":[{"userid":"TWO","status":1},{"userid":"TWO","status":9}]}`, [2]vendors.Result{accepted, dead}},
		{"strangers", `{"result":0,"invalidUsers":[{"userid":"x","status":1},7,null,{"status":1}]}`, [2]vendors.Result{accepted, accepted}},
		{"odd status", `{"result":0,"invalidUsers":[{"userid":"ONE","status":[]},{"userid":"TWO"}]}`, [2]vendors.Result{{Outcome: vendors.Rejected, Code: "status -2147483648"}, {Outcome: vendors.Rejected, Code: "status 0"}}},
		{"no list", `{"result":0,"invalidUsers":null}`, [2]vendors.Result{accepted, accepted}},
		{"refused", `{"result":10072}`, [2]vendors.Result{{Outcome: vendors.Throttled, Code: "10072"}, {Outcome: vendors.Throttled, Code: "10072"}}},
		{"which one", `{"result":10302}`, [2]vendors.Result{{Outcome: vendors.Transient, Code: "10302"}, {Outcome: vendors.Transient, Code: "10302"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				n := r.push()
				tokens := r.tokens(n, 2)
				r.fake.Faults.Script(fake.Fault{
					Kind: fake.Answer, Status: http.StatusOK, Tokens: tokens[:1],
					Body: strings.NewReplacer("ONE", tokens[0], "TWO", tokens[1]).Replace(c.body),
				})
				for i, got := range r.batch(t, n, tokens) {
					if got != c.want[i] {
						t.Errorf("token %d: got %+v, want %+v", i, got, c.want[i])
					}
				}
			})
		})
	}
}

// TestSaveRefused: no push was made, whatever saving says.
func TestSaveRefused(t *testing.T) {
	for body, want := range map[string]vendors.Result{
		`{"result":10103}`: {Outcome: vendors.Rejected, Code: "10103"},
		`{"result":10302}`: {Outcome: vendors.Transient, Code: codeNotSaved},
		`{"result":0}`:     {Outcome: vendors.Transient, Code: codeNotSaved},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t)
			n := r.push()
			r.fake.Faults.Script(fake.Fault{Kind: fake.Answer, Status: http.StatusOK, Body: body, Times: 1})
			for i, got := range r.batch(t, n, r.tokens(n, 2)) {
				if got != want {
					t.Errorf("%s, token %d: got %+v, want %+v", body, i, got, want)
				}
			}
			n.Channel = vendors.ChannelBadge
			if got := r.batch(t, n, r.tokens(n, 2))[1]; got.Code != codeChannel || r.fake.Stats().Requests != 1 {
				t.Errorf("got %+v", got)
			}
		})
	}
}
