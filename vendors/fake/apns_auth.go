package fake

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Lifetimes of a provider token ("Establishing a token-based connection").
const (
	apnsTokenLifetime = time.Hour
	apnsTokenFloor    = 20 * time.Minute
)

// maxBearers bounds the verified tokens remembered; the map starts anew beyond.
const maxBearers = 4096

// apnsAuth knows the keys that may sign provider tokens.
type apnsAuth struct {
	mu      sync.Mutex
	keys    map[string]apnsKey // by key id
	bearers map[string]*apnsBearer
}

type apnsKey struct {
	team   string
	public *ecdsa.PublicKey
	// topics limits a topic-specific key; empty = all of the team's.
	topics []string
}

type apnsBearer struct {
	team, kid string
	issued    time.Time
	topics    []string
	expired   bool
}

// NewAPNsKey makes the private key of a provider: the text of a .p8 file, and
// its public half for AddKey.
func NewAPNsKey() (p8 []byte, public *ecdsa.PublicKey, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("fake apns key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, fmt.Errorf("fake apns key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), &key.PublicKey, nil
}

// AddKey registers a key of team under id. With topics it is topic-specific.
func (a *APNs) AddKey(team, id string, public *ecdsa.PublicKey, topics ...string) {
	a.auth.mu.Lock()
	defer a.auth.mu.Unlock()
	a.auth.keys[id] = apnsKey{team: team, public: public, topics: topics}
}

// RevokeKey makes tokens signed by key id invalid, those in use included.
func (a *APNs) RevokeKey(id string) {
	a.auth.mu.Lock()
	defer a.auth.mu.Unlock()
	delete(a.auth.keys, id)
	clear(a.auth.bearers)
}

// ExpireBearers ends the life of all provider tokens seen so far.
func (a *APNs) ExpireBearers() {
	a.auth.mu.Lock()
	defer a.auth.mu.Unlock()
	for _, b := range a.auth.bearers {
		b.expired = true
	}
}

// authorize checks the provider token of one request against its connection;
// the result is an APNs reason, or empty. It holds c.mu.
func (a *APNs) authorize(c *apnsConn, header, topic string, now time.Time) string {
	if c.certTopic != "" {
		if topic != c.certTopic && !strings.HasPrefix(topic, c.certTopic+".") {
			return "TopicDisallowed"
		}
		return ""
	}
	scheme, raw, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "bearer") || raw == "" {
		return "MissingProviderToken"
	}
	b := a.bearer(raw)
	switch {
	case b == nil || c.bearer != nil && c.bearer.team != b.team:
		return "InvalidProviderToken"
	case b.expired || now.Sub(b.issued) > apnsTokenLifetime:
		return "ExpiredProviderToken"
	case c.bearer != nil && c.bearer.kid != b.kid && (len(c.bearer.topics) > 0 || len(b.topics) > 0):
		return "UnrelatedKeyIdInToken"
	case c.bearer != nil && c.bearer != b && b.issued.Sub(c.bearer.issued).Abs() < apnsTokenFloor:
		return "TooManyProviderTokenUpdates"
	case len(b.topics) > 0 && !slices.Contains(b.topics, topic):
		return "TopicDisallowed"
	}
	c.bearer = b
	return ""
}

// bearer returns the verified token, or nil. Verification is paid once a token.
func (a *APNs) bearer(raw string) *apnsBearer {
	a.auth.mu.Lock()
	defer a.auth.mu.Unlock()
	if b := a.auth.bearers[raw]; b != nil {
		return b
	}
	claims := jwt.MapClaims{}
	b := &apnsBearer{}
	_, err := jwt.ParseWithClaims(raw, claims, func(t *jwt.Token) (any, error) {
		b.kid, _ = t.Header["kid"].(string)
		key, ok := a.auth.keys[b.kid]
		if !ok {
			return nil, jwt.ErrTokenUnverifiable
		}
		b.team, b.topics = key.team, key.topics
		return key.public, nil
	}, jwt.WithValidMethods([]string{"ES256"}), jwt.WithoutClaimsValidation())
	issued, iatErr := claims.GetIssuedAt()
	if err != nil || iatErr != nil || issued == nil || claims["iss"] != b.team {
		return nil
	}
	b.issued = issued.Time
	if len(a.auth.bearers) >= maxBearers {
		clear(a.auth.bearers)
	}
	a.auth.bearers[raw] = b
	a.stats.bearers.Add(1)
	return b
}
