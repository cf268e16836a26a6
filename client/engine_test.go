package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/types/known/durationpb"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

type serverStream = grpc.BidiStreamingServer[rousev1.IngestRequest, rousev1.IngestResponse]

// engine is an IntakeService that applies each event once and keeps a log.
type engine struct {
	rousev1.UnimplementedIntakeServiceServer
	window uint32
	lease  time.Duration
	// onBatch, when set, acts in place of answering with apply: nil goes on, an error ends the stream.
	onBatch func(s serverStream, connection int, b *rousev1.Batch) error

	mu          sync.Mutex
	connections int
	batches     []int // sizes, as received
	seqs        []uint64
	beats       []time.Time
	hellos      []*rousev1.NodeRef
	log         []string // ids in the order of application
	repeats     int
}

func (e *engine) Ingest(s serverStream) error {
	md, _ := metadata.FromIncomingContext(s.Context())
	if got := md.Get("authorization"); !slices.Equal(got, []string{"Bearer key-1"}) {
		return status.Error(codes.Unauthenticated, "unknown API key")
	}
	first, err := s.Recv()
	if err != nil {
		return err
	}
	e.mu.Lock()
	e.connections++
	connection := e.connections
	e.hellos = append(e.hellos, first.GetHello().GetNode())
	e.mu.Unlock()
	welcome := &rousev1.Welcome{Window: e.window, Lease: durationpb.New(e.lease)}
	if err := s.Send(&rousev1.IngestResponse{Kind: &rousev1.IngestResponse_Welcome{Welcome: welcome}}); err != nil {
		return err
	}
	for {
		r, err := s.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		b := r.GetBatch()
		e.mu.Lock()
		if b == nil {
			e.beats = append(e.beats, time.Now())
			e.mu.Unlock()
			continue
		}
		e.batches = append(e.batches, len(b.GetEvents()))
		e.seqs = append(e.seqs, b.GetSeq())
		e.mu.Unlock()
		if e.onBatch != nil {
			err = e.onBatch(s, connection, b)
		} else {
			err = answerWith(s, b, e.apply(b))
		}
		if err != nil {
			return err
		}
	}
}

// apply accepts every event, or knows it as a repeat.
func (e *engine) apply(b *rousev1.Batch) []*rousev1.ItemResult {
	e.mu.Lock()
	defer e.mu.Unlock()
	var items []*rousev1.ItemResult
	for _, ev := range b.GetEvents() {
		st := rousev1.ItemStatus_ITEM_STATUS_ACCEPTED
		if id := eventID(ev); slices.Contains(e.log, id) {
			st = rousev1.ItemStatus_ITEM_STATUS_DUPLICATE
			e.repeats++
		} else {
			e.log = append(e.log, id)
		}
		items = append(items, &rousev1.ItemResult{Status: st})
	}
	return items
}

func answerWith(s serverStream, b *rousev1.Batch, items []*rousev1.ItemResult) error {
	return s.Send(&rousev1.IngestResponse{Kind: &rousev1.IngestResponse_Result{
		Result: &rousev1.BatchResult{Seq: b.GetSeq(), Items: items},
	}})
}

func overloaded() *rousev1.ItemResult {
	return &rousev1.ItemResult{Status: rousev1.ItemStatus_ITEM_STATUS_REFUSED, Error: &rousev1.Error{
		Code: rousev1.ErrorCode_ERROR_CODE_OVERLOADED, Message: "mailbox full", Temporary: true,
	}}
}

// serve starts e on a network in memory and returns the way to it. All ends with the test.
func serve(t *testing.T, e *engine) Options {
	t.Helper()
	if e.window == 0 {
		e.window = 4
	}
	if e.lease == 0 {
		e.lease = 30 * time.Second
	}
	l := bufconn.Listen(1 << 20)
	s := grpc.NewServer()
	rousev1.RegisterIntakeServiceServer(s, e)
	ended := make(chan struct{})
	go func() { defer close(ended); _ = s.Serve(l) }()
	t.Cleanup(func() { s.Stop(); <-ended })
	return Options{
		Target: "127.0.0.1:7701", APIKey: "key-1", Node: "im-1", Incarnation: 7,
		dial: func(ctx context.Context, _ string) (net.Conn, error) { return l.DialContext(ctx) },
	}
}

// dial connects and closes with the test.
func dial(t *testing.T, o Options) *Client {
	t.Helper()
	c, err := Dial(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = c.Close(ctx) // after a test that closed: again
	})
	return c
}

func message(user string, n int) *rousev1.Event {
	return &rousev1.Event{Kind: &rousev1.Event_Message{Message: &rousev1.MessageEvent{
		MessageId: fmt.Sprint(n), Recipients: []string{user},
	}}}
}

func eventID(ev *rousev1.Event) string {
	m := ev.GetMessage()
	return m.GetRecipients()[0] + "/" + m.GetMessageId()
}

// verdicts counts results by status.
type verdicts struct {
	mu  sync.Mutex
	got map[rousev1.ItemStatus]int
	all sync.WaitGroup
}

// send hands the event over and counts its verdict.
func (v *verdicts) send(t *testing.T, c *Client, ev *rousev1.Event) {
	t.Helper()
	v.all.Add(1)
	err := c.Send(t.Context(), ev, func(r *rousev1.ItemResult) {
		v.mu.Lock()
		defer v.mu.Unlock()
		if v.got == nil {
			v.got = map[rousev1.ItemStatus]int{}
		}
		v.got[r.GetStatus()]++
		v.all.Done()
	})
	if err != nil {
		t.Fatal(err)
	}
}
