package vendortest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rouse-im/rouse/vendors"
	"github.com/rouse-im/rouse/vendors/fake"
)

// batch makes a push to that many new tokens.
func (p *probe) batch(count int) (*vendors.Notification, []string) {
	n := p.push()
	tokens := []string{n.Token}
	for range count - 1 {
		tokens = append(tokens, p.push().Token)
	}
	return n, tokens
}

func (p *probe) sender() vendors.BatchSender { return p.Sender.(vendors.BatchSender) }

// sendBatch records the answer for checkCanaries.
func (p *probe) sendBatch(ctx context.Context, n *vendors.Notification, tokens []string) ([]vendors.Result, error) {
	kept := slices.Clone(tokens)
	results, err := p.sender().SendBatch(ctx, n, tokens)
	if !slices.Equal(kept, tokens) {
		err = errors.Join(err, errors.New("SendBatch changed the tokens"))
	}
	p.hear(fmt.Sprintf("%+v", results), err)
	return results, err
}

// outcomes sends to all tokens and demands of each what want says, or else rest.
func (p *probe) outcomes(t *testing.T, n *vendors.Notification, tokens []string, want map[int]vendors.Outcome, rest vendors.Outcome) []vendors.Result {
	t.Helper()
	results, err := p.sendBatch(within(t), n, tokens)
	if err != nil || len(results) != len(tokens) {
		t.Fatalf("%d results for %d tokens, %v", len(results), len(tokens), err)
	}
	for i, res := range results {
		expected, ok := want[i]
		if !ok {
			expected = rest
		}
		if res.Outcome != expected || len(res.Code) > 64 || len(res.VendorID) > 128 {
			t.Errorf("token %d of %d: %+v, want %s", i, len(tokens), res, expected)
		}
	}
	return results
}

// took demands that each token got the push once, or not at all.
func (p *probe) took(t *testing.T, n *vendors.Notification, tokens []string, not ...int) {
	t.Helper()
	for i, token := range tokens {
		seen := p.Seen(token)
		switch {
		case slices.Contains(not, i) && len(seen) != 0:
			t.Errorf("token %d, which is dead, got %d pushes", i, len(seen))
		case slices.Contains(not, i):
		case len(seen) != 1:
			t.Errorf("token %d got %d pushes, want 1", i, len(seen))
		case seen[0].Title != n.Title || seen[0].Body != n.Body || !maps.Equal(onlyMessage(seen[0].Data), onlyMessage(n.Data)):
			t.Errorf("token %d got another push: %+v", i, seen[0])
		}
	}
}

func onlyMessage(data map[string]string) map[string]string { return map[string]string{"m": data["m"]} }

func testBatch(t *testing.T, p *probe) {
	p.SetRate(0)
	n, tokens := p.batch(p.sender().MaxBatch())
	requests := p.Requests()
	results := p.outcomes(t, n, tokens, nil, vendors.Accepted)
	p.took(t, n, tokens)
	if got := p.Requests() - requests; got > 2 {
		t.Errorf("%d requests for one batch", got)
	}
	for i, res := range results {
		if res.VendorID == "" {
			t.Fatalf("token %d has no vendor id", i)
		}
	}
}

func testBatchOfOne(t *testing.T, p *probe) {
	n, tokens := p.batch(1)
	p.outcomes(t, n, tokens, nil, vendors.Accepted)
	p.took(t, n, tokens)
	p.Kill(tokens[0], time.Now())
	p.outcomes(t, n, tokens, nil, vendors.TokenInvalid)
}

func testBatchOneDead(t *testing.T, p *probe) {
	p.accepted(t, p.push())
	n, tokens := p.batch(9)
	p.Kill(tokens[4], time.Now())
	p.outcomes(t, n, tokens, map[int]vendors.Outcome{4: vendors.TokenInvalid}, vendors.Accepted)
	p.took(t, n, tokens, 4)
}

func testBatchAllDead(t *testing.T, p *probe) {
	p.accepted(t, p.push())
	n, tokens := p.batch(5)
	for _, token := range tokens {
		p.Kill(token, time.Now())
	}
	p.outcomes(t, n, tokens, nil, vendors.TokenInvalid)
	p.accepted(t, p.push())
}

func testBatchEnds(t *testing.T, p *probe) {
	p.SetRate(0)
	p.accepted(t, p.push())
	n, tokens := p.batch(p.sender().MaxBatch())
	last := len(tokens) - 1
	p.Kill(tokens[0], time.Now())
	p.Kill(tokens[last], time.Now())
	p.outcomes(t, n, tokens, map[int]vendors.Outcome{0: vendors.TokenInvalid, last: vendors.TokenInvalid}, vendors.Accepted)
	p.took(t, n, tokens, 0, last)
}

// replied scripts a reply to the batch, by which the rest must be mapped.
func (p *probe) replied(t *testing.T, fine, dead []int, want map[int]vendors.Outcome, rest vendors.Outcome, strangers ...string) {
	t.Helper()
	p.accepted(t, p.push())
	n, tokens := p.batch(8)
	named := func(places []int) []string {
		names := slices.Clone(strangers)
		for _, i := range places {
			names = append(names, tokens[i])
		}
		return names
	}
	f := p.h.Batch.Reply(named(fine), named(dead))
	f.Tokens = tokens[:1]
	p.Faults.Script(f)
	p.outcomes(t, n, tokens, want, rest)
	p.Faults.Clear()
	p.accepted(t, p.push())
}

func testBatchShuffled(t *testing.T, p *probe) {
	dead := p.h.Batch.Dead
	p.replied(t, []int{7, 0, 3, 2, 4}, []int{6, 1, 5}, map[int]vendors.Outcome{1: dead, 5: dead, 6: dead}, vendors.Accepted)
}

