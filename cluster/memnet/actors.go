package memnet

import (
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Attach lets an actor system take and send messages at an address of the host.
// They cross as a real transport would carry them: encoded, in order for each
// pair of hosts, under PIDs that remember no process of the sender. What is not
// a protobuf message is lost; so are system messages. A PID that the target does
// not have is answered with a dead letter, so is an address where nobody is.
//
// It sets the address of the system, so it has to come before the first PID.
func (h *Host) Attach(sys *actor.ActorSystem, addr string) error {
	h.n.mu.Lock()
	defer h.n.mu.Unlock()
	port, err := h.bind(addr, func(p int) bool { return h.systems[p] != nil || h.listeners[p] != nil })
	if err != nil {
		return err
	}
	h.systems[port] = sys
	sys.ProcessRegistry.Address = h.Addr(port)
	w := &wire{h: h, sys: sys, flows: map[string]*flow{}}
	sys.ProcessRegistry.RegisterAddressResolver(func(*actor.PID) (actor.Process, bool) { return w, true })
	return nil
}

// wire is the process of every PID elsewhere.
type wire struct {
	h     *Host
	sys   *actor.ActorSystem
	flows map[string]*flow // by target host; guarded by Net.mu
}

// letter is a message between systems, as it crosses.
type letter struct {
	target, sender pid
	kind           protoreflect.MessageType
	body           []byte
	header         map[string]string
}

type pid struct {
	address, id string
	request     uint32
}

func crossing(p *actor.PID) pid {
	if p == nil {
		return pid{}
	}
	return pid{p.Address, p.Id, p.RequestId}
}

func (p pid) rebuild() *actor.PID {
	if p.address == "" {
		return nil
	}
	return &actor.PID{Address: p.address, Id: p.id, RequestId: p.request}
}

func (w *wire) SendUserMessage(target *actor.PID, message any) {
	header, body, sender := actor.UnwrapEnvelope(message)
	l, err := seal(target, sender, body, header)
	if err != nil {
		w.sys.Logger().Error("memnet: actor message lost", "error", err)
		return
	}
	n := w.h.n
	n.mu.Lock()
	defer n.mu.Unlock()
	if w.h.down {
		return
	}
	to, port, err := w.h.target(target.Address)
	if err != nil {
		time.AfterFunc(n.o.Unreachable, func() { w.undelivered(l) })
		return
	}
	f := w.flows[to.name]
	if f == nil {
		f = n.link(w.h.name, to.name).flow()
		w.flows[to.name] = f
	}
	name, sent := to.name, time.Now()
	f.push(len(l.body), func() { w.arrive(l, name, port, sent) })
}

func seal(target, sender *actor.PID, body any, header actor.ReadonlyMessageHeader) (letter, error) {
	m, ok := body.(proto.Message)
	if !ok {
		return letter{}, fmt.Errorf("%T to %s is no protobuf message", body, target.Id)
	}
	b, err := proto.Marshal(m)
	if err != nil {
		return letter{}, fmt.Errorf("%T to %s: %w", body, target.Id, err)
	}
	l := letter{target: crossing(target), sender: crossing(sender), kind: m.ProtoReflect().Type(), body: b}
	if header != nil && header.Length() > 0 {
		l.header = header.ToMap()
	}
	return l, nil
}

// arrive is a message at its target.
func (w *wire) arrive(l letter, name string, port int, sent time.Time) {
	n := w.h.n
	n.mu.Lock()
	sys, gone := n.hosts[name].systems[port], w.h.down
	late := time.Since(sent) > n.o.Break+n.link(w.h.name, name).latency
	n.mu.Unlock()
	switch {
	case gone || late:
	case sys == nil:
		time.AfterFunc(n.o.Unreachable, func() { w.undelivered(l) })
	default:
		m := l.kind.New().Interface()
		if err := proto.Unmarshal(l.body, m); err != nil {
			sys.Logger().Error("memnet: actor message lost", "error", err)
			return
		}
		sys.Root.Send(l.target.rebuild(), &actor.MessageEnvelope{Header: l.header, Message: m, Sender: l.sender.rebuild()})
	}
}

// undelivered tells the sender.
func (w *wire) undelivered(l letter) {
	w.h.n.mu.Lock()
	down := w.h.down
	w.h.n.mu.Unlock()
	if to := l.sender.rebuild(); to != nil && !down {
		w.sys.Root.Send(to, &actor.DeadLetterResponse{Target: l.target.rebuild()})
	}
}

func (*wire) SendSystemMessage(*actor.PID, any) {}

func (*wire) Stop(*actor.PID) {}

var _ actor.Process = (*wire)(nil)
