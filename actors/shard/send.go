package shard

import (
	"time"

	"github.com/rouse-im/rouse/actors"
	"github.com/rouse-im/rouse/actors/lane"
	"github.com/rouse-im/rouse/actors/user"
	actorv1 "github.com/rouse-im/rouse/api/rouse/actor/v1"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/storage"
)

// send brings a message to a shard, wherever that is led. Claims and their
// acknowledgements may be lost; all else is told when it cannot be brought there.
func (s *Set) send(shard uint16, msg any) {
	r := s.o.Router
	if r == nil || s.Leads(shard) {
		s.here(shard, msg)
		return
	}
	switch m := msg.(type) {
	case *claimed:
		r.Tell(shard, &actorv1.Claim{
			Shard: uint32(shard), FromShard: uint32(m.from), Kind: uint32(m.kind), Intent: m.id[:], Claim: m.claim.encode(nil),
		})
	case *acked:
		r.Tell(shard, &actorv1.ClaimAck{Shard: uint32(shard), Intent: m.id[:], BoundAtMs: m.boundAt})
	case *user.Released:
		s.ask(m, &actorv1.Ask{Shard: uint32(shard), App: m.App, User: m.User, Body: &actorv1.Ask_Released{
			Released: &actorv1.Released{Sum: m.Sum[:], BoundAtMs: m.BoundAt},
		}}, m.Done)
	case *user.Reported:
		s.ask(m, &actorv1.Ask{Shard: uint32(shard), App: m.App, User: m.User, Body: &actorv1.Ask_Reported{
			Reported: &actorv1.Reported{Body: m.Encode(nil)},
		}}, m.Done)
	case *lane.Ended:
		s.ask(m, &actorv1.Ask{Shard: uint32(shard), App: m.App, User: m.User, Body: &actorv1.Ask_Ended{
			Ended: encodeEnded(m),
		}}, func(actors.Reply) {})
	}
}

// elsewhere sends a message that came here to where its shard is led; false = the
// shard is led nowhere else.
func (a *Actor) elsewhere(m any) bool {
	if a.o.Router == nil {
		return false
	}
	a.set.send(a.id, m)
	return true
}

// ask sends a question whose local form is m.
func (s *Set) ask(m any, q *actorv1.Ask, done func(actors.Reply)) {
	s.o.Router.Ask(q, func() { s.here(uint16(q.GetShard()), m) }, func(a *actorv1.Answer) {
		done(actors.Reply{Status: a.GetStatus(), Err: a.GetError()})
	})
}

func encodeEnded(m *lane.Ended) *actorv1.Ended {
	return &actorv1.Ended{
		Message: m.Message, Device: m.Device, Notifier: m.Notifier, PushId: m.PushID, TokenSum: m.TokenSum[:],
		Status: int32(m.Status), Reason: int32(m.Reason), VendorCode: m.VendorCode, VendorId: m.VendorID,
		TokenInvalid: m.TokenInvalid, InvalidSinceMs: milli(m.InvalidSince), NewToken: m.NewToken,
		InDoubt: m.InDoubt, Attempts: uint32(m.Attempts), AtMs: milli(m.At),
	}
}

func decodeEnded(app, user string, m *actorv1.Ended) *lane.Ended {
	e := &lane.Ended{
		Ref:    lane.Ref{App: app, User: user, Message: m.GetMessage(), Device: m.GetDevice(), Notifier: m.GetNotifier()},
		PushID: m.GetPushId(), Status: rousev1.OutcomeStatus(m.GetStatus()), Reason: rousev1.Reason(m.GetReason()),
		VendorCode: m.GetVendorCode(), VendorID: m.GetVendorId(), TokenInvalid: m.GetTokenInvalid(),
		InvalidSince: at(m.GetInvalidSinceMs()), NewToken: m.GetNewToken(), InDoubt: m.GetInDoubt(),
		Attempts: int(m.GetAttempts()), At: at(m.GetAtMs()), Elsewhere: true,
	}
	copy(e.TokenSum[:], m.GetTokenSum())
	return e
}

// milli is unix ms, 0 = the zero time.
func milli(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func at(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

// sum reads one that another node sent.
func sum(b []byte) (s storage.Sum, ok bool) { return s, copy(s[:], b) == len(s) && len(b) == len(s) }
