package route

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"

	"github.com/cespare/xxhash/v2"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/rouse-im/rouse/actors"
	actorv1 "github.com/rouse-im/rouse/api/rouse/actor/v1"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

// encoder turns commands into bytes. It remembers the last event, as an event
// for many users comes once for each of them, one after the other.
type encoder struct{ last atomic.Pointer[encoded] }

type encoded struct {
	event proto.Message
	body  []byte
}

// ask is the message that carries an envelope. It fails for a command that is
// too long, or not valid UTF-8, which no decoder lets in.
func (e *encoder) ask(shard uint16, x *actors.Envelope) (*actorv1.Ask, error) {
	body, err := e.body(x.Command)
	if err != nil {
		return nil, fmt.Errorf("route: %s cannot be encoded: %w", x.Command.ProtoReflect().Descriptor().FullName(), err)
	}
	if len(body) > MaxBody {
		return nil, fmt.Errorf("route: %s has %d bytes, of which another node takes %d", x.Command.ProtoReflect().Descriptor().FullName(), len(body), MaxBody)
	}
	return &actorv1.Ask{Shard: uint32(shard), App: x.App, User: x.User, Body: &actorv1.Ask_Command{Command: &actorv1.Command{
		Type: string(x.Command.ProtoReflect().Descriptor().FullName()), Body: body,
		Node: x.Node.Name, Incarnation: x.Node.Incarnation, Stopped: x.Stopped, Op: x.Op,
	}}}, nil
}

func (e *encoder) body(m proto.Message) ([]byte, error) {
	switch m.(type) {
	case *rousev1.MessageEvent, *rousev1.RecallEvent:
	default:
		return proto.Marshal(m)
	}
	if last := e.last.Load(); last != nil && last.event == m {
		return last.body, nil
	}
	body, err := proto.Marshal(withoutRecipients(m))
	if err == nil {
		e.last.Store(&encoded{m, body})
	}
	return body, err
}

// withoutRecipients is a shallow copy: the user is named beside the event, and
// the others, up to 1024, would be sent to each of them.
func withoutRecipients(m proto.Message) proto.Message {
	from := m.ProtoReflect()
	to := from.New()
	from.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if f.Name() != "recipients" {
			to.Set(f, v)
		}
		return true
	})
	to.SetUnknown(from.GetUnknown())
	return to.Interface()
}

// replyOf reads an answer.
func replyOf(a *actorv1.Answer) actors.Reply {
	r := actors.Reply{Status: a.GetStatus(), Err: a.GetError()}
	c := a.GetResponse()
	if c == nil {
		return r
	}
	m, err := decode(c)
	if err != nil {
		return actors.Reply{Status: rousev1.ItemStatus_ITEM_STATUS_REFUSED, Err: &rousev1.Error{
			Code: rousev1.ErrorCode_ERROR_CODE_INTERNAL, Message: err.Error() + "; both nodes need releases that are at most one upgrade apart",
		}}
	}
	r.Response = m
	return r
}

func decode(c *actorv1.Command) (proto.Message, error) {
	name := protoreflect.FullName(c.GetType())
	t, err := protoregistry.GlobalTypes.FindMessageByName(name)
	if err != nil || !strings.HasPrefix(string(name), "rouse.v1.") {
		return nil, fmt.Errorf("route: the answer of another node is of type %q, which this release does not know", cut(string(name)))
	}
	m := t.New().Interface()
	if err := proto.Unmarshal(c.GetBody(), m); err != nil {
		return nil, fmt.Errorf("route: %s in the answer of another node is damaged", name)
	}
	return m, nil
}

func cut(s string) string { return s[:min(len(s), 100)] }

// numbered gives a command the number by which its user knows it again, if it is
// of a kind that does harm when it comes a second time, late. One that its caller
// gave, who may repeat it by way of another node, it keeps.
func numbered(e *actors.Envelope) {
	switch c := e.Command.(type) {
	case *rousev1.FetchedEvent:
		e.Op = cmp.Or(e.Op, told(e, "fetched", c.GetId()), number())
	case *rousev1.ReadEvent:
		e.Op = cmp.Or(e.Op, told(e, "read", c.GetId()), number())
	case *rousev1.BindTokenRequest, *rousev1.UnbindTokenRequest, *rousev1.SetBadgeRequest, *rousev1.BanUserRequest, *rousev1.SetUserPolicyRequest,
		*rousev1.SetUserSettingsRequest, *rousev1.SetConversationSettingsRequest, *rousev1.EraseUserRequest:
		e.Op = cmp.Or(e.Op, number())
	default:
		e.Op = 0
	}
}

// told is the number of an event to which a run of an IM node gave an id; 0 = it gave
// none. Others may have given the same.
func told(e *actors.Envelope, kind string, id uint64) uint64 {
	if id == 0 {
		return 0
	}
	return xxhash.Sum64String(fmt.Sprint(kind, e.Node.Name, "\x00", e.Node.Incarnation, "\x00", id)) | 1
}

func number() uint64 { return rand.Uint64() | 1 }