func testBatchShort(t *testing.T, p *probe) {
	p.replied(t, []int{5}, []int{2}, map[int]vendors.Outcome{5: vendors.Accepted, 2: p.h.Batch.Dead}, p.h.Batch.Unnamed)
}

func testBatchStrangers(t *testing.T, p *probe) {
	p.replied(t, []int{0, 1, 2, 3, 4, 6, 7}, []int{5}, map[int]vendors.Outcome{5: p.h.Batch.Dead}, vendors.Accepted, "stranger", "strange-one")
}

func testBatchRepeats(t *testing.T, p *probe) {
	p.replied(t, []int{0, 1, 1, 3, 4, 6, 7, 0}, []int{5, 2, 5, 5}, map[int]vendors.Outcome{5: p.h.Batch.Dead, 2: p.h.Batch.Dead}, vendors.Accepted)
}

// batchNoSense scripts an answer that says nothing: every token is to be tried again.
func batchNoSense(f fake.Fault) func(*testing.T, *probe) {
	return func(t *testing.T, p *probe) {
		p.accepted(t, p.push())
		n, tokens := p.batch(5)
		p.Faults.Script(f)
		p.outcomes(t, n, tokens, nil, vendors.Transient)
		p.Faults.Clear()
		p.outcomes(t, n, tokens, nil, vendors.Accepted)
	}
}

// batchAnswer scripts an answer to the call: it is every token's.
func batchAnswer(s Situation) func(*testing.T, *probe) {
	return func(t *testing.T, p *probe) {
		p.accepted(t, p.push())
		n, tokens := p.batch(5)
		want := p.h.Answers[s]
		p.Faults.Script(want.Fault)
		for i, res := range p.outcomes(t, n, tokens, nil, want.Want.Outcome) {
			if res.Code != want.Want.Code || res.RetryAfter != want.Want.RetryAfter {
				t.Errorf("token %d: %+v, want %+v", i, res, want.Want)
			}
		}
		p.Faults.Clear()
		p.outcomes(t, n, tokens, nil, vendors.Accepted)
	}
}

// noBatchAnswer demands an error, which says nothing about any token.
func (p *probe) noBatchAnswer(t *testing.T, results []vendors.Result, err error) {
	t.Helper()
	if err == nil || results != nil {
		t.Errorf("got %+v, %v; want an error and no results", results, err)
	}
}

func testBatchHang(t *testing.T, p *probe) {
	p.accepted(t, p.push())
	p.Faults.Script(fake.Fault{Kind: fake.Hang})
	n, tokens := p.batch(5)
	begun := time.Now()
	results, err := p.sendBatch(within(t), n, tokens)
	p.noBatchAnswer(t, results, err)
	if !errors.Is(err, context.DeadlineExceeded) || time.Since(begun) != patience {
		t.Errorf("after %v: %v", time.Since(begun), err)
	}
	p.Faults.Clear()
	p.outcomes(t, n, tokens, nil, vendors.Accepted)
}

func testBatchCut(t *testing.T, p *probe) {
	p.accepted(t, p.push())
	n, tokens := p.batch(5)
	p.Faults.Script(fake.Fault{Kind: fake.Cut, Tokens: tokens[:1]})
	results, err := p.sendBatch(within(t), n, tokens)
	p.noBatchAnswer(t, results, err)
	p.took(t, n, tokens)
	p.Faults.Clear()
	p.recovers(t)
}

func testBatchCancelled(t *testing.T, p *probe) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	n, tokens := p.batch(5)
	results, err := p.sendBatch(ctx, n, tokens)
	p.noBatchAnswer(t, results, err)
	if !errors.Is(err, context.Canceled) || p.Requests() != 0 {
		t.Errorf("%d requests: %v", p.Requests(), err)
	}
}

func testBatchRenew(t *testing.T, p *probe) {
	p.accepted(t, p.push())
	bearers := p.Bearers()
	p.ExpireAuth()
	n, tokens := p.batch(5)
	p.outcomes(t, n, tokens, nil, vendors.Accepted)
	p.took(t, n, tokens)
	if got := p.Bearers() - bearers; got != 1 {
		t.Errorf("%d bearers were made, want 1", got)
	}
}

// testBatches: what is more than one call takes goes in several at one time.
func testBatches(t *testing.T, p *probe) {
	p.SetRate(0)
	p.accepted(t, p.push())
	n, tokens := p.batch(3*p.sender().MaxBatch() + 1)
	var wg sync.WaitGroup
	for part := range slices.Chunk(tokens, p.sender().MaxBatch()) {
		wg.Go(func() { p.outcomes(t, n, part, nil, vendors.Accepted) })
	}
	wg.Wait()
	p.took(t, n, tokens)
}

func testBatchLongText(t *testing.T, p *probe) {
	n, tokens := p.batch(3)
	n.Body = canaryBody + longText
	p.outcomes(t, n, tokens, nil, vendors.Accepted)
	for _, token := range tokens {
		checkCut(t, "body", n.Body, p.Seen(token)[0].Body)
	}
}

func testBatchHugeData(t *testing.T, p *probe) {
	p.accepted(t, p.push())
	requests := p.Requests()
	n, tokens := p.batch(3)
	n.Data["big"] = strings.Repeat("x", p.h.MaxBytes)
	p.outcomes(t, n, tokens, nil, vendors.Rejected)
	if p.Requests() != requests {
		t.Errorf("%d requests for what cannot be sent", p.Requests()-requests)
	}
}
