package client

import (
	"context"
	"net"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/test/bufconn"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

// BenchmarkSend counts events per second through one client, to an engine that
// accepts everything at once; both ends run in this process.
func BenchmarkSend(b *testing.B) {
	result := &rousev1.ItemResult{Status: accepted}
	e := &engine{window: 32}
	e.onBatch = func(s serverStream, _ int, batch *rousev1.Batch) error {
		items := make([]*rousev1.ItemResult, len(batch.GetEvents()))
		for i := range items {
			items[i] = result
		}
		return answerWith(s, batch, items)
	}
	l := bufconn.Listen(1 << 20)
	server := grpc.NewServer()
	rousev1.RegisterIntakeServiceServer(server, e)
	go func() { _ = server.Serve(l) }()
	defer server.Stop()
	c, err := Dial(b.Context(), Options{
		Target: "127.0.0.1:7701", APIKey: "key-1", Node: "im-1",
		dial: func(ctx context.Context, _ string) (net.Conn, error) { return l.DialContext(ctx) },
	})
	if err != nil {
		b.Fatal(err)
	}
	ev := message("user-1", 1)
	ev.GetMessage().Content = &rousev1.Content{Title: "Bob", Body: "Are you there?"}
	var answered atomic.Int64
	done := func(*rousev1.ItemResult) { answered.Add(1) }
	b.ReportAllocs()
	n := int64(0)
	for b.Loop() {
		if err := c.Send(b.Context(), ev, done); err != nil {
			b.Fatal(err)
		}
		n++
	}
	if err := c.Close(b.Context()); err != nil || answered.Load() != n {
		b.Fatalf("%d of %d events answered: %v", answered.Load(), n, err)
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(float64(n)/float64(len(e.batches)), "events/batch")
}
