package oppo

import (
	"context"
	"encoding/json"
	"net/url"
	"slices"
	"time"

	"github.com/rouse-im/rouse/vendors"
	"github.com/rouse-im/rouse/vendors/courier"
)

const (
	// maxBatch is below OPPO's 1000: an answer has up to 200 bytes for each
	// token, and no more than 64 KiB of it are read.
	maxBatch = 250
	// maxBatchBytes bounds the form of a call.
	maxBatchBytes = 512 << 10

	codeNoAnswer = "rouse:NO_ANSWER"
)

// MaxBatch is the most tokens of one SendBatch.
func (s *Sender) MaxBatch() int { return maxBatch }

// SendBatch makes a call for each region, and several when the data is big. A
// call without an answer makes its tokens Transient, unless no call has one.
func (s *Sender) SendBatch(ctx context.Context, n *vendors.Notification, tokens []string) ([]vendors.Result, error) {
	results := make([]vendors.Result, len(tokens))
	shown, refusal := s.style.compose(n, time.Now())
	if refusal != "" {
		for i := range results {
			results[i] = vendors.Result{Outcome: vendors.Rejected, Code: refusal}
		}
		return results, nil
	}
	answered, failed := false, error(nil)
	for _, c := range s.calls(tokens, shown) {
		given, err := c.make(ctx, s.style.blames(n))
		if err != nil {
			failed = err
			given = func(string) vendors.Result {
				return vendors.Result{Outcome: vendors.Transient, Code: codeNoAnswer}
			}
		} else {
			answered = true
		}
		for _, i := range c.places {
			results[i] = given(tokens[i])
		}
	}
	if !answered {
		return nil, failed
	}
	return results, nil
}

// batchCall is one call: places are of its tokens among all.
type batchCall struct {
	via      *route
	places   []int
	messages []message
}

func (s *Sender) calls(tokens []string, shown json.RawMessage) []*batchCall {
	var calls []*batchCall
	size := len(url.QueryEscape(string(courier.JSON(address("", shown))))) + 256
	most := max(min(maxBatch, maxBatchBytes/size), 1)
	for i, token := range tokens {
		via := s.routeOf(token)
		at := slices.IndexFunc(calls, func(c *batchCall) bool { return c.via == via && len(c.places) < most })
		if at < 0 {
			at = len(calls)
			calls = append(calls, &batchCall{via: via})
		}
		calls[at].places = append(calls[at].places, i)
		calls[at].messages = append(calls[at].messages, address(token, shown))
	}
	return calls
}

// make asks OPPO and returns what it says of each token, found by the token:
// the order of the answer is not promised. The first mention of a token
// counts; one without any has the answer's own code.
func (c *batchCall) make(ctx context.Context, main bool) (func(token string) vendors.Result, error) {
	a, err := c.via.call(ctx, unicastBatch, url.Values{"messages": {string(courier.JSON(c.messages))}})
	if err != nil {
		return nil, err
	}
	now := time.Now()
	whole := a.result(now, main)
	given := map[string]vendors.Result{}
	if whole.Outcome == vendors.Accepted {
		for _, e := range a.elements() {
			if _, repeated := given[e.token]; !repeated {
				given[e.token] = e.result(a.Answer, now, main)
			}
		}
	}
	return func(token string) vendors.Result {
		if result, ok := given[token]; ok {
			return result
		}
		return whole
	}, nil
}

// element is what a batch answer says of one token.
type element struct {
	token string
	verdict
}

func (a *answer) elements() []element {
	var raw []json.RawMessage
	if json.Unmarshal(a.data, &raw) != nil {
		return nil
	}
	all := make([]element, 0, len(raw))
	for _, one := range raw {
		var body struct {
			ID      string `json:"messageId"`
			Token   string `json:"registrationId"`
			Code    number `json:"errorCode"`
			Message string `json:"errorMessage"`
		}
		if json.Unmarshal(one, &body) == nil && body.Token != "" {
			all = append(all, element{body.Token, verdict{body.Code, body.Message, body.ID}})
		}
	}
	return all
}
