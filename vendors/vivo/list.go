package vivo

import (
	"context"
	"encoding/json"
	"strconv"
	"sync"
	"time"

	"github.com/rouse-im/rouse/vendors"
	"github.com/rouse-im/rouse/vendors/courier"
)

const (
	// maxBatch is below vivo's 1000: an answer has up to 100 bytes for each
	// token, and no more than 64 KiB of it are read.
	maxBatch = 500

	codeNoAnswer = "rouse:NO_ANSWER"
	codeNotSaved = "rouse:NOT_SAVED"
)

// MaxBatch is the most tokens of one SendBatch.
func (s *Sender) MaxBatch() int { return maxBatch }

// SendBatch saves the message and pushes it to the list of tokens. A saved
// message that vivo lost is saved once more. A list needs two tokens, and vivo
// saves only so many messages a day: else every token is sent to alone.
func (s *Sender) SendBatch(ctx context.Context, n *vendors.Notification, tokens []string) ([]vendors.Result, error) {
	now := time.Now()
	m, refusal := s.style.compose(n, now)
	main := s.style.blames(n)
	if refusal != "" {
		return same(vendors.Result{Outcome: vendors.Rejected, Code: refusal}, tokens), nil
	}
	if len(tokens) == 1 || now.UnixNano() < s.listless.Load() {
		return s.apart(ctx, m, tokens, main)
	}
	for try := 1; ; try++ {
		m.RequestID = n.PushID + "-" + strconv.Itoa(try)
		saved, err := s.call(ctx, pathSave, courier.JSON(m))
		if err != nil {
			return nil, err
		}
		if saved.is(codeSavedQuota) {
			s.listless.Store(now.Add(untilHour(now, midnight)).UnixNano())
			return s.apart(ctx, m, tokens, main)
		}
		whole := saved.whole(time.Now(), main)
		if whole.Outcome != vendors.Accepted || saved.task == "" {
			return same(notTaken(whole), tokens), nil
		}
		pushed, err := s.call(ctx, pathList, courier.JSON(list{s.style.app, tokens, saved.task, n.PushID, s.style.pushMode}))
		if err != nil {
			return nil, err
		}
		if !pushed.is(codeSavedGone) || try == 2 {
			pushed.task = saved.task
			return pushed.each(tokens, time.Now(), main), nil
		}
	}
}

// list is the body of a push to saved message and tokens.
type list struct {
	AppID     json.Number `json:"appId"`
	RegIDs    []string    `json:"regIds"`
	TaskID    string      `json:"taskId"`
	RequestID string      `json:"requestId"`
	PushMode  int         `json:"pushMode"`
}

// notTaken is what saving said, for the pushes that therefore were not made:
// no acceptance, and no verdict on a token.
func notTaken(r vendors.Result) vendors.Result {
	if r.Outcome == vendors.Accepted || r.Outcome == vendors.TokenInvalid {
		return vendors.Result{Outcome: vendors.Transient, Code: codeNotSaved}
	}
	return r
}

// each finds the result of every token by the token. vivo mentions only those
// it could not take; the first mention counts.
func (a *answer) each(tokens []string, now time.Time, main bool) []vendors.Result {
	whole := a.whole(now, main)
	if whole.Outcome == vendors.TokenInvalid { // which one?
		whole = vendors.Result{Outcome: vendors.Transient, Code: whole.Code}
	}
	results := same(whole, tokens)
	if whole.Outcome != vendors.Accepted {
		return results
	}
	said := map[string]vendors.Result{}
	for _, u := range a.invalid {
		if _, repeated := said[u.ID]; !repeated {
			said[u.ID] = u.result()
		}
	}
	for i, token := range tokens {
		if r, ok := said[token]; ok {
			results[i] = r
		}
	}
	return results
}

// apart sends to every token alone. Each request has an id of its own, as vivo
// wants. A token without an answer is Transient, unless none has one.
func (s *Sender) apart(ctx context.Context, m message, tokens []string, main bool) ([]vendors.Result, error) {
	id := m.RequestID
	results, errs := make([]vendors.Result, len(tokens)), make([]error, len(tokens))
	var wg sync.WaitGroup
	for i, token := range tokens {
		m.RegID = token
		if i > 0 {
			m.RequestID = id + "-" + strconv.Itoa(i)
		}
		each := m
		wg.Go(func() { results[i], errs[i] = s.one(ctx, each, main) })
	}
	wg.Wait()
	answered := false
	for i, err := range errs {
		if err != nil {
			results[i] = vendors.Result{Outcome: vendors.Transient, Code: codeNoAnswer}
		}
		answered = answered || err == nil
	}
	if !answered {
		return nil, errs[0]
	}
	return results, nil
}

func same(r vendors.Result, tokens []string) []vendors.Result {
	results := make([]vendors.Result, len(tokens))
	for i := range results {
		results[i] = r
	}
	return results
}
