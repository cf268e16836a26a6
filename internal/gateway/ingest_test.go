package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rouse-im/rouse/actors"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

type ingestClient = grpc.BidiStreamingClient[rousev1.IngestRequest, rousev1.IngestResponse]

var im1 = &rousev1.NodeRef{Name: "im-1", Incarnation: 7}

// ingestAs opens a stream and says hello.
func (w *world) ingestAs(key string, node *rousev1.NodeRef) ingestClient {
	w.t.Helper()
	stream, err := rousev1.NewIntakeServiceClient(w.conn).Ingest(w.as(key))
	w.ok(err)
	w.ok(stream.Send(&rousev1.IngestRequest{Kind: &rousev1.IngestRequest_Hello{Hello: &rousev1.Hello{Node: node}}}))
	return stream
}

func (w *world) welcomed(key string, node *rousev1.NodeRef) ingestClient {
	w.t.Helper()
	stream := w.ingestAs(key, node)
	first, err := stream.Recv()
	w.ok(err)
	if first.GetWelcome().GetWindow() != window || first.GetWelcome().GetLease().AsDuration() != 15*time.Second {
		w.t.Fatalf("got %v", first)
	}
	return stream
}

func send(t testing.TB, stream ingestClient, seq uint64, events ...*rousev1.Event) {
	t.Helper()
	if err := stream.Send(&rousev1.IngestRequest{Kind: &rousev1.IngestRequest_Batch{Batch: &rousev1.Batch{Seq: seq, Events: events}}}); err != nil {
		t.Fatal(err)
	}
}

func receive(t testing.TB, stream ingestClient) *rousev1.BatchResult {
	t.Helper()
	m, err := stream.Recv()
	if err != nil {
		t.Fatal(err)
	}
	return m.GetResult()
}

// verdicts shows results as "ACCEPTED" or "REFUSED:CODE".
func verdicts(items []*rousev1.ItemResult) (all []string) {
	for _, item := range items {
		s := strings.TrimPrefix(item.GetStatus().String(), "ITEM_STATUS_")
		if item.GetError() != nil {
			s += ":" + codeName(item.GetError().GetCode())
		}
		all = append(all, s)
	}
	return all
}

func TestStreamTakesBatches(t *testing.T) {
	w := newWorld(t)
	var got []string // written by the stream's reader alone
	w.routes(func(e *actors.Envelope) {
		got = append(got, fmt.Sprintf("%s/%s %s:%d %T", e.App, e.User, e.Node.Name, e.Node.Incarnation, e.Command))
		accept(e)
	})
	stream := w.welcomed(w.intakeKey(), im1)
	if !w.Leases.Live("a", "im-1", 7, time.Now()) || w.Leases.Live("b", "im-1", 7, time.Now()) {
		t.Error("the hello grants no lease, or one for another app")
	}
	send(t, stream, 41, presence("u1"), message("m1", "u1", "u2"),
		&rousev1.Event{Kind: &rousev1.Event_Fetched{Fetched: &rousev1.FetchedEvent{UserId: "u3", DeviceId: "d"}}},
		&rousev1.Event{Kind: &rousev1.Event_Read{Read: &rousev1.ReadEvent{UserId: "u4", MessageIds: []string{"m0"}}}})
	result := receive(t, stream)
	if result.GetSeq() != 41 {
		t.Errorf("seq %d", result.GetSeq())
	}
	if diff := cmp.Diff([]string{"ACCEPTED", "ACCEPTED", "ACCEPTED", "ACCEPTED"}, verdicts(result.GetItems())); diff != "" {
		t.Error(diff)
	}
	want := []string{
		"a/u1 im-1:7 *rousev1.PresenceEvent", "a/u1 im-1:7 *rousev1.MessageEvent", "a/u2 im-1:7 *rousev1.MessageEvent",
		"a/u3 im-1:7 *rousev1.FetchedEvent", "a/u4 im-1:7 *rousev1.ReadEvent",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	w.ok(stream.CloseSend())
	if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("end of the stream: %v", err)
	}
}

