package shard

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/rouse-im/rouse/actors"
	"github.com/rouse-im/rouse/actors/user"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/internal/plant"
	"github.com/rouse-im/rouse/storage"
)

// An intent is what one shard owes another: it is stored with the change that
// it follows from and repeated until it is acknowledged. All are idempotent.
type intent struct {
	kind intentKind
	id   storage.Sum
	claim
	started bool      // its own commit is durable
	sentAt  time.Time // of the last attempt
}

type intentKind byte

const (
	// Towards the shard of a token: it was bound.
	intentClaim intentKind = 1
	// Towards the shard of a token: its owner gave it up.
	intentDisown intentKind = 2
	// Towards a user: another one has bound his token.
	intentRelease intentKind = 3
)

const repeatAfter = 3 * time.Second

// intend stores the claims of a step with its mutations.
func (a *Actor) intend(s *user.Step) {
	for _, c := range s.Claims {
		kind := intentClaim
		if c.Device == "" {
			kind = intentDisown
		}
		s.Mutations = append(s.Mutations, a.add(&intent{kind: kind, claim: claim{
			Sum: storage.Sum(c.Sum), App: s.App, User: s.User, Device: c.Device, BoundAt: c.BoundAt,
		}}))
	}
}

// add keeps an intent in memory and returns the mutation that stores it. A
// later one of the same kind, token and user replaces the earlier.
func (a *Actor) add(in *intent) storage.Mutation {
	in.id = in.claim.id(in.kind)
	a.intents[in.id] = in
	return storage.Mutation{Op: storage.Set, Key: a.intentKey(in), Value: in.claim.encode(nil)}
}

func (a *Actor) intentKey(in *intent) []byte {
	return storage.AppendIntentKey(nil, a.id, byte(in.kind), in.id)
}

func (a *Actor) loadIntents() error {
	var bad error
	err := a.o.User.Store.Scan(storage.IntentRange(a.id), func(key, value []byte) bool {
		_, kind, id, err := storage.ParseIntentKey(key)
		in := &intent{kind: intentKind(kind), id: id, started: true}
		if err == nil {
			in.claim, err = decodeClaim(value)
		}
		if err != nil {
			bad = err
			return false
		}
		a.intents[id] = in
		return true
	})
	if err != nil {
		return err
	}
	return bad
}

// startIntents makes the first attempt for intents whose commit is durable.
func (a *Actor) startIntents(s *user.Step) {
	for _, c := range s.Claims {
		kind := intentClaim
		if c.Device == "" {
			kind = intentDisown
		}
		cl := claim{Sum: storage.Sum(c.Sum), App: s.App, User: s.User}
		if in := a.intents[cl.id(kind)]; in != nil && !in.started {
			in.started = true
			a.attempt(in, a.o.User.Now())
		}
	}
}

func (a *Actor) repeatIntents(now time.Time) {
	for _, in := range a.intents {
		if in.started && now.Sub(in.sentAt) >= repeatAfter && !plant.On(plant.ClaimNotRepeated) {
			a.attempt(in, now)
		}
	}
}

// attempt sends an intent to where it belongs.
func (a *Actor) attempt(in *intent, now time.Time) {
	in.sentAt = now
	store := a.o.User.Store
	if in.kind != intentRelease {
		a.set.send(store.ShardOfToken(in.Sum), &claimed{kind: in.kind, id: in.id, claim: in.claim, from: a.id})
		return
	}
	// The acknowledgement is for this actor: by the time that it comes another
	// node may lead, and has the intent itself.
	id, sent, back := in.id, in.BoundAt, a.set.here
	a.set.send(store.ShardOf(in.App, in.User), &user.Released{
		App: in.App, User: in.User, Sum: user.Sum(in.Sum), BoundAt: in.BoundAt,
		Done: func(r actors.Reply) {
			// A user or an app that is gone has no token to give up.
			if r.Err == nil || r.Err.GetCode() == rousev1.ErrorCode_ERROR_CODE_NOT_FOUND {
				back(a.id, &acked{id: id, boundAt: sent})
			}
		},
	})
}

// claimed asks the shard of a token to record its owner, or that it has none.
type claimed struct {
	kind intentKind
	id   storage.Sum
	claim
	from uint16
}

// Reject is answered by a later repeat.
func (*claimed) Reject() {}

// acked ends an intent, if it is still the one that was sent.
type acked struct {
	id      storage.Sum
	boundAt int64
}

// Reject is answered by a later repeat.
func (*acked) Reject() {}

func (a *Actor) onAcked(c actor.Context, m *acked) {
	in := a.intents[m.id]
	if !a.open() || in == nil || in.BoundAt != m.boundAt {
		return
	}
	delete(a.intents, m.id)
	a.enqueue(c, &user.Step{Epoch: a.epoch, Mutations: []storage.Mutation{{Op: storage.Delete, Key: a.intentKey(in)}}})
}

// onClaimed records the owner of a token and acknowledges when that is durable.
func (a *Actor) onClaimed(c actor.Context, m *claimed) {
	if !a.open() {
		return // it is repeated
	}
	key := storage.AppendTokenKey(nil, a.id, m.Sum)
	owner, err := a.owner(key)
	if err != nil {
		a.o.Logger.Error("owner of a token cannot be read; its claim is repeated", "shard", a.id, "error", err)
		return
	}
	s := &user.Step{Epoch: a.epoch}
	next, release := decideClaim(owner, m.kind, m.claim)
	switch {
	case next == nil && owner != nil:
		s.Mutations = append(s.Mutations, storage.Mutation{Op: storage.Delete, Key: key})
	case next != nil && (owner == nil || *next != *owner):
		s.Mutations = append(s.Mutations, storage.Mutation{Op: storage.Set, Key: key, Value: next.encode(nil)})
	}
	var in *intent
	if release != nil && !plant.On(plant.FormerOwnerKeepsIt) {
		in = &intent{kind: intentRelease, claim: *release}
		s.Mutations = append(s.Mutations, a.add(in))
	}
	a.owners[m.Sum] = ownerChange{next: next, step: s}
	s.Done = func(r actors.Reply) {
		if a.owners[m.Sum].step == s {
			delete(a.owners, m.Sum)
		}
		if r.Err != nil {
			return // the claim is repeated
		}
		if in != nil {
			in.started = true
			a.attempt(in, a.o.User.Now())
		}
		a.set.send(m.from, &acked{id: m.id, boundAt: m.BoundAt})
	}
	a.enqueue(c, s)
}

// ownerChange is an owner record that is decided and not yet durable.
type ownerChange struct {
	next *claim
	step *user.Step
}

func (a *Actor) owner(key []byte) (*claim, error) {
	_, sum, err := storage.ParseTokenKey(key)
	if err != nil {
		return nil, err
	}
	if ch, ok := a.owners[sum]; ok {
		return ch.next, nil
	}
	return a.storedOwner(key)
}

// IntentHome returns the shard that owes a stored intent when there are that
// many shards: the one that is told when it is acknowledged.
func IntentHome(kind byte, value []byte, shards uint16) (uint16, error) {
	c, err := decodeClaim(value)
	if err != nil {
		return 0, err
	}
	if intentKind(kind) == intentRelease {
		return storage.ShardOfToken(c.Sum, shards), nil
	}
	return storage.ShardOf(c.App, c.User, shards), nil
}
