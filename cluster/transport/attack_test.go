package transport

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	protoremote "github.com/asynkron/protoactor-go/remote"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	actorv1 "github.com/rouse-im/rouse/api/rouse/actor/v1"
	"github.com/rouse-im/rouse/cluster/certs"
)

// A node with a valid certificate that is damaged or taken over must neither end
// this process nor reach what is not for it. Without the guard, most of these end
// the process.
func TestAttacksOfANode(t *testing.T) {
	s := newSecrets(t)
	v := spawn(t, testProgram(t), s.dir, "a", "127.0.0.1:0")
	c := call(t, v.address, as(s.node(t, s.dir, "b")))
	good := letter{kind: askType, address: v.address, target: "shard-1", body: ask(t, "chat", "ann")}
	with := func(change func(*letter)) *protoremote.RemoteMessage {
		l := good
		change(&l)
		return l.pack()
	}
	envelope := func(change func(*protoremote.MessageEnvelope)) *protoremote.RemoteMessage {
		return with(func(l *letter) { l.change = func(b *protoremote.MessageBatch) { change(b.Envelopes[0]) } })
	}
	watcher := &actor.PID{Address: "127.0.0.1:1", Id: "w"}
	for i, a := range []struct {
		name string
		m    *protoremote.RemoteMessage
		want string // counter that rises
	}{
		{"a type of nobody", with(func(l *letter) { l.kind = "rouse.actor.v1.Nobody" }), "dropped type"},
		{"a type that is known but not allowed", with(func(l *letter) { l.kind = "google.protobuf.Empty" }), "dropped type"},
		{"type index beyond", envelope(func(e *protoremote.MessageEnvelope) { e.TypeId = 1 }), "dropped index"},
		{"type index negative", envelope(func(e *protoremote.MessageEnvelope) { e.TypeId = -1 }), "dropped index"},
		{"serializer beyond", envelope(func(e *protoremote.MessageEnvelope) { e.SerializerId = 9 }), "dropped serializer"},
		{"JSON", envelope(func(e *protoremote.MessageEnvelope) { e.SerializerId = 1 }), "dropped serializer"},
		{"target index beyond", envelope(func(e *protoremote.MessageEnvelope) { e.Target = 1 }), "dropped index"},
		{"target index negative", envelope(func(e *protoremote.MessageEnvelope) { e.Target = -1 }), "dropped index"},
		{"sender index beyond", envelope(func(e *protoremote.MessageEnvelope) { e.Sender = 2 }), "dropped index"},
		{"sender index negative", envelope(func(e *protoremote.MessageEnvelope) { e.Sender = -1 }), "dropped index"},
		{"no tables", with(func(l *letter) {
			l.change = func(b *protoremote.MessageBatch) { b.TypeNames, b.Targets = nil, nil }
		}), "dropped index"},
		{"empty Terminated", with(func(l *letter) { l.kind, l.body = "actor.Terminated", nil }), "dropped type"},
		{"Watch of nobody", with(func(l *letter) { l.kind, l.body = "actor.Watch", nil }), "dropped type"},
		{"Watch", with(func(l *letter) { l.kind, l.body = "actor.Watch", encode(t, &actor.Watch{Watcher: watcher}) }), "dropped type"},
		{"Stop", with(func(l *letter) { l.kind, l.body = "actor.Stop", nil }), "dropped type"},
		{"PoisonPill", with(func(l *letter) { l.kind, l.body = "actor.PoisonPill", nil }), "dropped type"},
		{"another actor", with(func(l *letter) { l.target = "secret" }), "dropped target"},
		{"the event stream", with(func(l *letter) { l.target = "eventstream" }), "dropped target"},
		{"the activator", with(func(l *letter) { l.target = "activator" }), "dropped target"},
		{"a relay", with(func(l *letter) { l.address = "127.0.0.1:9" }), "dropped address"},
		{"a relay to the local name", with(func(l *letter) { l.address = "nonhost" }), "dropped address"},
		{"bytes that are no message", with(func(l *letter) { l.body = []byte{0xff, 0xff} }), ""},
		{"not a batch", &protoremote.RemoteMessage{MessageType: &protoremote.RemoteMessage_DisconnectRequest{DisconnectRequest: &protoremote.DisconnectRequest{}}}, "dropped form"},
		{"nothing", &protoremote.RemoteMessage{}, "dropped form"},
		{"a client", &protoremote.RemoteMessage{MessageType: &protoremote.RemoteMessage_ConnectRequest{ConnectRequest: &protoremote.ConnectRequest{}}}, "dropped form"},
	} {
		before := v.stat()[a.want]
		err := c.send("127.0.0.1:1", a.m)
		if (a.want == "") != (err != nil) {
			t.Errorf("%s: the stream ended with %v", a.name, err)
		}
		// What follows on the same and on another stream arrives.
		user := fmt.Sprint("after-", i)
		if err := c.send("127.0.0.1:1", a.m, with(func(l *letter) { l.body = ask(t, "chat", user) })); a.want != "" && err != nil {
			t.Errorf("%s: %v", a.name, err)
		}
		if a.want == "" {
			_ = c.send("127.0.0.1:1", with(func(l *letter) { l.body = ask(t, "chat", user) }))
		}
		v.hear("got shard-1 chat " + user)
		if after := v.stat()[a.want]; a.want != "" && after == before {
			t.Errorf("%s: %s is still %s", a.name, a.want, after)
		}
	}
	// The library declares these, and panics when they are called.
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	_, err := protoremote.NewRemotingClient(c.conn).ListProcesses(ctx, &protoremote.ListProcessesRequest{})
	if status.Code(err) != codes.Unimplemented {
		t.Errorf("ListProcesses: %v", err)
	}
	_, err = protoremote.NewRemotingClient(c.conn).GetProcessDiagnostics(ctx, &protoremote.GetProcessDiagnosticsRequest{})
	if status.Code(err) != codes.Unimplemented {
		t.Errorf("GetProcessDiagnostics: %v", err)
	}
	if err := c.send("127.0.0.1:1", good.pack()); err != nil {
		t.Error(err)
	}
	v.hear("got shard-1 chat ann")
}

