package transport

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	protoremote "github.com/asynkron/protoactor-go/remote"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/protobuf/proto"

	actorv1 "github.com/rouse-im/rouse/api/rouse/actor/v1"
	"github.com/rouse-im/rouse/cluster/certs"
)

// process is a node.
type process struct {
	t       *testing.T
	cmd     *exec.Cmd
	in      io.WriteCloser
	lines   chan string
	address string
}

// spawn starts a node from a directory of certificates; name "" = an IM node's.
func spawn(t *testing.T, program, dir, name, listen string) *process {
	t.Helper()
	p := &process{t: t, cmd: exec.CommandContext(t.Context(), program), lines: make(chan string, 10000)}
	p.cmd.Env = append(os.Environ(), "TRANSPORT_DIR="+dir, "TRANSPORT_NAME="+name, "TRANSPORT_LISTEN="+listen)
	p.cmd.Stderr = os.Stderr
	if !testing.Verbose() {
		p.cmd.Stderr = nil
	}
	out, err := p.cmd.StdoutPipe()
	if err == nil {
		p.in, err = p.cmd.StdinPipe()
	}
	if err == nil {
		err = p.cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		defer close(p.lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			p.lines <- s.Text()
		}
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-read
		_ = p.cmd.Wait()
	})
	p.address = strings.TrimPrefix(p.hear("ready "), "ready ")
	return p
}

func (p *process) tell(words ...string) {
	p.t.Helper()
	if _, err := io.WriteString(p.in, strings.Join(words, " ")+"\n"); err != nil {
		p.t.Fatal(err)
	}
}

// hear answers the next line that begins so. Nothing that an actor must not get
// may come before it.
func (p *process) hear(prefix string) string {
	p.t.Helper()
	limit := time.After(30 * time.Second)
	for {
		select {
		case l, ok := <-p.lines:
			switch {
			case !ok:
				p.t.Fatalf("the process ended; waiting for %q", prefix)
			case strings.HasPrefix(l, prefix):
				return l
			case strings.HasPrefix(l, "reached"), strings.HasPrefix(l, "stopped"), strings.HasPrefix(l, "failed"), strings.HasPrefix(l, "got secret"):
				p.t.Errorf("waiting for %q: %s", prefix, l)
			}
		case <-limit:
			p.t.Fatalf("waiting for %q in vain", prefix)
		}
	}
}

// stat reads metrics; the keys are name and label.
func (p *process) stat() map[string]string {
	p.t.Helper()
	p.tell("stats")
	m := map[string]string{}
	for {
		l := p.hear("")
		if l == "end" {
			return m
		}
		if f := strings.Split(l, " "); f[0] == "stat" {
			m[strings.TrimSpace(f[1]+" "+f[2])] = f[3]
		}
	}
}

// secrets is a cluster with nodes and an IM node.
type secrets struct{ dir, im, foreign string }

func newSecrets(t *testing.T) secrets {
	t.Helper()
	s := secrets{t.TempDir(), t.TempDir(), t.TempDir()}
	if err := errors.Join(certs.Found(s.dir, "a", nil), certs.Found(s.dir, "b", nil), certs.Found(s.dir, "c", nil),
		certs.IssueIMNode(s.dir, "chat", "im-1", nil, s.im), certs.Found(s.foreign, "c", nil)); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s secrets) node(t *testing.T, dir, name string) *certs.Identity {
	t.Helper()
	id, err := certs.Load(dir, name)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func (s secrets) guest(t *testing.T) *certs.Identity {
	t.Helper()
	id, err := certs.LoadIMNode(s.im)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// caller speaks to a node's port as anyone can who knows the protocol.
type caller struct {
	t    *testing.T
	conn *grpc.ClientConn
}

func call(t *testing.T, address string, creds credentials.TransportCredentials) caller {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(creds))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return caller{t, conn}
}

func as(id *certs.Identity) credentials.TransportCredentials { return credentials.NewTLS(id.TLS(nil)) }

// send opens a stream, says that it is at an address, and sends messages. It
// answers how the node ended the stream, when it has read all of it.
func (c caller) send(at string, ms ...*protoremote.RemoteMessage) error {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), 20*time.Second)
	defer cancel()
	stream, err := protoremote.NewRemotingClient(c.conn).Receive(ctx)
	if err != nil {
		return err
	}
	for _, m := range append([]*protoremote.RemoteMessage{hi(at)}, ms...) {
		if err := stream.Send(m); err != nil {
			break // Recv tells why
		}
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	for {
		if _, err := stream.Recv(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

func hi(at string) *protoremote.RemoteMessage {
	return &protoremote.RemoteMessage{MessageType: &protoremote.RemoteMessage_ConnectRequest{ConnectRequest: &protoremote.ConnectRequest{
		ConnectionType: &protoremote.ConnectRequest_ServerConnection{ServerConnection: &protoremote.ServerConnection{SystemId: "x", Address: at}},
	}}}
}

// letter is a batch of one message.
type letter struct {
	kind, address, target string
	body                  []byte
	sender                *actor.PID
	change                func(*protoremote.MessageBatch)
}

func (l letter) pack() *protoremote.RemoteMessage {
	b := &protoremote.MessageBatch{
		TypeNames: []string{l.kind}, Targets: []*actor.PID{{Address: l.address, Id: l.target}},
		Envelopes: []*protoremote.MessageEnvelope{{MessageData: l.body}},
	}
	if l.sender != nil {
		b.Senders = []*actor.PID{l.sender}
		b.Envelopes[0].Sender = 1
	}
	if l.change != nil {
		l.change(b)
	}
	return &protoremote.RemoteMessage{MessageType: &protoremote.RemoteMessage_MessageBatch{MessageBatch: b}}
}

func encode(t *testing.T, m proto.Message) []byte {
	t.Helper()
	b, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func ask(t *testing.T, app, user string) []byte {
	t.Helper()
	return encode(t, &actorv1.Ask{App: app, User: user, Body: &actorv1.Ask_Command{Command: &actorv1.Command{Type: "x"}}})
}
