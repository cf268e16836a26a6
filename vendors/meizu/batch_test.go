package meizu

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rouse-im/rouse/vendors"
	"github.com/rouse-im/rouse/vendors/fake"
)

// outcomes draws results as letters: a accepted, d dead, r rejected, t transient,
// s slow down, q quota, c credential.
func outcomes(results []vendors.Result) string {
	letters := map[vendors.Outcome]string{
		vendors.Accepted: "a", vendors.TokenInvalid: "d", vendors.Rejected: "r", vendors.Transient: "t",
		vendors.Throttled: "s", vendors.QuotaExhausted: "q", vendors.CredentialBad: "c",
	}
	var b strings.Builder
	for _, r := range results {
		b.WriteString(letters[r.Outcome])
	}
	return b.String()
}

func (r *rig) tokens(states string) []string {
	var tokens []string
	for _, state := range states {
		token := r.token()
		if state == 'd' {
			r.fake.Unregister(token)
		}
		tokens = append(tokens, token)
	}
	return tokens
}

func TestBatch(t *testing.T) {
	for _, tt := range []struct {
		states   string
		requests int64
	}{
		{"a", 1}, {"aaaa", 1}, {"adad", 1}, {"d", 1}, {"dddd", 1}, {strings.Repeat("a", 99) + "d", 1},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t)
			n := r.push()
			tokens := r.tokens(tt.states)
			n.Token = tokens[0]
			results, err := r.SendBatch(t.Context(), n, tokens)
			if err != nil || outcomes(results) != tt.states {
				t.Errorf("%.20s: got %.20s, %v", tt.states, outcomes(results), err)
			}
			if got := r.fake.Stats().Requests; got != tt.requests {
				t.Errorf("%.20s: %d requests, want %d", tt.states, got, tt.requests)
			}
			for i, token := range tokens {
				d, _ := r.fake.Device(token)
				if want := strings.Count(tt.states[i:i+1], "a"); len(d.Received) != want {
					t.Errorf("token %d got %d pushes, want %d", i, len(d.Received), want)
				}
			}
		})
	}
}

// TestBatchValues: results go by name, whatever shape, order and number the
// answer has.
func TestBatchValues(t *testing.T) {
	for value, want := range map[string]string{
		`{}`:                   "aaa",
		`""`:                   "aaa",
		`null`:                 "aaa",
		`7`:                    "aaa",
		`[]`:                   "aaa",
		`{"110002":["B"]}`:     "ada",
		`{"110003":["C","A"]}`: "dad",
		`{"110002":["A","A","Z"],"110003":["C"]}`:                 "dad",
		`{"110002":[],"501":["B","C"]}`:                           "att",
		`{"110010":["A"],"520":["B"],"110011":["C"]}`:             "raq",
		`{"518":["A"],"519":["B"],"513":["C"]}`:                   "sst",
		`{"201":["A","B","C"]}`:                                   "ccc",
		`{"201":["A","B"]}`:                                       "rra",
		`{"999999":["A"]}`:                                        "taa",
		`{"110002":["A"],"501":["A"],"520":["B"],"110003":["B"]}`: "taa",
		`{"A":"110002","B":"501"}`:                                "dta",
		`{"msgId":"m7","respTarget":{"110002":["C"]},"logs":{}}`:  "aad",
		`{"110002":"A"}`:                                          "aaa",
		`{"110002":[1,2],"110003":{"A":1}}`:                       "aaa",
	} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t)
			r.fake.Faults.Script(fake.MeizuValue(value))
			results, err := r.SendBatch(t.Context(), r.push(), []string{"A", "B", "C"})
			if err != nil || outcomes(results) != want {
				t.Errorf("%s: got %s, %v; want %s", value, outcomes(results), err, want)
			}
			for _, res := range results {
				if res.Outcome == vendors.Accepted && res.VendorID != "c2ee5c3bf00448cfbceb7fdf68c3c8eb" {
					t.Errorf("%s: vendor id %q", value, res.VendorID)
				}
			}
		})
	}
}

// TestUnnamedDead: an answer that blames tokens without naming them makes the
// sender ask for parts.
func TestUnnamedDead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		blame := fake.MeizuRefusal(200, "110003", "pushId illegal", "")
		blame.Times = 1
		r.fake.Faults.Script(blame)
		results, err := r.SendBatch(t.Context(), r.push(), r.tokens("aada"))
		if err != nil || outcomes(results) != "aada" || r.fake.Stats().Requests != 3 {
			t.Errorf("got %s, %v after %d requests", outcomes(results), err, r.fake.Stats().Requests)
		}
	})
}

// TestProbeWithoutAnswer: a part that gets no answer is to be repeated, and the
// parts that got one keep it.
func TestProbeWithoutAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		tokens := r.tokens("dddd")
		blame := fake.MeizuRefusal(200, "110002", "pushId not registered", "")
		blame.Times = 1
		r.fake.Faults.Script(blame, fake.Fault{Kind: fake.Hang, Tokens: tokens[2:]})
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		results, err := r.SendBatch(ctx, r.push(), tokens)
		if err != nil || outcomes(results) != "ddtt" || results[3].Code != codeNoAnswer {
			t.Errorf("got %s, %v", outcomes(results), err)
		}
	})
}
