package apns

import (
	"crypto/ecdsa"
	"fmt"
	"sync"
	"time"

	"github.com/sideshow/apns2/token"
)

// Ages of a provider token. Apple: refresh at most once in 20 minutes and at
// least once in 60 ("Establishing a token-based connection to APNs").
const (
	tokenFloor    = 20 * time.Minute
	tokenRefresh  = 50 * time.Minute
	tokenLifetime = time.Hour
	// clockSlack is how far the clock may step back before the token counts
	// as one from the future.
	clockSlack = time.Minute
)

// signer mints the provider tokens of one key. There is one for each key in a
// process, whatever the number of senders, because Apple counts refreshes.
type signer struct {
	id signerID

	mu    sync.Mutex
	token token.Token
	users int // guarded by signers.mu
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
		if s.users == 0 && s.age(now).Abs() > tokenLifetime {
			delete(signers.all, other)
		}
	}
	s := signers.all[id]
	if s == nil {
		s = &signer{id: id, token: token.Token{AuthKey: key, KeyID: keyID, TeamID: team}}
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
	return s.ageLocked(now)
}

func (s *signer) ageLocked(now time.Time) time.Duration {
	return now.Sub(time.Unix(s.token.IssuedAt, 0))
}

// bearer returns the token in use, minting one when it is due.
func (s *signer) bearer(now time.Time) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if age := s.ageLocked(now); s.token.Bearer == "" || age >= tokenRefresh || age < -clockSlack {
		return s.mintLocked()
	}
	return s.token.Bearer, nil
}

func (s *signer) mintLocked() (string, error) {
	if _, err := s.token.Generate(); err != nil {
		return "", fmt.Errorf("apns: sign a provider token: %w", err)
	}
	return s.token.Bearer, nil
}

// renew replaces the token stale, which APNs called expired. It returns 0 when
// a newer one is there, or how long none may be minted yet. Of many callers
// with the same stale token one mints.
func (s *signer) renew(stale string, now time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.token.Bearer != stale {
		return 0
	}
	if age := s.ageLocked(now); age >= 0 && age < tokenFloor {
		return tokenFloor - age
	}
	s.token.Bearer = "" // the next bearer mints, and reports a failure
	return 0
}
