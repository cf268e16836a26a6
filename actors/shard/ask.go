package shard

import (
	"errors"
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"github.com/rouse-im/rouse/actors"
	"github.com/rouse-im/rouse/actors/route"
	"github.com/rouse-im/rouse/actors/user"
	actorv1 "github.com/rouse-im/rouse/api/rouse/actor/v1"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/storage"
)

// onAsk takes a question from another node.
func (a *Actor) onAsk(c actor.Context, m *actorv1.Ask) {
	q := &question{set: a.set, shard: a.id, id: m.GetId(), from: c.Sender()}
	switch {
	case q.from == nil: // nobody waits for the answer
	case m.GetShardCount() != nil:
		q.send(&actorv1.Answer{Shards: uint32(a.o.User.Store.Shards())})
	case (a.term == 0 || a.leave != nil) && m.GetRelayMs() > 0 && a.o.Router != nil:
		q.relay(m)
	case a.term == 0 || a.leave != nil:
		q.redirect()
	default:
		if err := a.take(c, q, m); err != nil {
			q.send(refused(rousev1.ErrorCode_ERROR_CODE_INVALID_ARGUMENT, err.Error()))
		}
	}
}

// take hands what was asked on; an error says what was wrong with it.
func (a *Actor) take(c actor.Context, q *question, m *actorv1.Ask) error {
	switch body := m.GetBody().(type) {
	case *actorv1.Ask_Command:
		command, err := commandOf(body.Command)
		if err != nil {
			return err
		}
		if err := a.owns(m); err != nil {
			return err
		}
		if fills(command) && a.o.User.Store.Writable(time.Now()) != nil {
			q.send(diskFull()) // the gateway of this node has looked
			return nil
		}
		q.envelope = actors.Envelope{
			App: m.GetApp(), User: m.GetUser(), Node: actors.Node{Name: body.Command.GetNode(), Incarnation: body.Command.GetIncarnation()},
			Stopped: body.Command.GetStopped(), Op: body.Command.GetOp(), Command: command, Done: q.answer, Back: q.back,
		}
		a.onEnvelope(c, &q.envelope)
	case *actorv1.Ask_Released:
		s, ok := sum(body.Released.GetSum())
		if !ok {
			return errSum
		}
		if err := a.owns(m); err != nil {
			return err
		}
		a.onReleased(c, &user.Released{App: m.GetApp(), User: m.GetUser(), Sum: user.Sum(s), BoundAt: body.Released.GetBoundAtMs(), Done: q.answer})
	case *actorv1.Ask_Reported:
		r, err := user.DecodeReported(body.Reported.GetBody())
		if err != nil {
			return err
		}
		if r.App, r.User, r.Done = m.GetApp(), m.GetUser(), q.answer; r.User != "" {
			err = a.owns(m)
		} else if a.o.User.Store.ShardOfToken(storage.Sum(r.Sum)) != a.id {
			err = a.notMine(m)
		}
		if err != nil {
			return err
		}
		a.onReported(c, r)
	case *actorv1.Ask_Ended:
		if err := a.owns(m); err != nil {
			return err
		}
		a.onEnded(c, decodeEnded(m.GetApp(), m.GetUser(), body.Ended))
		q.answer(actors.Reply{Status: rousev1.ItemStatus_ITEM_STATUS_ACCEPTED})
	default:
		return errors.New("shard: the question is of a kind that this release does not know; upgrade this node")
	}
	return nil
}

const errSum = shardError("shard: the sum of a token needs 16 bytes")

// owns checks that the user of a question is of this shard.
func (a *Actor) owns(m *actorv1.Ask) error {
	if a.o.User.Store.ShardOf(m.GetApp(), m.GetUser()) != a.id {
		return a.notMine(m)
	}
	return nil
}

func (a *Actor) notMine(m *actorv1.Ask) error {
	return fmt.Errorf("shard: shard %d was asked for what is not its own; all nodes need the same number of shards (asked for: %d)", a.id, m.GetShard())
}

// question is an Ask under way. It is answered once.
type question struct {
	set      *Set
	shard    uint16
	id       uint64
	from     *actor.PID
	envelope actors.Envelope
}

