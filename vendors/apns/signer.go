package apns

import (
	"crypto/ecdsa"
	"fmt"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Ages of a provider token. Apple: refresh at most once in 20 minutes and at
// least once in 60 ("Establishing a token-based connection to APNs").
const (
	tokenFloor    = 20 * time.Minute
	tokenRefresh  = 50 * time.Minute
	tokenLifetime = time.Hour
	// tokenLook is how soon it is tried again with a token that was refused and is
	// too young to be renewed: meanwhile the clock may have been set.
	tokenLook = time.Minute
	// clockSlack is how far the wall clock may go astray from the time that has
	// passed before it counts as set.
	clockSlack = time.Minute
)

// signer mints the provider tokens of one key. There is one for each key in a
// process, whatever the number of senders, because Apple counts refreshes.
//
// A token says when it was minted, and APNs refuses one of a wrong hour. So that a
// clock that is set at run time stops no pushes, tokens are dated by the time that
// has passed since the wall clock was last believed. It is believed again when APNs
// refuses a token and the clock has been set since.
type signer struct {
	id  signerID
	key *ecdsa.PrivateKey

	mu       sync.Mutex
	token    string    // empty = the next bearer mints one
	minted   time.Time // zero = none was
	believed time.Time // when the wall clock was; zero = not yet
	users    int       // guarded by signers.mu
}

type signerID struct{ team, key, public string }

// signers keeps a signer without users until its token is dead, so that a
// sender made anew does not mint too early. It holds no more signers than
// there were keys in use within the last hour.
var signers = struct {
	mu  sync.Mutex
	all map[signerID]*signer
}{all: map[signerID]*signer{}}

func borrowSigner(team, keyID string, key *ecdsa.PrivateKey) *signer {
	// A P-256 key, as checked by the Config, always has an encoding.
	public, _ := key.PublicKey.Bytes()
	id := signerID{team: team, key: keyID, public: string(public)}
	signers.mu.Lock()
	defer signers.mu.Unlock()
	now := time.Now()
	for other, s := range signers.all {
		if s.users == 0 && s.age(now) > tokenLifetime {
			delete(signers.all, other)
		}
	}
	s := signers.all[id]
	if s == nil {
		s = &signer{id: id, key: key}
		signers.all[id] = s
	}
	s.users++
	return s
}

func (s *signer) giveBack() {
	signers.mu.Lock()
	defer signers.mu.Unlock()
	s.users--
}

func (s *signer) age(now time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return now.Sub(s.minted)
}

// bearer returns the token in use, minting one when it is due.
func (s *signer) bearer(now time.Time) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.token == "" || now.Sub(s.minted) >= tokenRefresh {
		return s.mintLocked(now)
	}
	return s.token, nil
}

func (s *signer) mintLocked(now time.Time) (string, error) {
	if s.believed.IsZero() {
		s.believed = now
	}
	t := jwt.Token{
		Header: map[string]any{"alg": jwt.SigningMethodES256.Alg(), "kid": s.id.key},
		Claims: jwt.MapClaims{"iss": s.id.team, "iat": s.dateLocked(now).Unix()},
		Method: jwt.SigningMethodES256,
	}
	signed, err := t.SignedString(s.key)
	if err != nil {
		return "", fmt.Errorf("apns: sign a provider token: %w", err)
	}
	s.token, s.minted = signed, now
	return signed, nil
}

// dateLocked is the wall time, as if the clock had not been set since it was believed.
func (s *signer) dateLocked(now time.Time) time.Time {
	return s.believed.Round(0).Add(now.Sub(s.believed))
}

// wasSetLocked tells that the clock was set since it was believed.
func (s *signer) wasSetLocked(now time.Time) bool {
	return now.Round(0).Sub(s.dateLocked(now)).Abs() > clockSlack
}

// misdated tells whether a token may have been refused for its date alone: it is
// not in use any more, or the clock was set since it was believed.
func (s *signer) misdated(refused string, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.token != refused || s.wasSetLocked(now)
}

// renew replaces the token stale, which APNs refused for its date. It returns 0
// when a newer one is there, or how long not to ask for one. Of many callers with
// the same stale token one mints.
func (s *signer) renew(stale string, now time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.token != stale {
		return 0
	}
	if s.wasSetLocked(now) {
		s.believed = now
	} else if age := now.Sub(s.minted); age < tokenFloor {
		return min(tokenFloor-age, tokenLook)
	}
	s.token = "" // the next bearer mints, and reports a failure
	return 0
}
