package shard

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/rouse-im/rouse/actors"
	"github.com/rouse-im/rouse/actors/user"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/storage"
)

// erasures are the numbers of the last users' erasures of a shard, the oldest first.
// A repeat that comes late, when the user has come back, must not erase him again,
// and nothing may be kept of an erased user in his record. So the shard keeps them,
// in a record that is written with the erasure: whoever leads next knows them too.
type erasures []erasure

type erasure struct {
	op uint64
	// at is when this leader carried it out, or found it in the store. The store has
	// no times: ages are counted by one clock, whatever other nodes' clocks show.
	at time.Time
}

const (
	// maxErasures bounds them in each shard; the oldest are forgotten first.
	maxErasures = 64
	// erasuresFor is longer than any repeat is under way, see actors/user/repeat.go.
	// It begins anew with each leadership.
	erasuresFor = time.Minute
)

func (e erasures) have(op uint64) bool {
	for _, x := range e {
		if x.op == op {
			return true
		}
	}
	return false
}

// carriedOut tells whether m is the repeat of an erasure. What else has its number, as
// IM nodes may choose them, is none.
func (e erasures) carriedOut(m *actors.Envelope) bool {
	_, erasure := m.Command.(*rousev1.EraseUserRequest)
	return erasure && m.Op != 0 && e.have(m.Op)
}

func (e erasures) with(op uint64, now time.Time) erasures {
	return append(e[max(0, len(e)-(maxErasures-1)):], erasure{op, now})
}

// recent is what is not forgotten yet.
func (e erasures) recent(now time.Time) erasures {
	for len(e) > 0 && now.Sub(e[0].at) >= erasuresFor {
		e = e[1:]
	}
	return e
}

// mutation makes the shard's record what e is.
func (e erasures) mutation(shard uint16) storage.Mutation {
	at := storage.Erasures(shard)
	if len(e) == 0 {
		return at.Delete()
	}
	return storage.Mutation{Op: storage.Set, Key: at.Lo, Value: e.encode(nil)}
}

const (
	erasuresVersion = 1
	opBytes         = 8
)

// encode appends version u8 and the numbers, each as u64.
func (e erasures) encode(b []byte) []byte {
	b = append(b, erasuresVersion)
	for _, x := range e {
		b = binary.BigEndian.AppendUint64(b, x.op)
	}
	return b
}

var errErasures = errors.New("shard: stored numbers of erasures are damaged or of a newer release")

func decodeErasures(b []byte, now time.Time) (e erasures, err error) {
	if len(b) == 0 || b[0] != erasuresVersion || len(b[1:])%opBytes != 0 || len(b[1:]) > maxErasures*opBytes {
		return nil, errErasures
	}
	for b = b[1:]; len(b) > 0; b = b[opBytes:] {
		e = append(e, erasure{binary.BigEndian.Uint64(b), now})
	}
	return e, nil
}

// loadErasures has them be what the store says. A record that cannot be understood
// is no reason not to serve.
func (a *Actor) loadErasures() error {
	a.erasures = nil
	b, err := a.o.User.Store.Get(storage.Erasures(a.id).Lo)
	if errors.Is(err, storage.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if a.erasures, err = decodeErasures(b, a.o.User.Now()); err != nil {
		a.o.Logger.Warn("late repeats of users' erasures are not known", "shard", a.id, "error", err)
	}
	return nil
}

// noteErasure stores the number of a step's erasure with its mutations.
func (a *Actor) noteErasure(s *user.Step) {
	if !s.Erased || s.Envelope == nil || s.Envelope.Op == 0 || a.erasures.have(s.Envelope.Op) {
		return
	}
	a.erasures = a.erasures.with(s.Envelope.Op, a.o.User.Now())
	s.Mutations = append(s.Mutations, a.erasures.mutation(a.id))
}

// erasedBefore answers a repeat, behind the steps before it: the erasure itself may
// be among those that are not durable yet.
func (a *Actor) erasedBefore(c actor.Context, m *actors.Envelope) {
	a.enqueue(c, &user.Step{
		Epoch: a.epoch, Envelope: m, Done: m.Done,
		Reply: actors.Reply{Status: rousev1.ItemStatus_ITEM_STATUS_ACCEPTED, Response: &rousev1.EraseUserResponse{}},
	})
}

// forgetErasures drops the numbers that cannot come again.
func (a *Actor) forgetErasures(c actor.Context, now time.Time) {
	if kept := a.erasures.recent(now); len(kept) < len(a.erasures) {
		a.erasures = kept
		a.enqueue(c, &user.Step{Epoch: a.epoch, Mutations: []storage.Mutation{kept.mutation(a.id)}})
	}
}