func TestInvalidEventsAreRefusedAlone(t *testing.T) {
	w := newWorld(t)
	tooMany := make([]string, 1025)
	for i := range tooMany {
		tooMany[i] = "u"
	}
	change := func(f func(*rousev1.MessageEvent)) *rousev1.Event {
		e := message("m", "u")
		f(e.GetMessage())
		return e
	}
	cases := []struct {
		event *rousev1.Event
		want  string
		names string // in the message
	}{
		{presence("u"), "ACCEPTED", ""},
		{&rousev1.Event{}, "REFUSED:INVALID_ARGUMENT", "kind"},
		{presence(""), "REFUSED:INVALID_ARGUMENT", "presence.user_id"},
		{presence("a\x00b" + canary), "REFUSED:INVALID_ARGUMENT", "presence.user_id"},
		{presence(strings.Repeat("u", 129)), "REFUSED:INVALID_ARGUMENT", "presence.user_id"},
		{message("m"), "REFUSED:INVALID_ARGUMENT", "message.recipients"},
		{message("m", "u", ""), "REFUSED:INVALID_ARGUMENT", "message.recipients[1]"},
		{message("m", tooMany...), "REFUSED:INVALID_ARGUMENT", "message.recipients"},
		{change(func(m *rousev1.MessageEvent) { m.Kind = 99 }), "REFUSED:INVALID_ARGUMENT", "message.kind"},
		{change(func(m *rousev1.MessageEvent) { m.Content.Body = strings.Repeat(canary, 1000) }), "REFUSED:INVALID_ARGUMENT", "message.content.body"},
		{change(func(m *rousev1.MessageEvent) { m.Content.Data = map[string]string{canary: strings.Repeat("x", 1025)} }), "REFUSED:INVALID_ARGUMENT", "message.content.data"},
		{change(func(m *rousev1.MessageEvent) { m.SentAt = timestamppb.New(time.Now().Add(11 * time.Minute)) }), "REFUSED:CLOCK_SKEW", "message.sent_at"},
		{change(func(m *rousev1.MessageEvent) { m.SentAt = timestamppb.New(time.Now().Add(9 * time.Minute)) }), "ACCEPTED", ""},
		{change(func(m *rousev1.MessageEvent) { m.SentAt = &timestamppb.Timestamp{Seconds: -1 << 62, Nanos: -7} }), "ACCEPTED", ""},
		{presence("u"), "ACCEPTED", ""},
	}
	var events []*rousev1.Event
	var want []string
	for _, c := range cases {
		events, want = append(events, c.event), append(want, c.want)
	}
	stream := w.welcomed(w.intakeKey(), im1)
	send(t, stream, 1, events...)
	unary, err := rousev1.NewIntakeServiceClient(w.conn).IngestBatch(w.as(w.intakeKey()), &rousev1.IngestBatchRequest{Events: events})
	w.ok(err)
	for _, items := range [][]*rousev1.ItemResult{receive(t, stream).GetItems(), unary.GetItems()} {
		if diff := cmp.Diff(want, verdicts(items)); diff != "" {
			t.Fatal(diff)
		}
		for i, item := range items {
			if item.GetError() == nil {
				continue
			}
			wants(t, item.GetError(), item.GetError().GetCode())
			if !strings.HasPrefix(item.GetError().GetMessage(), cases[i].names) {
				t.Errorf("event %d: %v does not name %s", i, item.GetError(), cases[i].names)
			}
		}
	}
	if strings.Contains(w.log.String(), canary) {
		t.Error("the log shows a secret")
	}
}

