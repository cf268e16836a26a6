package lane

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rouse-im/rouse/vendors"
)

// batchScript is a script that takes many tokens in one call, which it records.
type batchScript struct {
	script
	most  int
	batch func(tokens []string) ([]vendors.Result, error) // nil accepts

	mu    sync.Mutex
	calls []batchCall
}

type batchCall struct {
	title  string
	tokens []string
	at     time.Duration
}

func (s *batchScript) MaxBatch() int { return s.most }

func (s *batchScript) Same(a, b *vendors.Notification) bool { return vendors.Alike(a, b) }

func (s *batchScript) Send(ctx context.Context, n *vendors.Notification) (vendors.Result, error) {
	results, err := s.SendBatch(ctx, n, []string{n.Token})
	if len(results) != 1 {
		return vendors.Result{}, err
	}
	return results[0], err
}

func (s *batchScript) SendBatch(_ context.Context, n *vendors.Notification, tokens []string) ([]vendors.Result, error) {
	s.mu.Lock()
	s.calls = append(s.calls, batchCall{n.Title, tokens, time.Since(origin)})
	s.mu.Unlock()
	if s.batch != nil {
		return s.batch(tokens)
	}
	results := make([]vendors.Result, len(tokens))
	for i := range results {
		results[i].Outcome = vendors.Accepted
	}
	return results, nil
}

func newShared(id string, order uint64, title string) *Dispatch {
	d := newDispatch(id, order, time.Hour)
	d.N.Token, d.N.Title, d.Shared = "token of "+id, title, true
	return d
}

func TestGroupMessageTakesFewCalls(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		vendor := &batchScript{script: script{max: 4}, most: 300}
		w.dir.Put("app", "n", vendor, Options{})
		l, want := w.dir.Get("app", "n"), map[string]string{}
		push := func(d *Dispatch) {
			want[d.N.Token] = d.N.Title
			w.push(l, d)
		}
		for i := range 1000 {
			push(newShared(fmt.Sprint("p", i), uint64(i), "group"))
			if i == 500 { // a call, and another message to one of the group
				call := newShared("call", 5000, "call")
				call.N.Class = vendors.ClassCall
				push(call)
				push(newShared("second", 7, "second"))
			}
		}
		<-time.After(linger)
		synctest.Wait()
		if n := len(w.verdicts()); n != 1002 {
			t.Fatalf("%d ended %v after their dispatch, want all 1002", n, linger)
		}
		titles := map[string]string{} // as sent, by token
		for _, c := range vendor.calls {
			for _, token := range c.tokens {
				if _, again := titles[token]; again {
					t.Errorf("%s was sent to twice", token)
				}
				titles[token] = c.title
			}
			if c.title == "call" && c.at != 0 {
				t.Errorf("the call left after %v", c.at)
			}
		}
		if diff := cmp.Diff(want, titles); diff != "" {
			t.Errorf("sent (-want +got):\n%s", diff)
		}
		if len(vendor.calls) != 4+2 {
			t.Errorf("%d calls, want 6", len(vendor.calls))
		}
		if s := l.Stats(); s.InFlight != 0 || s.Reserved != 0 {
			t.Errorf("%d in flight, %d reserved in the end", s.InFlight, s.Reserved)
		}
	})
}

func TestDeadTokenInABatch(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		vendor := &batchScript{script: script{max: 4}, most: 100, batch: func(tokens []string) ([]vendors.Result, error) {
			results := make([]vendors.Result, len(tokens))
			for i, token := range tokens {
				results[i].Outcome = vendors.Accepted
				if token == "token of p3" {
					results[i] = vendors.Result{Outcome: vendors.TokenInvalid, Code: "dead"}
				}
			}
			return results, nil
		}}
		w.dir.Put("app", "n", vendor, Options{})
		want := map[string]string{}
		for i := range 10 {
			id := fmt.Sprint("p", i)
			w.push(w.dir.Get("app", "n"), newShared(id, uint64(i), "group"))
			want[id] = "ACCEPTED/DELIVERED_TO_VENDOR/1"
		}
		want["p3"] = "FAILED/TOKEN_INVALID/1"
		<-time.After(linger)
		w.want(want)
		for id, e := range w.ended {
			if e.TokenInvalid != (id == "p3") {
				t.Errorf("%s: token invalid: %v", id, e.TokenInvalid)
			}
		}
		if len(vendor.calls) != 1 {
			t.Errorf("%d calls, want 1", len(vendor.calls))
		}
	})
}

// A batch without an answer, with too few results or with a panic is repeated.
func TestBatchesWithoutAnAnswer(t *testing.T) {
	for name, first := range map[string]func([]string) ([]vendors.Result, error){
		"error":    func([]string) ([]vendors.Result, error) { return nil, context.DeadlineExceeded },
		"too few":  func([]string) ([]vendors.Result, error) { return []vendors.Result{{Outcome: vendors.Accepted}}, nil },
		"too many": func(tokens []string) ([]vendors.Result, error) { return make([]vendors.Result, len(tokens)+1), nil },
		"panic":    func([]string) ([]vendors.Result, error) { panic("poison") },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				asked := false
				vendor := &batchScript{script: script{max: 1}, most: 100}
				vendor.batch = func(tokens []string) ([]vendors.Result, error) {
					if !asked {
						asked = true
						return first(tokens)
					}
					results := make([]vendors.Result, len(tokens))
					for i := range results {
						results[i].Outcome = vendors.Accepted
					}
					return results, nil
				}
				w.dir.Put("app", "n", vendor, Options{})
				for i := range 10 {
					w.push(w.dir.Get("app", "n"), newShared(fmt.Sprint("p", i), uint64(i), "group"))
				}
				<-time.After(time.Minute)
				w.wantAll(10, "ACCEPTED/DELIVERED_TO_VENDOR/2")
				if calls := len(vendor.calls); calls != 2 && name != "panic" || calls != 11 && name == "panic" {
					t.Errorf("%d calls, want the first and one more, or one for each after a panic", calls)
				}
			})
		})
	}
}
