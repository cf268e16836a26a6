// Package seal encrypts tokens, credentials and payloads for the disk, and
// names tokens by a keyed hash.
//
// A sealed value is: format u8 = 1, key id u32 big-endian, nonce 12 bytes,
// AES-256-GCM ciphertext, tag 16 bytes. The additional data (such as
// app|user|device) is authenticated and not stored: a value moved to another
// place does not open.
//
// A ring holds sealing keys with ids, the first of which seals, and one index
// key, which is never rotated: token sums are keys in the store and must stay
// comparable. Nonces are random, so rotate before a key has sealed 2^32 values
// (at 1,000 a second: 49 days for a one in 2^32 chance of a repeated nonce).
package seal

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// Overhead is how much longer a sealed value is than its plain text.
	Overhead = headBytes + 12 + 16

	keyBytes  = 32
	headBytes = 1 + 4
	version   = 1
)

var (
	// ErrUnknownKey answers Open for a value sealed under a key that is not on
	// the ring; put the key back into the key file.
	ErrUnknownKey = errors.New("seal: unknown key id")
	// ErrTampered answers Open for a value that was changed, cut, moved to
	// another place, or is not a sealed value at all.
	ErrTampered = errors.New("seal: value is damaged or belongs elsewhere")
)

// Ring seals and opens; it is safe for concurrent use. What it seals with does not
// change. A ring of a key file looks there again for a key that it lacks, at most
// once a second: other nodes may seal with newer ones.
type Ring struct {
	current uint32
	aeads   atomic.Pointer[map[uint32]cipher.AEAD]
	index   []byte
	file    string // empty = it was parsed from text

	mu     sync.Mutex
	looked time.Time
}

// lookEvery bounds how often a key file is read for keys that are in none.
const lookEvery = time.Second

// ring builds a Ring from parsed key material.
func (m material) ring() (*Ring, error) {
	index, err := hkdf.Key(sha256.New, m.index, nil, "rouse seal index 1", keyBytes)
	if err != nil {
		return nil, fmt.Errorf("seal: derive index key: %w", err)
	}
	aeads := make(map[uint32]cipher.AEAD, len(m.keys))
	for _, k := range m.keys {
		block, err := aes.NewCipher(k.secret)
		if err != nil {
			return nil, fmt.Errorf("seal: key %d: %w", k.id, err)
		}
		if aeads[k.id], err = cipher.NewGCMWithRandomNonce(block); err != nil {
			return nil, fmt.Errorf("seal: key %d: %w", k.id, err)
		}
	}
	r := &Ring{current: m.keys[0].id, index: index}
	r.aeads.Store(&aeads)
	return r, nil
}

// aead is the key with an id.
func (r *Ring) aead(id uint32) (cipher.AEAD, bool) {
	if aead, ok := (*r.aeads.Load())[id]; ok || r.file == "" {
		return aead, ok
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if time.Since(r.looked) >= lookEvery {
		r.look()
		r.looked = time.Now()
	}
	aead, ok := (*r.aeads.Load())[id]
	return aead, ok
}

// look takes up the keys that came to the file. One that cannot be read, or is of
// another ring, has none; a key is never forgotten or replaced.
func (r *Ring) look() {
	next, err := Load(r.file)
	if err != nil || !hmac.Equal(next.index, r.index) {
		return
	}
	all := maps.Clone(*next.aeads.Load())
	maps.Copy(all, *r.aeads.Load())
	r.aeads.Store(&all)
}

// Seal appends plain, sealed under the current key and bound to aad, to dst.
// The result must not overlap plain.
func (r *Ring) Seal(dst, aad, plain []byte) []byte {
	dst = append(dst, version)
	dst = binary.BigEndian.AppendUint32(dst, r.current)
	return (*r.aeads.Load())[r.current].Seal(dst, nil, plain, aad)
}

// Open appends the plain text of a sealed value to dst, or returns
// ErrUnknownKey or ErrTampered. The result must not overlap sealed.
func (r *Ring) Open(dst, aad, sealed []byte) ([]byte, error) {
	if len(sealed) < Overhead || sealed[0] != version {
		return nil, ErrTampered
	}
	id := binary.BigEndian.Uint32(sealed[1:])
	aead, ok := r.aead(id)
	if !ok {
		return nil, fmt.Errorf("%w %d", ErrUnknownKey, id)
	}
	plain, err := aead.Open(dst, nil, sealed[headBytes:], aad)
	if err != nil {
		return nil, ErrTampered
	}
	return plain, nil
}

// Sum returns a hash of data that only holders of the index key can compute.
// It depends on where one part ends and the next begins, differs by domain,
// and does not change when sealing keys rotate.
func (r *Ring) Sum(domain string, data ...[]byte) [sha256.Size]byte {
	mac := hmac.New(sha256.New, r.index)
	var n [8]byte
	put := func(b []byte) {
		binary.BigEndian.PutUint64(n[:], uint64(len(b)))
		mac.Write(n[:])
		mac.Write(b)
	}
	put([]byte(domain))
	for _, b := range data {
		put(b)
	}
	var sum [sha256.Size]byte
	mac.Sum(sum[:0])
	return sum
}

// Fingerprint tells rings apart whose holders could not find each other's sums or
// open what the other seals. It reveals nothing of the keys.
func (r *Ring) Fingerprint() [8]byte {
	sum := r.Sum("fingerprint", binary.BigEndian.AppendUint32(nil, r.current))
	return [8]byte(sum[:8])
}

// Akin tells whether both rings come of the same first key file: the sums of one
// are those of the other, however often keys were added to either.
func (r *Ring) Akin(other *Ring) bool { return bytes.Equal(r.index, other.index) }

// String hides the keys.
func (r *Ring) String() string { return fmt.Sprintf("seal.Ring(%d keys)", len(*r.aeads.Load())) }

// GoString hides the keys.
func (r *Ring) GoString() string { return r.String() }