func TestRecipientsMakeOneResult(t *testing.T) {
	w := newWorld(t)
	first := complaint(rousev1.ErrorCode_ERROR_CODE_OVERLOADED, "first")
	replies := map[byte]actors.Reply{
		'a': {Status: rousev1.ItemStatus_ITEM_STATUS_ACCEPTED},
		'd': {Status: rousev1.ItemStatus_ITEM_STATUS_DUPLICATE},
		's': {Status: rousev1.ItemStatus_ITEM_STATUS_STALE},
		'r': {Err: first},
		'x': {Err: complaint(rousev1.ErrorCode_ERROR_CODE_LIMIT_EXCEEDED, "second")},
	}
	w.routes(func(e *actors.Envelope) { e.Done(replies[e.User[0]]) })
	response, err := rousev1.NewIntakeServiceClient(w.conn).IngestBatch(w.as(w.intakeKey()), &rousev1.IngestBatchRequest{Events: []*rousev1.Event{
		message("1", "a", "d"), message("2", "d", "d"), message("3", "d", "a"), message("4", "a", "r", "x"), message("5", "x", "r"), presence("s"), message("6", "s", "d"),
	}})
	w.ok(err)
	want := []string{"ACCEPTED", "DUPLICATE", "ACCEPTED", "REFUSED:OVERLOADED", "REFUSED:LIMIT_EXCEEDED", "STALE", "ACCEPTED"}
	if diff := cmp.Diff(want, verdicts(response.GetItems())); diff != "" {
		t.Fatal(diff)
	}
}

// A batch is answered when its last event is, and other batches do not wait.
func TestBatchesAreAnsweredAsTheyFinish(t *testing.T) {
	w := newWorld(t)
	held := make(chan *actors.Envelope, 8)
	w.routes(func(e *actors.Envelope) {
		if e.User == "slow" {
			held <- e
			return
		}
		accept(e)
	})
	stream := w.welcomed(w.intakeKey(), im1)
	send(t, stream, 1, presence("quick"), presence("slow"))
	send(t, stream, 2, presence("quick"))
	if got := receive(t, stream).GetSeq(); got != 2 {
		t.Fatalf("first answered: %d", got)
	}
	accept(<-held)
	if got := receive(t, stream); got.GetSeq() != 1 || len(got.GetItems()) != 2 {
		t.Fatalf("got %v", got)
	}
}

// With the window full the stream is not read: the batch after it reaches no
// actor until an answer has gone out.
func TestWindow(t *testing.T) {
	w := newWorld(t)
	held := make(chan *actors.Envelope, window+1)
	w.routes(func(e *actors.Envelope) { held <- e })
	stream := w.welcomed(w.intakeKey(), im1)
	for seq := range uint64(window + 1) {
		send(t, stream, seq, presence("u"))
	}
	var waiting []*actors.Envelope
	for range window {
		waiting = append(waiting, <-held)
	}
	select {
	case <-held:
		t.Fatal("more than the window is under way")
	default:
	}
	accept(waiting[5])
	if got := receive(t, stream).GetSeq(); got != 5 {
		t.Fatalf("answered: %d", got)
	}
	accept(<-held)
	if got := receive(t, stream).GetSeq(); got != window {
		t.Fatalf("answered: %d", got)
	}
	for i, e := range waiting {
		if i != 5 {
			accept(e)
		}
	}
	w.ok(stream.CloseSend())
	for range window - 1 {
		receive(t, stream)
	}
	if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
}

