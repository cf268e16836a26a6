package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/durationpb"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/client"
)

// engine accepts everything and keeps the keys.
type engine struct {
	rousev1.UnimplementedIntakeServiceServer
	mu   sync.Mutex
	keys []string
}

func (e *engine) Ingest(s grpc.BidiStreamingServer[rousev1.IngestRequest, rousev1.IngestResponse]) error {
	md, _ := metadata.FromIncomingContext(s.Context())
	e.mu.Lock()
	e.keys = append(e.keys, md.Get("authorization")...)
	e.mu.Unlock()
	for {
		m, err := s.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		switch k := m.GetKind().(type) {
		case *rousev1.IngestRequest_Hello:
			err = s.Send(&rousev1.IngestResponse{Kind: &rousev1.IngestResponse_Welcome{Welcome: &rousev1.Welcome{Window: 8, Lease: durationpb.New(15e9)}}})
		case *rousev1.IngestRequest_Batch:
			r := &rousev1.BatchResult{Seq: k.Batch.GetSeq()}
			for range k.Batch.GetEvents() {
				r.Items = append(r.Items, &rousev1.ItemResult{Status: rousev1.ItemStatus_ITEM_STATUS_ACCEPTED})
			}
			err = s.Send(&rousev1.IngestResponse{Kind: &rousev1.IngestResponse_Result{Result: r}})
		}
		if err != nil {
			return err
		}
	}
}

// lineWriter hands over the first line.
type lineWriter struct {
	mu    sync.Mutex
	text  bytes.Buffer
	first chan string
}

func (w *lineWriter) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.text.Len() == 0 {
		w.first <- string(b)
	}
	return w.text.Write(b)
}

func TestRecordPassesOn(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	e, s := &engine{}, grpc.NewServer()
	rousev1.RegisterIntakeServiceServer(s, e)
	go func() { _ = s.Serve(l) }()
	t.Cleanup(s.Stop)
	out, ctx := &lineWriter{first: make(chan string, 1)}, t.Context()
	running, stop := context.WithCancel(ctx)
	file := filepath.Join(t.TempDir(), "day.jsonl")
	code := make(chan int, 1)
	go func() {
		code <- run(running, []string{"record", file, "--listen", "127.0.0.1:0", "--to", l.Addr().String()}, nil, out, out)
	}()
	address := strings.Fields(<-out.first)[4]
	c, err := client.Dial(ctx, client.Options{Target: strings.TrimSuffix(address, ";"), APIKey: "rk_canary", Node: "im-1", Incarnation: 3})
	if err != nil {
		t.Fatal(err)
	}
	r, err := c.SendWait(ctx, &rousev1.Event{Kind: &rousev1.Event_Presence{Presence: &rousev1.PresenceEvent{
		UserId: "ann", DeviceId: "phone", State: rousev1.SessionState_SESSION_STATE_CONNECTED, Session: 1, Device: &rousev1.DeviceInfo{Platform: rousev1.Platform_PLATFORM_IOS},
	}}})
	if err != nil || r.GetStatus() != rousev1.ItemStatus_ITEM_STATUS_ACCEPTED {
		t.Fatalf("%v, %v", r, err)
	}
	if err := c.Close(ctx); err != nil {
		t.Fatal(err)
	}
	stop()
	if got := <-code; got != 0 {
		t.Fatalf("code %d: %s", got, out.text.String())
	}
	text, err := os.ReadFile(file)
	if err != nil || strings.Count(string(text), "\n") != 4 || strings.Contains(string(text), "ann") || strings.Contains(string(text), "canary") {
		t.Errorf("%s, %v", text, err)
	}
	if len(e.keys) != 1 || e.keys[0] != "Bearer rk_canary" {
		t.Errorf("the server saw the keys %v", e.keys)
	}
}

func TestRecordRefuses(t *testing.T) {
	for _, test := range []struct {
		name, want string
		args       []string
	}{
		{"open to others", "no loopback address", []string{"--listen", "0.0.0.0:7731"}},
		{"in the clear", "another machine", []string{"--to", "10.0.0.1:7701"}},
	} {
		var out bytes.Buffer
		args := append([]string{"record", filepath.Join(t.TempDir(), "x.jsonl")}, test.args...)
		if code := run(t.Context(), args, nil, &out, &out); code != 1 || !strings.Contains(out.String(), test.want) {
			t.Errorf("%s: code %d, %s", test.name, code, out.String())
		}
	}
}
