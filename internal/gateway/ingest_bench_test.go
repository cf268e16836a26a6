package gateway

import (
	"fmt"
	"testing"

	"google.golang.org/grpc"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

// BenchmarkIngest sends batches over one stream on loopback to a router that
// accepts at once. Client and server share the machine. events/s counts events
// answered.
func BenchmarkIngest(b *testing.B) {
	for _, kind := range []struct {
		name  string
		event func(i int) *rousev1.Event
	}{
		{"presence", func(i int) *rousev1.Event { return presence(fmt.Sprint("user-", i)) }},
		{"message", func(i int) *rousev1.Event { return message(fmt.Sprint("message-", i), fmt.Sprint("user-", i)) }},
	} {
		for _, size := range []int{1, 64, 512} {
			b.Run(fmt.Sprintf("%s/batch=%d", kind.name, size), func(b *testing.B) { benchIngest(b, size, kind.event) })
		}
	}
}

func benchIngest(b *testing.B, size int, event func(int) *rousev1.Event) {
	w := newWorld(b, func(o *Options) { o.CallsPerSecond, o.Burst = 1e9, 1e9 })
	w.Router = accept
	stream := w.welcomed(w.intakeKey(), im1)
	var events []*rousev1.Event
	for i := range size {
		events = append(events, event(i))
	}
	request := &grpc.PreparedMsg{}
	if err := request.Encode(stream, &rousev1.IngestRequest{Kind: &rousev1.IngestRequest_Batch{Batch: &rousev1.Batch{Events: events}}}); err != nil {
		b.Fatal(err)
	}
	slots := make(chan struct{}, window)
	ended := make(chan error, 1)
	b.ReportAllocs()
	b.ResetTimer()
	go func() {
		for range b.N {
			if _, err := stream.Recv(); err != nil {
				ended <- err
				return
			}
			<-slots
		}
		ended <- nil
	}()
	for range b.N {
		slots <- struct{}{}
		if err := stream.SendMsg(request); err != nil {
			b.Fatal(err)
		}
	}
	if err := <-ended; err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(b.N*size)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*size), "ns/event")
}

func BenchmarkCheckEvent(b *testing.B) {
	w := newWorld(b)
	for name, e := range map[string]*rousev1.Event{"presence": presence("user-1"), "message": message("message-1", "user-1")} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if w.check(e) != nil {
					b.Fatal("refused")
				}
			}
		})
	}
}