func TestStreamProtocol(t *testing.T) {
	w := newWorld(t)
	hello := &rousev1.IngestRequest{Kind: &rousev1.IngestRequest_Hello{Hello: &rousev1.Hello{Node: im1}}}
	batch := func(n int) *rousev1.IngestRequest {
		b := &rousev1.Batch{}
		for range n {
			b.Events = append(b.Events, presence("u"))
		}
		return &rousev1.IngestRequest{Kind: &rousev1.IngestRequest_Batch{Batch: b}}
	}
	node := func(name string, incarnation uint64) *rousev1.IngestRequest {
		return &rousev1.IngestRequest{Kind: &rousev1.IngestRequest_Hello{Hello: &rousev1.Hello{Node: &rousev1.NodeRef{Name: name, Incarnation: incarnation}}}}
	}
	for _, c := range []struct {
		name string
		send []*rousev1.IngestRequest
		want rousev1.ErrorCode
	}{
		{"no hello", []*rousev1.IngestRequest{batch(1)}, rousev1.ErrorCode_ERROR_CODE_PROTOCOL},
		{"heartbeat first", []*rousev1.IngestRequest{{Kind: &rousev1.IngestRequest_Heartbeat{}}}, rousev1.ErrorCode_ERROR_CODE_PROTOCOL},
		{"two hellos", []*rousev1.IngestRequest{hello, hello}, rousev1.ErrorCode_ERROR_CODE_PROTOCOL},
		{"empty message", []*rousev1.IngestRequest{hello, {}}, rousev1.ErrorCode_ERROR_CODE_PROTOCOL},
		{"node without name", []*rousev1.IngestRequest{node("", 1)}, rousev1.ErrorCode_ERROR_CODE_INVALID_ARGUMENT},
		{"bad node name", []*rousev1.IngestRequest{node("im 1", 1)}, rousev1.ErrorCode_ERROR_CODE_INVALID_ARGUMENT},
		{"no incarnation", []*rousev1.IngestRequest{node("im-1", 0)}, rousev1.ErrorCode_ERROR_CODE_INVALID_ARGUMENT},
		{"hello without node", []*rousev1.IngestRequest{{Kind: &rousev1.IngestRequest_Hello{Hello: &rousev1.Hello{}}}}, rousev1.ErrorCode_ERROR_CODE_INVALID_ARGUMENT},
		{"empty batch", []*rousev1.IngestRequest{hello, batch(0)}, rousev1.ErrorCode_ERROR_CODE_INVALID_ARGUMENT},
		{"long batch", []*rousev1.IngestRequest{hello, batch(1025)}, rousev1.ErrorCode_ERROR_CODE_LIMIT_EXCEEDED},
		{"old incarnation", []*rousev1.IngestRequest{node("old", 9), nil, node("old", 8)}, rousev1.ErrorCode_ERROR_CODE_INVALID_ARGUMENT},
	} {
		t.Run(c.name, func(t *testing.T) {
			var err error
			open := func() ingestClient {
				stream, err := rousev1.NewIntakeServiceClient(w.conn).Ingest(w.as(w.intakeKey()))
				w.ok(err)
				return stream
			}
			stream := open()
			for _, m := range c.send {
				if m == nil { // the next ones go to another stream
					if _, err := stream.Recv(); err != nil {
						t.Fatal(err)
					}
					stream = open()
					continue
				}
				w.ok(stream.Send(m))
			}
			for err == nil {
				_, err = stream.Recv()
			}
			wants(t, detail(err), c.want)
		})
	}
}

// grpc-go itself ends the stream, before the gateway could add a detail.
func TestHugeMessageOnAStream(t *testing.T) {
	w := newWorld(t)
	stream := w.welcomed(w.intakeKey(), im1)
	send(t, stream, 1, presence(strings.Repeat(canary, 1<<19)))
	if _, err := stream.Recv(); status.Code(err) != codes.ResourceExhausted || strings.Contains(err.Error(), canary) {
		t.Fatalf("got %.200v", err)
	}
}

func TestHigherIncarnationEndsTheOlderStream(t *testing.T) {
	w := newWorld(t)
	old := w.welcomed(w.intakeKey(), im1)
	w.welcomed(w.intakeKey(), &rousev1.NodeRef{Name: "im-1", Incarnation: 8})
	w.ok(old.Send(&rousev1.IngestRequest{Kind: &rousev1.IngestRequest_Heartbeat{Heartbeat: &rousev1.Heartbeat{}}}))
	_, err := old.Recv()
	wants(t, detail(err), rousev1.ErrorCode_ERROR_CODE_INVALID_ARGUMENT)
	if !w.Leases.Live("a", "im-1", 8, time.Now()) {
		t.Error("the newer incarnation lost its lease")
	}
}