func TestStrangersAreRefused(t *testing.T) {
	s := newSecrets(t)
	v := spawn(t, testProgram(t), s.dir, "a", "127.0.0.1:0")
	good := letter{kind: askType, address: v.address, target: "shard-1", body: ask(t, "chat", "intruder")}
	for name, creds := range map[string]credentials.TransportCredentials{
		"plaintext": insecure.NewCredentials(), "another CA": as(s.node(t, s.foreign, "c")),
	} {
		if err := call(t, v.address, creds).send("127.0.0.1:1", good.pack()); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if got := v.stat()["received"]; got != "0" {
		t.Errorf("%s messages got through", got)
	}
}

// An IM node sends commands of its own app to shards, and nothing else.
func TestIMNodeIsBoundToItsApp(t *testing.T) {
	s := newSecrets(t)
	v := spawn(t, testProgram(t), s.dir, "a", "127.0.0.1:0")
	const at = "127.0.0.1:1"
	me := &actor.PID{Address: at, Id: "future$1"}
	good := letter{kind: askType, address: v.address, target: "shard-1", body: ask(t, "chat", "ann"), sender: me}
	c := call(t, v.address, as(s.guest(t)))
	for _, a := range []struct {
		name   string
		change func(*letter)
		want   string
	}{
		{"another app", func(l *letter) { l.body = ask(t, "other", "ann") }, "dropped app"},
		{"no app", func(l *letter) { l.body = ask(t, "", "ann") }, "dropped app"},
		{"a node's errand", func(l *letter) {
			l.body = encode(t, &actorv1.Ask{App: "chat", User: "ann", Body: &actorv1.Ask_Released{Released: &actorv1.Released{}}})
		}, "dropped body"},
		{"a relay", func(l *letter) {
			l.body = encode(t, &actorv1.Ask{App: "chat", User: "ann", RelayMs: 1, Body: &actorv1.Ask_Command{Command: &actorv1.Command{Type: "x"}}})
		}, "dropped body"},
		{"no errand", func(l *letter) { l.body = encode(t, &actorv1.Ask{App: "chat"}) }, "dropped body"},
		{"no message", func(l *letter) { l.body = []byte{0xff} }, "dropped body"},
		{"a claim", func(l *letter) { l.kind, l.body = "rouse.actor.v1.Claim", nil }, "dropped type"},
		{"administration", func(l *letter) { l.kind, l.body = "rouse.actor.v1.MetaAsk", nil }, "dropped type"},
		{"an answer", func(l *letter) { l.kind, l.body, l.target = "rouse.actor.v1.Answer", nil, "future$1" }, "dropped type"},
		{"to a future", func(l *letter) { l.target = "future$1" }, "dropped target"},
		{"answers for another address", func(l *letter) { l.sender = &actor.PID{Address: "127.0.0.1:2", Id: "x"} }, "dropped sender"},
		{"nobody asks", func(l *letter) { l.sender = nil }, "dropped sender"},
	} {
		before := v.stat()[a.want]
		l := good
		a.change(&l)
		if err := c.send(at, l.pack()); err != nil {
			t.Errorf("%s: %v", a.name, err)
		}
		if after := v.stat()[a.want]; after == before {
			t.Errorf("%s: %s is still %q", a.name, a.want, after)
		}
	}
	if got := v.stat()["received"]; got != "0" {
		t.Errorf("%s messages got through", got)
	}
	// It cannot be answered at addresses of others.
	for _, address := range []string{"", v.address, "member:1"} {
		if err := c.send(address, good.pack()); status.Code(err) != codes.PermissionDenied {
			t.Errorf("at %q: %v", address, err)
		}
	}
	if err := c.send(at, good.pack(), hi("127.0.0.1:3"), good.pack()); status.Code(err) != codes.PermissionDenied {
		t.Errorf("at two addresses: %v", err)
	}
	v.hear("got shard-1 chat ann")
}

// The real thing: an IM node asks and is answered at its own address, for its
// own app only, and no one else gets its answers.
func TestIMNodeIsAnswered(t *testing.T) {
	s := newSecrets(t)
	v := spawn(t, testProgram(t), s.dir, "a", "127.0.0.1:0")
	im := spawn(t, testProgram(t), s.im, "", "127.0.0.1:0")
	im.tell("ask", v.address, "shard-1", "chat", "ann", "5s")
	im.hear("answered")
	im.tell("ask", v.address, "shard-1", "other", "ann", "300ms")
	im.hear("unanswered")
	im.tell("ask", v.address, "secret", "chat", "ann", "300ms")
	im.hear("unanswered")
	// Nodes are not asked by it what only nodes may be asked, and it is no node.
	n := spawn(t, testProgram(t), s.dir, "b", "127.0.0.1:0")
	n.tell("ask", im.address, "shard-1", "chat", "ann", "2s")
	n.hear("unanswered")
	if got := im.stat()["received"]; got != "1" {
		t.Errorf("the IM node has taken %s messages, not the one answer", got)
	}
}

// An IM node with a valid certificate cannot take the place of a node.
func TestNodesAreNotImpersonated(t *testing.T) {
	r := &Remote{}
	im := certs.Peer{App: "chat", IM: "im-1"}
	if err := r.expect("x:1", certs.Peer{Node: "b"}); err != nil {
		t.Error(err)
	}
	if err := r.expect("x:1", im); err == nil {
		t.Error("an IM node answers at any address")
	}
	if err := r.guests.enter("x:1", im); err != nil {
		t.Fatal(err)
	}
	if err := r.expect("x:1", im); err != nil {
		t.Error(err)
	}
	for _, p := range []certs.Peer{{App: "chat", IM: "im-2"}, {App: "other", IM: "im-1"}, {Node: "b"}} {
		if err := r.expect("x:1", p); err == nil || !strings.Contains(err.Error(), im.String()) {
			t.Errorf("%s at the address of %s: %v", p, im, err)
		}
	}
	r.guests.leave("x:1")
	if err := r.expect("x:1", im); err == nil {
		t.Error("the address is the IM node's after it left")
	}
}
