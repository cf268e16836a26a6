package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/simulations/trace"
)

type recordVerb struct {
	Out    string `arg:"" help:"The trace to write (JSONL)." type:"path" placeholder:"FILE"`
	Listen string `help:"Loopback address at which IM nodes send their events. Port 0: a free one." default:"127.0.0.1:7731" placeholder:"ADDRESS"`
	To     string `help:"gRPC address of the server that gets them." default:"127.0.0.1:7701" placeholder:"ADDRESS"`
	CA     string `help:"Trusted roots (PEM) of a server with TLS; without it the connection is plain, which only a loopback address may be." type:"existingfile" placeholder:"FILE"`
	Names  bool   `help:"Keep the ids of users, devices, groups, messages and IM nodes. Without it each is replaced by a hash whose key is thrown away."`
	Texts  bool   `help:"Keep what messages say."`
}

// Help says what is recorded.
func (*recordVerb) Help() string {
	return `Passes the event streams of IM nodes on to a server, with their keys, and writes down what they send. rouse sim --trace plays it again. IM nodes are pointed at --listen instead of the server; they go on as ever when the recorder is taken away and their addresses are set back.

Keys are never written, nor are contents, templates and vendor options of messages. Tokens are registered by calls that do not pass here: each phone gets a made-up one at its first session.

Examples:

    rouse record day.jsonl
    rouse sim --trace day.jsonl --speed 10 --out again`
}

// maxRecordedMessage is what a server takes at most, by default, in bytes.
const maxRecordedMessage = 64 << 20

// Run passes on until it is interrupted.
func (v *recordVerb) Run(c *call) (err error) {
	host, _, err := net.SplitHostPort(v.Listen)
	if ip := net.ParseIP(host); err != nil || ip == nil || !ip.IsLoopback() {
		return fmt.Errorf("--listen: %q is no loopback address; keys pass here in the clear", v.Listen)
	}
	up, err := v.dial()
	if err != nil {
		return err
	}
	defer func() { _ = up.Close() }()
	file, err := os.OpenFile(v.Out, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	start := time.Now()
	w, err := trace.NewWriter(file, trace.Header{Commit: version(), Start: start, Note: "recorded by rouse record"})
	if err != nil {
		return err
	}
	r := trace.NewRecorder(w, start, trace.RecorderOptions{Names: v.Names, Texts: v.Texts})
	l, err := net.Listen("tcp", v.Listen)
	if err != nil {
		return err
	}
	s := grpc.NewServer(grpc.MaxRecvMsgSize(maxRecordedMessage))
	rousev1.RegisterIntakeServiceServer(s, &recordingIntake{up: rousev1.NewIntakeServiceClient(up), r: r})
	context.AfterFunc(c.ctx, s.Stop)
	if err := c.say("IM nodes send to %s; what they send goes to %s and %s. Stop with Ctrl-C.", l.Addr(), v.To, filepath.Base(v.Out)); err != nil {
		return err
	}
	if err := s.Serve(l); err != nil && c.ctx.Err() == nil {
		return err
	}
	text := r.String()
	if _, err := r.Close(); err != nil {
		return err
	}
	return c.say("%s in %s", text, v.Out)
}

func (v *recordVerb) dial() (*grpc.ClientConn, error) {
	host, _, err := net.SplitHostPort(v.To)
	if err != nil {
		return nil, fmt.Errorf("--to: %w", err)
	}
	secure := insecure.NewCredentials()
	if v.CA != "" {
		pem, err := os.ReadFile(v.CA)
		if err != nil {
			return nil, err
		}
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("--ca: no certificate in %s", v.CA)
		}
		secure = credentials.NewTLS(&tls.Config{RootCAs: roots, ServerName: host, MinVersion: tls.VersionTLS12})
	} else if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return nil, fmt.Errorf("--to: %s is another machine; name its roots with --ca, keys must not travel in the clear", v.To)
	}
	return grpc.NewClient(v.To, grpc.WithTransportCredentials(secure), grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxRecordedMessage)))
}

// recordingIntake passes everything on and takes notes.
type recordingIntake struct {
	rousev1.UnimplementedIntakeServiceServer
	up rousev1.IntakeServiceClient
	r  *trace.Recorder
}

// onward carries the caller's key to the server.
func onward(ctx context.Context) context.Context {
	out := metadata.MD{}
	if in, ok := metadata.FromIncomingContext(ctx); ok {
		for _, name := range []string{"authorization", "rouse-app"} {
			out.Append(name, in.Get(name)...)
		}
	}
	return metadata.NewOutgoingContext(ctx, out)
}

// IngestBatch passes a call on.
func (p *recordingIntake) IngestBatch(ctx context.Context, m *rousev1.IngestBatchRequest) (*rousev1.IngestBatchResponse, error) {
	for _, e := range m.GetEvents() {
		p.r.Take(m.GetNode().GetName(), m.GetNode().GetIncarnation(), e, time.Now())
	}
	return p.up.IngestBatch(onward(ctx), m)
}

// Ingest passes a stream on, in both directions, until either side ends it.
func (p *recordingIntake) Ingest(down grpc.BidiStreamingServer[rousev1.IngestRequest, rousev1.IngestResponse]) error {
	ctx, cancel := context.WithCancel(down.Context())
	defer cancel()
	up, err := p.up.Ingest(onward(ctx))
	if err != nil {
		return err
	}
	go p.requests(down, up, cancel)
	for {
		m, err := up.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := down.Send(m); err != nil {
			return err
		}
	}
}

func (p *recordingIntake) requests(down grpc.BidiStreamingServer[rousev1.IngestRequest, rousev1.IngestResponse], up grpc.BidiStreamingClient[rousev1.IngestRequest, rousev1.IngestResponse], cancel context.CancelFunc) {
	var node *rousev1.NodeRef
	for {
		m, err := down.Recv()
		if errors.Is(err, io.EOF) {
			_ = up.CloseSend() // its answers still come
			return
		}
		if err != nil {
			cancel()
			return
		}
		if h := m.GetHello(); h != nil {
			node = h.GetNode()
		}
		for _, e := range m.GetBatch().GetEvents() {
			p.r.Take(node.GetName(), node.GetIncarnation(), e, time.Now())
		}
		if err := up.Send(m); err != nil {
			return // the stream's end says why
		}
	}
}
