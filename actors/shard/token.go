package shard

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"

	"github.com/rouse-im/rouse/storage"
)

// claim says who bound a token and when. It is the owner record of the token,
// and the content of intents.
type claim struct {
	Sum               storage.Sum
	App, User, Device string
	BoundAt           int64 // unix ms
}

// decideClaim says who owns a token after a claim, and who must give it up
// because of it (nil = nobody). The newest bind wins; of two in the same
// millisecond the one whose user comes later in order, so that every order of
// arrival ends the same.
func decideClaim(owner *claim, kind intentKind, c claim) (next, release *claim) {
	if kind == intentDisown {
		if owner != nil && owner.App == c.App && owner.User == c.User && owner.BoundAt <= c.BoundAt {
			return nil, nil
		}
		return owner, nil
	}
	if owner == nil || (owner.App == c.App && owner.User == c.User) {
		if owner != nil && owner.BoundAt > c.BoundAt {
			return owner, nil
		}
		return &c, nil
	}
	winner, loser := &c, owner
	if owner.BoundAt > c.BoundAt || (owner.BoundAt == c.BoundAt && owner.App+"\x00"+owner.User > c.App+"\x00"+c.User) {
		winner, loser = owner, &c
	}
	lost := *loser
	lost.BoundAt = winner.BoundAt
	return winner, &lost
}

// id names an intent: one of a kind for each token and user.
func (c claim) id(kind intentKind) storage.Sum {
	h := sha256.New()
	h.Write([]byte{byte(kind)})
	h.Write(c.Sum[:])
	h.Write([]byte(c.App + "\x00" + c.User))
	return storage.Sum(h.Sum(nil)[:16])
}

const claimVersion = 1

// encode appends version u8, sum, bound at u64, and three strings with their
// lengths before them as uvarints.
func (c *claim) encode(b []byte) []byte {
	b = append(append(b, claimVersion), c.Sum[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(c.BoundAt))
	for _, s := range [3]string{c.App, c.User, c.Device} {
		b = append(binary.AppendUvarint(b, uint64(len(s))), s...)
	}
	return b
}

var errClaim = errors.New("shard: stored claim is damaged")

func decodeClaim(b []byte) (claim, error) {
	var c claim
	const head = 1 + 16 + 8
	if len(b) < head || b[0] != claimVersion {
		return c, errClaim
	}
	c.Sum = storage.Sum(b[1:17])
	c.BoundAt = int64(binary.BigEndian.Uint64(b[17:]))
	b = b[head:]
	for _, s := range [3]*string{&c.App, &c.User, &c.Device} {
		n, w := binary.Uvarint(b)
		if w <= 0 || n > uint64(len(b)-w) {
			return c, errClaim
		}
		*s, b = string(b[w:w+int(n)]), b[w+int(n):]
	}
	return c, nil
}

func (a *Actor) storedOwner(key []byte) (*claim, error) {
	b, err := a.o.User.Store.Get(key)
	if errors.Is(err, storage.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	c, err := decodeClaim(b)
	return &c, err
}
