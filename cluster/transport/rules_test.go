package transport

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/asynkron/protoactor-go/actor"
	protoremote "github.com/asynkron/protoactor-go/remote"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/rouse-im/rouse/cluster/certs"
)

// A type that is let through must be one that this build can decode: the library
// panics otherwise.
func TestTypesAreRegistered(t *testing.T) {
	for name := range types {
		kind, err := protoregistry.GlobalTypes.FindMessageByName(protoreflect.FullName(name))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if _, ok := kind.New().Interface().(actor.SystemMessage); ok {
			t.Errorf("%s is a system message", name)
		}
	}
}

// Whatever passes can be looked up in the batch's tables.
func TestWhatPassesIsInRange(t *testing.T) {
	r := rules{"me:1", func(id string) bool { return id == "shard-1" }}
	dice := rand.New(rand.NewPCG(1, 2))
	passed := 0
	for range 200_000 {
		b := &protoremote.MessageBatch{}
		for range dice.IntN(3) {
			b.TypeNames = append(b.TypeNames, []string{askType, "x"}[dice.IntN(2)])
		}
		for range dice.IntN(3) {
			b.Targets = append(b.Targets, []*actor.PID{nil, {Address: "me:1", Id: "shard-1"}, {Address: "x", Id: "shard-1"}, {Address: "me:1", Id: "x"}}[dice.IntN(4)])
		}
		for range dice.IntN(2) {
			b.Senders = append(b.Senders, []*actor.PID{nil, {Address: "y", Id: "z"}}[dice.IntN(2)])
		}
		e := &protoremote.MessageEnvelope{
			TypeId: dice.Int32N(4) - 1, Target: dice.Int32N(4) - 1, Sender: dice.Int32N(4) - 1, SerializerId: dice.Int32N(3) - 1,
		}
		if r.check(b, e) != "" {
			if why := r.checkGuest(certs.Peer{App: "a", IM: "i"}, "y", b, e); why == "" {
				t.Fatal("what a node must not send, an IM node may")
			}
			continue
		}
		passed++
		to := b.Targets[e.Target]
		if b.TypeNames[e.TypeId] != askType || to.Address != "me:1" || to.Id != "shard-1" || e.SerializerId != 0 || e.Sender > 0 && b.Senders[e.Sender-1] == nil {
			t.Fatalf("%v passed in %v", e, b)
		}
	}
	if passed < 100 {
		t.Errorf("only %d messages passed: the dice are loaded", passed)
	}
	if r.check(&protoremote.MessageBatch{}, nil) == "" {
		t.Error("nil passed")
	}
}

func TestLengthOfMessages(t *testing.T) {
	r := rules{"me:1", func(string) bool { return true }}
	b := &protoremote.MessageBatch{TypeNames: []string{askType}, Targets: []*actor.PID{{Address: "me:1", Id: "shard-1"}}}
	if why := r.check(b, &protoremote.MessageEnvelope{MessageData: make([]byte, MaxMessage)}); why != "" {
		t.Error(why)
	}
	if why := r.check(b, &protoremote.MessageEnvelope{MessageData: make([]byte, MaxMessage+1)}); why != dropSize {
		t.Errorf("%q", why)
	}
}

// All messages that are not too long leave, in order, and no part is longer than
// a peer takes.
func TestSplit(t *testing.T) {
	dice := rand.New(rand.NewPCG(3, 4))
	for range 1000 {
		b := &protoremote.MessageBatch{TypeNames: []string{"t"}, Targets: []*actor.PID{{Id: "x"}}, Senders: []*actor.PID{{Id: "y"}}}
		const maxMessage, maxBatch = 100, 250
		var want, got []uint32
		tooLong := 0
		for i := range uint32(dice.IntN(30)) {
			n := dice.IntN(maxMessage + 20)
			b.Envelopes = append(b.Envelopes, &protoremote.MessageEnvelope{MessageData: make([]byte, n), TargetRequestId: i})
			if n > maxMessage {
				tooLong++
			} else {
				want = append(want, i)
			}
		}
		parts, long := split(b, maxMessage, maxBatch)
		for _, p := range parts {
			size := 0
			for _, e := range p.Envelopes {
				got = append(got, e.TargetRequestId)
				size += proto.Size(e)
			}
			if size > maxBatch || len(p.Envelopes) == 0 || len(p.TypeNames) != 1 || len(p.Targets) != 1 || len(p.Senders) != 1 {
				t.Fatalf("a part of %d bytes: %v", size, p)
			}
		}
		if len(long) != tooLong || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("%v left, %d too long; want %v, %d", got, len(long), want, tooLong)
		}
	}
}

func TestGuests(t *testing.T) {
	var g guests
	a, b := certs.Peer{App: "x", IM: "a"}, certs.Peer{App: "x", IM: "b"}
	for range 2 { // two streams
		if err := g.enter("h:1", a); err != nil {
			t.Fatal(err)
		}
	}
	if err := g.enter("h:1", b); err == nil {
		t.Error("one address is that of two")
	}
	if err := g.enter("", a); err == nil {
		t.Error("no address is one")
	}
	g.leave("h:1")
	if p, ok := g.at("h:1"); !ok || p != a {
		t.Error("left with a stream open")
	}
	g.leave("h:1")
	g.leave("h:1")
	if err := g.enter("h:1", b); err != nil {
		t.Error(err)
	}
	for i := range maxGuests - 1 {
		if err := g.enter(fmt.Sprint("h:", i+2), a); err != nil {
			t.Fatal(err)
		}
	}
	if err := g.enter("one:more", a); err == nil {
		t.Error("there is no bound")
	}
	if err := g.enter("h:5", a); err != nil {
		t.Errorf("who is known: %v", err)
	}
}