func TestHeartbeatRenewsAndBringsTheLeaseBack(t *testing.T) {
	w := newWorld(t)
	stream := w.welcomed(w.intakeKey(), im1)
	w.Leases.Sweep(time.Now().Add(time.Hour))
	w.ok(w.Leases.Grant("a", actors.Node{Name: "im-2", Incarnation: 1}, time.Now())) // stored after the deletion
	if w.Leases.Live("a", "im-1", 7, time.Now()) {
		t.Fatal("the lease was not swept")
	}
	w.ok(stream.Send(&rousev1.IngestRequest{Kind: &rousev1.IngestRequest_Heartbeat{Heartbeat: &rousev1.Heartbeat{}}}))
	send(t, stream, 1, presence("u")) // its answer comes after the heartbeat was read
	receive(t, stream)
	if !w.Leases.Live("a", "im-1", 7, time.Now()) {
		t.Fatal("a node with an open stream has no lease")
	}
}

func TestRevokedKeyEndsTheStream(t *testing.T) {
	w := newWorld(t)
	stream := w.welcomed(w.intakeKey(), im1)
	who, err := w.Catalog.Authenticate(w.intakeKey())
	w.ok(err)
	w.ok(w.Catalog.RevokeKey("a", who.KeyID))
	send(t, stream, 1, presence("u"))
	_, err = stream.Recv()
	wants(t, detail(err), rousev1.ErrorCode_ERROR_CODE_UNAUTHENTICATED)
}

func TestFullDiskRefusesAllThatGrows(t *testing.T) {
	w := newWorld(t)
	stream := w.welcomed(w.intakeKey(), im1)
	w.setFull(true)
	send(t, stream, 1, presence("u"), message("m", "u"))
	result := receive(t, stream)
	if diff := cmp.Diff([]string{"REFUSED:DISK_FULL", "REFUSED:DISK_FULL"}, verdicts(result.GetItems())); diff != "" {
		t.Fatal(diff)
	}
	wants(t, result.GetItems()[0].GetError(), rousev1.ErrorCode_ERROR_CODE_DISK_FULL)
	wants(t, w.post(w.adminKey(), rousev1.UserService_SetUserPolicy_FullMethodName, `{"userId":"u"}`).err, rousev1.ErrorCode_ERROR_CODE_DISK_FULL)
	for _, method := range []string{rousev1.UserService_EraseUser_FullMethodName, rousev1.DeviceService_ListDevices_FullMethodName} {
		if a := w.post(w.adminKey(), method, `{"userId":"u"}`); a.status != 200 {
			t.Errorf("%s: %s", method, a.body)
		}
	}
	w.setFull(false)
	send(t, stream, 2, presence("u"))
	if diff := cmp.Diff([]string{"ACCEPTED"}, verdicts(receive(t, stream).GetItems())); diff != "" {
		t.Fatal(diff)
	}
}

func TestRateOfBatchesOnAStream(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.CallsPerSecond, o.Burst = 1, 2 })
	stream := w.welcomed(w.intakeKey(), im1) // takes one
	send(t, stream, 1, presence("u"))
	send(t, stream, 2, presence("u"), presence("v"))
	if diff := cmp.Diff([]string{"ACCEPTED"}, verdicts(receive(t, stream).GetItems())); diff != "" {
		t.Fatal(diff)
	}
	if diff := cmp.Diff([]string{"REFUSED:RATE_LIMITED", "REFUSED:RATE_LIMITED"}, verdicts(receive(t, stream).GetItems())); diff != "" {
		t.Fatal(diff)
	}
}

func TestWideBatchesAreTakenInParts(t *testing.T) {
	w := newWorld(t)
	to := make([]string, 1024)
	for i := range to {
		to[i] = fmt.Sprint("user", i)
	}
	var events []*rousev1.Event
	for i := range 20 {
		events = append(events, message(fmt.Sprint(i), to...))
	}
	response, err := rousev1.NewIntakeServiceClient(w.conn).IngestBatch(w.as(w.intakeKey()), &rousev1.IngestBatchRequest{Events: events})
	w.ok(err)
	for i, got := range verdicts(response.GetItems()) {
		want := "ACCEPTED"
		if i >= maxDeliveries/1024 {
			want = "REFUSED:OVERLOADED"
		}
		if got != want {
			t.Errorf("event %d: %s", i, got)
		}
	}
}

