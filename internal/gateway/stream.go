package gateway

import (
	"context"
	"errors"
	"io"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/rouse-im/rouse/actors"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

// window is how many batches of a stream may be unanswered. A stream that has
// as many is not read until one is answered.
const window = 32

// maxEngines bounds the addresses of a welcome.
const maxEngines = 64

// transport is a stream of gRPC or of Connect. Recv and Send may be called from
// two goroutines; Recv fails once the handler has returned.
type transport interface {
	Recv() (*rousev1.IngestRequest, error)
	Send(*rousev1.IngestResponse) error
}

// ingestion is one Ingest stream. One goroutine reads and submits; the
// handler's own sends what is finished.
type ingestion struct {
	*Gateway
	transport
	who  caller
	app  string
	node actors.Node
	// slots holds one entry for each unanswered batch.
	slots chan struct{}
	// finished has room for all unanswered batches, so that an actor's turn
	// never waits for a slow reader.
	finished chan *batch
	// response is used again for each answer.
	response rousev1.IngestResponse_Result
}

// ingest serves a stream until the IM node or the server ends it.
func (g *Gateway) ingest(ctx context.Context, t transport) error {
	s := &ingestion{Gateway: g, transport: t, who: callerOf(ctx), slots: make(chan struct{}, window), finished: make(chan *batch, window)}
	s.response.Result = &rousev1.BatchResult{}
	if err := s.hello(); err != nil {
		return err
	}
	g.metrics.streams.Inc()
	defer g.metrics.streams.Dec()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	read := make(chan error, 1)
	go func() { read <- s.read(ctx) }()
	return s.answer(read)
}

func (s *ingestion) hello() (err error) {
	if s.app, err = s.who.scope(""); err != nil {
		return err
	}
	first, err := s.receive()
	if err != nil {
		return err
	}
	hello := first.GetHello()
	if hello == nil {
		return refuse(rousev1.ErrorCode_ERROR_CODE_PROTOCOL, "the first message of an Ingest stream must be a hello")
	}
	if err := s.check(first); err != nil {
		return &refusal{err}
	}
	if s.node, err = s.grant(s.app, hello.GetNode(), time.Now()); err != nil {
		return err
	}
	welcome := &rousev1.Welcome{Window: window, Lease: durationpb.New(s.Leases.TTL())}
	if s.Engines != nil {
		welcome.Engines = s.Engines()
		welcome.Engines = welcome.Engines[:min(len(welcome.Engines), maxEngines)]
	}
	return s.Send(&rousev1.IngestResponse{Kind: &rousev1.IngestResponse_Welcome{Welcome: welcome}})
}

// receive reads one message; the text of a fault of decoding is not passed on.
func (s *ingestion) receive() (*rousev1.IngestRequest, error) {
	m, err := s.Recv()
	if err == nil || errors.Is(err, io.EOF) {
		return m, err
	}
	return nil, unreadable(err)
}

// read submits batches until the IM node closes its side (nil) or a fault ends
// the stream.
func (s *ingestion) read(ctx context.Context) error {
	for {
		m, err := s.receive()
		now := time.Now()
		if errors.Is(err, io.EOF) {
			s.Leases.Renew(s.app, s.node, now)
			return nil
		}
		if err == nil {
			err = s.alive(now)
		}
		if err != nil {
			return err
		}
		switch kind := m.GetKind().(type) {
		case *rousev1.IngestRequest_Batch:
			select {
			case s.slots <- struct{}{}:
			case <-s.draining:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
			if err := s.take(kind.Batch, now); err != nil {
				return err
			}
		case *rousev1.IngestRequest_Heartbeat:
		default:
			return refuse(rousev1.ErrorCode_ERROR_CODE_PROTOCOL, "after the hello only batches and heartbeats may follow")
		}
	}
}

// alive takes a message as a sign of life, if its sender may still speak.
func (s *ingestion) alive(now time.Time) error {
	if !s.Catalog.Active(s.who.KeyID) {
		return refuse(rousev1.ErrorCode_ERROR_CODE_UNAUTHENTICATED, "the API key was revoked; open the stream with another one")
	}
	if s.Leases.Renew(s.app, s.node, now) {
		return nil
	}
	return s.Leases.Grant(s.app, s.node, now)
}

// take submits one batch; its result comes through finished.
func (s *ingestion) take(m *rousev1.Batch, now time.Time) error {
	if err := checkLength(m.GetEvents()); err != nil {
		return err
	}
	b := &batch{seq: m.GetSeq(), finished: func(b *batch) { s.finished <- b }}
	if s.rates.allow(s.who.KeyID, now) {
		s.submit(b, s.app, s.node, m.GetEvents(), now)
		return nil
	}
	b.events = make([]verdict, len(m.GetEvents()))
	for i := range b.events {
		b.events[i].refused = s.rates.refusal
	}
	s.finished <- b
	return nil
}

// answer sends results until the stream has ended and nothing is unanswered.
func (s *ingestion) answer(read <-chan error) error {
	draining := s.draining
	ended := error(nil)
	for read != nil || len(s.slots) > 0 {
		select {
		case b := <-s.finished:
			if err := s.send(b); err != nil {
				return err
			}
			<-s.slots
		case err := <-read:
			if err != nil {
				return err
			}
			read = nil
		case <-draining:
			// The reader may be waiting for a message that never comes; what it
			// takes in after this moment is not answered, so it is sent again.
			ended = refuse(rousev1.ErrorCode_ERROR_CODE_UNAVAILABLE, "the server is shutting down; connect again and send unanswered batches again")
			draining, read = nil, nil
		}
	}
	return ended
}

func (s *ingestion) send(b *batch) error {
	result := s.response.Result
	result.Seq = b.seq
	result.Items = s.results(result.Items[:0], b)
	return s.Send(&rousev1.IngestResponse{Kind: &s.response})
}
