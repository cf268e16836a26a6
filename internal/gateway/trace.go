package gateway

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/internal/reason"
)

// trace serves TraceService on gRPC and Connect. Users tell what was decided;
// the words for it are said here, as languages are no matter of theirs.
type trace struct {
	rousev1.UnimplementedTraceServiceServer
	*Gateway
}

// Recipient of a message, as FindTraces names it.
type Recipient struct{ User, Message string }

const (
	maxSearches = 2  // under way on a node; each may read many records
	askedAtOnce = 32 // users, for one answer
	searchTime  = 10 * time.Second
	maxAnswer   = 3 << 20 // bytes; gRPC clients take 4 MiB
)

// Explain decides a message for a user as if it came now.
func (s *trace) Explain(ctx context.Context, r *rousev1.ExplainRequest) (*rousev1.ExplainResponse, error) {
	m, wrong := merge(r.GetMessage())
	if wrong == nil && m != r.GetMessage() {
		wrong = s.check(m)
	}
	if wrong != nil {
		return nil, &refusal{wrong}
	}
	r.Message = m
	answer, err := ask[*rousev1.ExplainResponse](ctx, s.Gateway, r)
	word(answer.GetDevices())
	return answer, err
}

// Trace tells what was decided and what followed. A user is asked about his own
// messages; of a message and of a push the store is searched for whom to ask.
func (s *trace) Trace(ctx context.Context, r *rousev1.TraceRequest) (*rousev1.TraceResponse, error) {
	var all []*rousev1.MessageTrace
	var err error
	switch user := cmp.Or(r.GetUserId(), r.GetRecipient()); {
	case r.GetPushId() != "":
		all, err = s.search(ctx, r)
		all = ofPush(all, r.GetPushId())
	case user != "":
		all, err = s.of(ctx, user, r)
	default:
		all, err = s.search(ctx, r)
	}
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(all, func(a, b *rousev1.MessageTrace) int {
		return b.GetDecidedAt().AsTime().Compare(a.GetDecidedAt().AsTime())
	})
	size := 0
	for i, t := range all {
		word(t.GetDevices())
		if size += proto.Size(t); size > maxAnswer {
			all = all[:i]
			break
		}
	}
	return &rousev1.TraceResponse{Traces: all}, nil
}

// of asks one user.
func (s *trace) of(ctx context.Context, user string, r *rousev1.TraceRequest) ([]*rousev1.MessageTrace, error) {
	answer, err := askUser[*rousev1.TraceResponse](ctx, s.Gateway, user, r)
	return answer.GetTraces(), err
}

// search finds whom to ask, and asks. Few searches are under way at once, and
// none is long.
func (s *trace) search(ctx context.Context, r *rousev1.TraceRequest) ([]*rousev1.MessageTrace, error) {
	app, err := callerOf(ctx).scope("")
	if err != nil {
		return nil, err
	}
	select {
	case s.searches <- struct{}{}:
		defer func() { <-s.searches }()
	default:
		return nil, refuse(rousev1.ErrorCode_ERROR_CODE_OVERLOADED, "%d searches by message or push are under way; try again in a few seconds, or ask by user_id", maxSearches)
	}
	ctx, cancel := context.WithTimeout(ctx, searchTime)
	defer cancel()
	found, err := s.FindTraces(ctx, app, r, time.Now())
	if err != nil {
		return nil, err
	}
	return s.ofEach(ctx, found)
}

// ofEach asks many users about one message each.
func (s *trace) ofEach(ctx context.Context, found []Recipient) ([]*rousev1.MessageTrace, error) {
	answers, errs := make([][]*rousev1.MessageTrace, len(found)), make([]error, len(found))
	slots := make(chan struct{}, askedAtOnce)
	var calls sync.WaitGroup
	for i, f := range found {
		slots <- struct{}{}
		calls.Go(func() {
			q := &rousev1.TraceRequest{By: &rousev1.TraceRequest_MessageId{MessageId: f.Message}, Recipient: f.User}
			answers[i], errs[i] = s.of(ctx, f.User, q)
			<-slots
		})
	}
	calls.Wait()
	return slices.Concat(answers...), cmp.Or(errs...)
}

// ofPush leaves the device that a push went to.
func ofPush(all []*rousev1.MessageTrace, id string) []*rousev1.MessageTrace {
	for _, t := range all {
		t.Devices = slices.DeleteFunc(t.GetDevices(), func(d *rousev1.DeviceTrace) bool { return !strings.EqualFold(d.GetOutcome().GetPushId(), id) })
	}
	return slices.DeleteFunc(all, func(t *rousev1.MessageTrace) bool { return len(t.GetDevices()) == 0 })
}

// word says reasons in words.
func word(devices []*rousev1.DeviceTrace) {
	for _, d := range devices {
		r := d.GetOutcome().GetReason()
		if late := d.GetOutcome().GetReceiptReason(); late != 0 {
			r = late // the last that is known
		}
		en, zh := reason.In(reason.English, r), reason.In(reason.Chinese, r)
		d.ExplanationEn, d.AdviceEn, d.ExplanationZh, d.AdviceZh = en.What, en.Advice, zh.What, zh.Advice
	}
}
