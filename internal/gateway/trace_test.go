package gateway

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rouse-im/rouse/actors"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

// tracing answers for users: each has one message of the given id, for two
// devices; the users' numbers are the seconds at which they were decided.
func tracing(e *actors.Envelope) {
	q, ok := e.Command.(*rousev1.TraceRequest)
	if !ok {
		accept(e)
		return
	}
	var second int64
	if _, err := fmt.Sscanf(e.User, "u%d", &second); err != nil || (q.GetRecipient() != "" && q.GetRecipient() != e.User) {
		e.Reject()
		return
	}
	t := &rousev1.MessageTrace{MessageId: q.GetMessageId(), UserId: e.User, DecidedAt: &timestamppb.Timestamp{Seconds: second}}
	for _, device := range []string{"phone", "pad"} {
		t.Devices = append(t.Devices, &rousev1.DeviceTrace{
			Outcome: &rousev1.Outcome{DeviceId: device, PushId: pushIDOf(device), Reason: rousev1.Reason_REASON_QUIET_WINDOW},
			Steps:   []*rousev1.TraceStep{{Rule: strings.Repeat("x", 2000)}},
		})
	}
	t.Devices[1].Outcome.ReceiptReason = rousev1.Reason_REASON_MUTED_ON_DEVICE
	e.Done(actors.Reply{Response: &rousev1.TraceResponse{Traces: []*rousev1.MessageTrace{t}}})
}

func pushIDOf(device string) string {
	return (strings.Repeat("a", 31) + device + strings.Repeat("-", 5))[:36]
}

func (w *world) trace(body string) (*rousev1.TraceResponse, *rousev1.Error) {
	w.t.Helper()
	a := w.post(w.key("a", viewerRole), rousev1.TraceService_Trace_FullMethodName, body)
	r := &rousev1.TraceResponse{}
	if a.err == nil {
		w.ok(protojson.Unmarshal([]byte(a.body), r))
	}
	return r, a.err
}

func TestTraceAsksTheUsersFound(t *testing.T) {
	w := newWorld(t)
	w.routes(tracing)
	w.find = func(app string, r *rousev1.TraceRequest) (all []Recipient, err error) {
		if r.GetPushId() != "" {
			return []Recipient{{"u7", "m"}}, nil
		}
		for i := range 100 {
			all = append(all, Recipient{fmt.Sprint("u", i*37%100), r.GetMessageId() + " in " + app})
		}
		return all, nil
	}
	r, err := w.trace(`{"messageId":"m","limit":1000}`)
	if err != nil || len(r.GetTraces()) != 100 {
		t.Fatalf("%d traces, %v", len(r.GetTraces()), err)
	}
	if !slices.IsSortedFunc(r.GetTraces(), func(a, b *rousev1.MessageTrace) int {
		return int(b.GetDecidedAt().GetSeconds() - a.GetDecidedAt().GetSeconds())
	}) {
		t.Error("not the newest first")
	}
	first := r.GetTraces()[0]
	if first.GetUserId() != "u99" || first.GetMessageId() != "m in a" {
		t.Errorf("first: %s %s", first.GetUserId(), first.GetMessageId())
	}
	phone, pad := first.GetDevices()[0], first.GetDevices()[1]
	if !strings.Contains(phone.GetExplanationEn(), "time of day") || !strings.Contains(phone.GetExplanationZh(), "免打扰") || phone.GetAdviceEn() == "" || phone.GetAdviceZh() == "" {
		t.Errorf("words: %v", phone)
	}
	if !strings.Contains(pad.GetExplanationEn(), "switched off on the device") {
		t.Errorf("the receipt's reason comes last: %v", pad.GetExplanationEn())
	}
	r, err = w.trace(`{"pushId":"` + strings.ToUpper(pushIDOf("pad")) + `"}`)
	if err != nil || len(r.GetTraces()) != 1 || len(r.GetTraces()[0].GetDevices()) != 1 || r.GetTraces()[0].GetDevices()[0].GetOutcome().GetDeviceId() != "pad" {
		t.Errorf("of a push: %v %v", r, err)
	}
	if r, err := w.trace(`{"pushId":"` + pushIDOf("tv") + `"}`); err != nil || len(r.GetTraces()) != 0 {
		t.Errorf("of a push that the user does not know: %v %v", r, err)
	}
	w.find = func(string, *rousev1.TraceRequest) ([]Recipient, error) { t.Error("a search"); return nil, nil }
	if r, err := w.trace(`{"userId":"u3"}`); err != nil || len(r.GetTraces()) != 1 || r.GetTraces()[0].GetDevices()[0].GetExplanationEn() == "" {
		t.Errorf("of a user: %v %v", r, err)
	}
	if r, err := w.trace(`{"messageId":"m","recipient":"u3"}`); err != nil || len(r.GetTraces()) != 1 || r.GetTraces()[0].GetUserId() != "u3" {
		t.Errorf("of one recipient: %v %v", r, err)
	}
}

