package fcm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/rouse-im/rouse/vendors"
	"github.com/rouse-im/rouse/vendors/bearer"
)

// maxBearerLife bounds what the token endpoint may promise.
const maxBearerLife = 24 * time.Hour

// refusedError is the token endpoint's answer when that is not a bearer.
type refusedError struct{ result vendors.Result }

func (e *refusedError) Error() string {
	return "fcm: token endpoint refused: " + e.result.Code
}

// scope is all that sending needs (FCM HTTP v1 reference, Authorization scopes).
const scope = "https://www.googleapis.com/auth/firebase.messaging"

const (
	grantType     = "urn:ietf:params:oauth:grant-type:jwt-bearer" // RFC 7523 §2.1
	assertionLife = time.Hour                                     // Google's maximum
)

// requestGrant asks the account's token endpoint for a bearer.
func (a *account) requestGrant(ctx context.Context, via http.RoundTripper) (bearer.Bearer, error) {
	now := time.Now()
	assertion, err := a.assertion(now)
	if err != nil {
		return bearer.Bearer{}, err
	}
	form := url.Values{"grant_type": {grantType}, "assertion": {assertion}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, a.tokenURI, strings.NewReader(form.Encode()))
	if err != nil {
		return bearer.Bearer{}, fmt.Errorf("fcm: token request: %w", err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	got, err := ask(via, req)
	if err != nil {
		return bearer.Bearer{}, fmt.Errorf("fcm: no answer from the token endpoint: %w", err)
	}
	return readGrant(got, now)
}

func (a *account) assertion(now time.Time) (string, error) {
	token := jwt.NewWithClaims(jwt.SigningMethodRS256, jwt.MapClaims{
		"iss": a.email, "scope": scope, "aud": a.tokenURI,
		"iat": now.Unix(), "exp": now.Add(assertionLife).Unix(),
	})
	token.Header["kid"] = a.keyID
	signed, err := token.SignedString(a.key)
	if err != nil {
		return "", errors.New("fcm: the service account's private_key cannot sign")
	}
	return signed, nil
}

// readGrant: a bearer's life counts from now, when it was asked for.
func readGrant(a answer, now time.Time) (bearer.Bearer, error) {
	var body struct {
		AccessToken string `json:"access_token"`
		ExpiresIn   int64  `json:"expires_in"` // seconds
	}
	if a.status != http.StatusOK || json.Unmarshal(a.body, &body) != nil ||
		!visible(body.AccessToken) || body.ExpiresIn <= 0 {
		return bearer.Bearer{}, &refusedError{classifyGrant(a, now)}
	}
	life := time.Duration(min(body.ExpiresIn, int64(maxBearerLife/time.Second))) * time.Second
	return bearer.Bearer{Value: body.AccessToken, Expiry: now.Add(life)}, nil
}
