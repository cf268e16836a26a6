package fake

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// BenchmarkAPNs drives one connection with hand-made frames, 500 pushes at a
// time, so that the client costs little beside the fake.
func BenchmarkAPNs(b *testing.B) {
	for name, light := range map[string]bool{"light": true, "full": false} {
		b.Run(name, func(b *testing.B) {
			ca, err := NewCA()
			if err != nil {
				b.Fatal(err)
			}
			cert, err := ca.Server("127.0.0.1")
			if err != nil {
				b.Fatal(err)
			}
			client, _, err := ca.Client(testTopic)
			if err != nil {
				b.Fatal(err)
			}
			a := NewAPNs(APNsOptions{Cert: cert, ClientCAs: ca.Pool(), Light: light, AnyDevice: true})
			l, err := Listen("127.0.0.1:0")
			if err != nil {
				b.Fatal(err)
			}
			go func() { _ = a.Serve(l) }()
			defer a.Close()
			conn, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{
				RootCAs: ca.Pool(), Certificates: []tls.Certificate{client}, NextProtos: []string{"h2"}, MinVersion: tls.VersionTLS12,
			})
			if err != nil {
				b.Fatal(err)
			}
			defer conn.Close()
			blast(b, conn)
			if got := a.Stats().Accepted; got != int64(b.N) {
				b.Errorf("%d accepted, want %d: %v", got, b.N, a.Stats().Reasons)
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "pushes/s")
		})
	}
}

func blast(b *testing.B, conn *tls.Conn) {
	var header, out bytes.Buffer
	encoder := hpack.NewEncoder(&header)
	framer := http2.NewFramer(&out, bufio.NewReaderSize(conn, 64<<10))
	framer.SetReuseFrames()
	out.WriteString(http2.ClientPreface)
	_ = framer.WriteSettings()
	b.ReportAllocs()
	b.ResetTimer()
	for id, sent := uint32(1), 0; sent < b.N; {
		batch := min(500, b.N-sent)
		for range batch {
			header.Reset()
			for _, f := range [][2]string{
				{":method", "POST"},
				{":scheme", "https"},
				{":path", "/3/device/" + testToken},
				{":authority", "fake"},
				{"apns-topic", testTopic},
				{"apns-push-type", "alert"},
				{"apns-id", testID},
			} {
				_ = encoder.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
			}
			_ = framer.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: header.Bytes(), EndHeaders: true})
			_ = framer.WriteData(id, true, []byte(goodBody))
			id += 2
		}
		if _, err := conn.Write(out.Bytes()); err != nil {
			b.Fatal(err)
		}
		out.Reset()
		for answered := 0; answered < batch; {
			frame, err := framer.ReadFrame()
			if err != nil {
				b.Fatal(err)
			}
			if h, ok := frame.(*http2.HeadersFrame); ok && h.StreamEnded() {
				answered++
			}
		}
		sent += batch
	}
}