func TestUnaryBatchTellsWhatIsKnownInTime(t *testing.T) {
	w := newWorld(t)
	late := make(chan *actors.Envelope, 2)
	w.routes(func(e *actors.Envelope) {
		if e.User == "late" {
			late <- e
			return
		}
		accept(e)
	})
	ctx, cancel := context.WithTimeout(w.as(w.intakeKey()), 500*time.Millisecond)
	defer cancel()
	response, err := rousev1.NewIntakeServiceClient(w.conn).IngestBatch(ctx, &rousev1.IngestBatchRequest{Events: []*rousev1.Event{presence("u"), presence("late"), message("m", "u", "late")}})
	w.ok(err)
	accept(<-late) // an answer after the end must do no harm
	if diff := cmp.Diff([]string{"ACCEPTED", "REFUSED:DEADLINE", "REFUSED:DEADLINE"}, verdicts(response.GetItems())); diff != "" {
		t.Fatal(diff)
	}
	wants(t, response.GetItems()[1].GetError(), rousev1.ErrorCode_ERROR_CODE_DEADLINE)
}

func TestUnaryBatch(t *testing.T) {
	w := newWorld(t)
	client := rousev1.NewIntakeServiceClient(w.conn)
	_, err := client.IngestBatch(w.as(w.intakeKey()), &rousev1.IngestBatchRequest{Node: im1, Events: []*rousev1.Event{presence("u")}})
	w.ok(err)
	if !w.Leases.Live("a", "im-1", 7, time.Now()) {
		t.Error("a batch with a node is no sign of life")
	}
	for _, c := range []struct {
		request *rousev1.IngestBatchRequest
		want    rousev1.ErrorCode
	}{
		{&rousev1.IngestBatchRequest{}, rousev1.ErrorCode_ERROR_CODE_INVALID_ARGUMENT},
		{&rousev1.IngestBatchRequest{Events: make1025()}, rousev1.ErrorCode_ERROR_CODE_LIMIT_EXCEEDED},
		{&rousev1.IngestBatchRequest{Node: &rousev1.NodeRef{}, Events: []*rousev1.Event{presence("u")}}, rousev1.ErrorCode_ERROR_CODE_INVALID_ARGUMENT},
		{&rousev1.IngestBatchRequest{Node: &rousev1.NodeRef{Name: "im-1", Incarnation: 6}, Events: []*rousev1.Event{presence("u")}}, rousev1.ErrorCode_ERROR_CODE_INVALID_ARGUMENT},
	} {
		_, err := client.IngestBatch(w.as(w.intakeKey()), c.request)
		wants(t, detail(err), c.want)
	}
}

func make1025() (events []*rousev1.Event) {
	for range 1025 {
		events = append(events, presence("u"))
	}
	return events
}

// Answers may come from any goroutine and in any order.
func TestAnswersFromManyGoroutines(t *testing.T) {
	w := newWorld(t)
	var actorsAtWork sync.WaitGroup
	w.routes(func(e *actors.Envelope) { actorsAtWork.Go(func() { accept(e) }) })
	stream := w.welcomed(w.intakeKey(), im1)
	const batches = 200
	go func() {
		for seq := range uint64(batches) {
			var events []*rousev1.Event
			for i := range 16 {
				events = append(events, message(fmt.Sprint(i), "u1", "u2", "u3"))
			}
			if stream.Send(&rousev1.IngestRequest{Kind: &rousev1.IngestRequest_Batch{Batch: &rousev1.Batch{Seq: seq, Events: events}}}) != nil {
				return
			}
		}
		stream.CloseSend()
	}()
	seen := make(map[uint64]bool)
	for range batches {
		result := receive(t, stream)
		if seen[result.GetSeq()] || len(result.GetItems()) != 16 {
			t.Fatalf("got %v", result)
		}
		seen[result.GetSeq()] = true
	}
	if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	actorsAtWork.Wait()
}

