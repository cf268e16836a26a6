package xiaomi

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rouse-im/rouse/vendors"
	"github.com/rouse-im/rouse/vendors/fake"
)

// outcomes draws results as letters: a accepted, d dead, r rejected, t transient.
func outcomes(results []vendors.Result) string {
	letters := map[vendors.Outcome]string{
		vendors.Accepted: "a", vendors.TokenInvalid: "d", vendors.Rejected: "r", vendors.Transient: "t",
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
		{"a", 1},
		{"aaaa", 1},
		{"adad", 1},
		{"d", 1},
		{"dddd", 7}, // nobody is named, so each is asked for alone in the end
		{"dda", 1},
		{strings.Repeat("a", 999) + "d", 1},
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

// TestBatchReplies: results go by name, whatever order and number the answer has.
func TestBatchReplies(t *testing.T) {
	for bad, want := range map[string]string{
		"":              "aaa",
		"B":             "ada",
		"C,A":           "dad",
		"C,C,A,C":       "dad",
		"Z":             "aaa",
		" B ,,":         "ada",
		"b":             "aaa",
		"A,B,C":         "ddd",
		"AB,C":          "aad",
		"undefined,B,B": "ada",
	} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t)
			r.fake.Faults.Script(fake.Fault{
				Kind: fake.Answer, Status: 200,
				Body: `{"result":"ok","code":0,"data":{"id":"slm","bad_regids":"` + bad + `"}}`,
			})
			results, err := r.SendBatch(t.Context(), r.push(), []string{"A", "B", "C"})
			if err != nil || outcomes(results) != want {
				t.Errorf("%q: got %s, %v; want %s", bad, outcomes(results), err, want)
			}
		})
	}
}

// TestProbeWithoutAnswer: a part that gets no answer is to be repeated, and the
// parts that got one keep it.
func TestProbeWithoutAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		tokens := r.tokens("dddd")
		// The call as a whole and its first half go through.
		r.fake.Faults.Script(fake.Fault{Kind: fake.Slow, Times: 2}, fake.Fault{Kind: fake.Hang, Tokens: tokens[2:]})
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		results, err := r.SendBatch(ctx, r.push(), tokens)
		if err != nil || outcomes(results) != "ddtt" || results[3].Code != codeNoAnswer {
			t.Errorf("got %s, %v", outcomes(results), err)
		}
	})
}