// send does not wait for the node that asked, so it may be called in a turn: what goes
// to a node is put into a queue that grows, which another goroutine empties, and which
// who asks bounds by what it has under way. The first message to a node makes its
// queue, and waits for that alone, not for the connection.
func (q *question) send(m *actorv1.Answer) {
	m.Id = q.id
	q.set.sys.Root.Send(q.from, m)
}

// answer may be called from any goroutine, as may the next two.
func (q *question) answer(r actors.Reply) {
	m := &actorv1.Answer{Status: r.Status, Error: r.Err}
	if r.Response != nil {
		body, err := proto.Marshal(r.Response)
		switch {
		case err != nil: // only invalid UTF-8 fails, which no decoder lets in
			m = refused(rousev1.ErrorCode_ERROR_CODE_INTERNAL, "the answer cannot be encoded")
		case len(body) > route.MaxBody:
			m = refused(rousev1.ErrorCode_ERROR_CODE_LIMIT_EXCEEDED, fmt.Sprintf("the answer has %d bytes, of which another node takes %d; ask for fewer", len(body), route.MaxBody))
		default:
			m.Response = &actorv1.Command{Type: string(r.Response.ProtoReflect().Descriptor().FullName()), Body: body}
		}
	}
	q.send(m)
}

func diskFull() *actorv1.Answer {
	m := refused(rousev1.ErrorCode_ERROR_CODE_DISK_FULL, "the disk of the node that leads the user's shard is nearly full; free space on it and send this again")
	m.Error.Temporary = true
	return m
}

func refused(code rousev1.ErrorCode, message string) *actorv1.Answer {
	return &actorv1.Answer{Status: rousev1.ItemStatus_ITEM_STATUS_REFUSED, Error: &rousev1.Error{Code: code, Message: message}}
}

// back: the shard is not led here any more, or starts anew.
func (q *question) back(*actors.Envelope) { q.redirect() }

// relay brings what was asked to the leader, whom the one that asks cannot reach. If
// the shard is led here by then, it is asked again.
func (q *question) relay(m *actorv1.Ask) {
	q.set.o.Router.Relay(m, func() {
		q.set.sys.Root.RequestWithCustomSender(q.set.pids[q.shard-1], &actorv1.Ask{
			Id: q.id, Shard: m.GetShard(), App: m.GetApp(), User: m.GetUser(), Body: m.Body,
		}, q.from)
	}, q.send)
}

func (q *question) redirect() {
	to := &actorv1.Redirect{Shard: uint32(q.shard)}
	if r := q.set.o.Router; r != nil {
		to.Leader, to.Term = r.Leader(q.shard)
	}
	q.send(&actorv1.Answer{Redirect: to})
}

func (a *Actor) onClaim(c actor.Context, m *actorv1.Claim) {
	cl, err := decodeClaim(m.GetClaim())
	id, ok := sum(m.GetIntent())
	from := m.GetFromShard()
	if kind := m.GetKind(); err != nil || !ok || kind != uint32(intentClaim) && kind != uint32(intentDisown) ||
		from == 0 || from > uint32(a.o.User.Store.Shards()) || a.o.User.Store.ShardOfToken(cl.Sum) != a.id {
		a.o.Logger.Error("a claim from another node makes no sense; do both nodes have the same release and number of shards?",
			"shard", a.id, "from_shard", from, "kind", m.GetKind())
		return
	}
	if m.GetRelay() && a.term == 0 && a.o.Router != nil {
		a.o.Router.Pass(a.id, m)
		return
	}
	a.onClaimed(c, &claimed{kind: intentKind(m.GetKind()), id: id, claim: cl, from: uint16(from)})
}

func (a *Actor) onClaimAck(c actor.Context, m *actorv1.ClaimAck) {
	if m.GetRelay() && a.term == 0 && a.o.Router != nil {
		a.o.Router.Pass(a.id, m)
		return
	}
	if id, ok := sum(m.GetIntent()); ok {
		a.onAcked(c, &acked{id: id, boundAt: m.GetBoundAtMs()})
	}
}