func TestTraceRefuses(t *testing.T) {
	w := newWorld(t)
	w.routes(tracing)
	w.find = func(string, *rousev1.TraceRequest) ([]Recipient, error) {
		return []Recipient{{"u1", "m"}, {"nobody", "m"}}, nil
	}
	_, err := w.trace(`{"messageId":"m"}`)
	wants(t, err, rousev1.ErrorCode_ERROR_CODE_OVERLOADED)
	w.find = func(string, *rousev1.TraceRequest) ([]Recipient, error) {
		return nil, fmt.Errorf("searching: %w", ErrFar)
	}
	_, err = w.trace(`{"pushId":"` + pushIDOf("x") + `"}`)
	wants(t, err, rousev1.ErrorCode_ERROR_CODE_LIMIT_EXCEEDED)
	for _, body := range []string{
		`{}`, `{"messageId":""}`, `{"pushId":"short"}`, `{"messageId":"m","limit":1001}`, `{"userId":"` + strings.Repeat("u", 129) + `"}`,
	} {
		_, err := w.trace(body)
		wants(t, err, rousev1.ErrorCode_ERROR_CODE_INVALID_ARGUMENT)
	}
	w.find = func(string, *rousev1.TraceRequest) (all []Recipient, err error) {
		for i := range 1000 {
			all = append(all, Recipient{fmt.Sprint("u", i), "m"})
		}
		return all, nil
	}
	r, err := w.trace(`{"messageId":"m","limit":1000}`)
	if n := len(r.GetTraces()); err != nil || n < 500 || n > 900 || r.GetTraces()[0].GetUserId() != "u999" {
		t.Errorf("%d traces of 4 KiB, %v", n, err)
	}
}

// Searches that take long hold up neither each other's callers nor users' own traces.
func TestFewSearchesAtOnce(t *testing.T) {
	w := newWorld(t)
	w.routes(tracing)
	begun, end := make(chan struct{}), make(chan struct{})
	w.find = func(string, *rousev1.TraceRequest) ([]Recipient, error) {
		begun <- struct{}{}
		<-end
		return nil, nil
	}
	var calls sync.WaitGroup
	for range maxSearches {
		calls.Go(func() {
			if _, err := w.trace(`{"messageId":"m"}`); err != nil {
				t.Error(err)
			}
		})
		<-begun
	}
	_, err := w.trace(`{"messageId":"m"}`)
	wants(t, err, rousev1.ErrorCode_ERROR_CODE_OVERLOADED)
	if _, err := w.trace(`{"userId":"u1"}`); err != nil {
		t.Error(err)
	}
	close(end)
	calls.Wait()
	w.find = func(string, *rousev1.TraceRequest) ([]Recipient, error) { return nil, nil }
	if _, err := w.trace(`{"messageId":"m"}`); err != nil {
		t.Error(err)
	}
}