func TestStopLetsBatchesEnd(t *testing.T) {
	w := newWorld(t)
	held := make(chan *actors.Envelope, 1)
	w.routes(func(e *actors.Envelope) { held <- e })
	idle := w.welcomed(w.intakeKey(), im1)
	busy := w.welcomed(w.intakeKey(), im1)
	send(t, busy, 3, presence("u"))
	e := <-held
	stopped := make(chan error, 1)
	go func() { stopped <- w.Stop(t.Context()) }()
	_, err := idle.Recv()
	wants(t, detail(err), rousev1.ErrorCode_ERROR_CODE_UNAVAILABLE)
	select {
	case err := <-stopped:
		t.Fatalf("stopped with a batch under way: %v", err)
	default:
	}
	accept(e)
	if got := receive(t, busy).GetSeq(); got != 3 {
		t.Fatalf("answered %d", got)
	}
	_, err = busy.Recv()
	wants(t, detail(err), rousev1.ErrorCode_ERROR_CODE_UNAVAILABLE)
	if err := <-stopped; err != nil {
		t.Fatal(err)
	}
	if _, err := rousev1.NewIntakeServiceClient(w.conn).IngestBatch(w.as(w.intakeKey()), &rousev1.IngestBatchRequest{Events: []*rousev1.Event{presence("u")}}); status.Code(err) != codes.Unavailable {
		t.Fatalf("after the end: %v", err)
	}
}

func TestStopCutsOffWhatDoesNotEnd(t *testing.T) {
	w := newWorld(t)
	held := make(chan *actors.Envelope, 1)
	w.routes(func(e *actors.Envelope) { held <- e })
	stream := w.welcomed(w.intakeKey(), im1)
	send(t, stream, 1, presence("u"))
	e := <-held
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.Stop(ctx); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	if _, err := stream.Recv(); status.Code(err) != codes.Unavailable {
		t.Fatalf("got %v", err)
	}
	accept(e) // an answer after the end must do no harm
}

// What a user leaves without an answer is refused in time, whoever asks in which
// way, and the log tells of it; a later answer changes nothing.
func TestUserGivesNoAnswer(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.AnswerTime = 100 * time.Millisecond })
	kept := make(chan *actors.Envelope, 3)
	w.routes(func(e *actors.Envelope) {
		if e.User == "mute" {
			kept <- e
			return
		}
		accept(e)
	})
	began := time.Now()
	response, err := rousev1.NewIntakeServiceClient(w.conn).IngestBatch(w.as(w.intakeKey()), &rousev1.IngestBatchRequest{Events: []*rousev1.Event{message("m1", "ann"), message("m2", "mute")}})
	w.ok(err)
	want := []string{"ACCEPTED", "REFUSED:DEADLINE"}
	if diff := cmp.Diff(want, verdicts(response.GetItems())); diff != "" {
		t.Error(diff)
	}
	stream := w.welcomed(w.intakeKey(), im1)
	send(t, stream, 1, message("m3", "ann"), message("m4", "mute"))
	if diff := cmp.Diff(want, verdicts(receive(t, stream).GetItems())); diff != "" {
		t.Error(diff)
	}
	wants(t, w.post(w.intakeKey(), rousev1.UserService_GetOfflineCount_FullMethodName, `{"userId":"mute"}`).err, rousev1.ErrorCode_ERROR_CODE_DEADLINE)
	if took := time.Since(began); took > 10*time.Second { // callTimeout is 30 s
		t.Errorf("three answers took %s", took)
	}
	for range 3 {
		e := <-kept
		e.Done(actors.Reply{Status: rousev1.ItemStatus_ITEM_STATUS_ACCEPTED})
	}
	send(t, stream, 2, message("m5", "ann"))
	if r := receive(t, stream); r.GetSeq() != 2 {
		t.Errorf("after a late answer: %v", r)
	}
	if n := strings.Count(w.log.String(), "users gave no answer to events"); n != 2 {
		t.Errorf("the log tells %d times", n)
	}
}
