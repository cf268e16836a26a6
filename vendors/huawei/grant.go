package huawei

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/rouse-im/rouse/vendors"
	"github.com/rouse-im/rouse/vendors/bearer"
	"github.com/rouse-im/rouse/vendors/courier"
)

const (
	// jwtLife is what Huawei's sample signs; more than a day is refused (80300036).
	jwtLife       = time.Hour
	maxBearerLife = 24 * time.Hour
)

// refusedError is the OAuth endpoint's answer when that is not a bearer.
type refusedError struct{ result vendors.Result }

func (e *refusedError) Error() string { return "huawei: OAuth endpoint refused: " + e.result.Code }

// sign makes the JWT that Huawei takes as a bearer as it is.
func (a *account) sign(context.Context) (bearer.Bearer, error) {
	now := time.Now()
	expiry := now.Add(jwtLife)
	token := jwt.NewWithClaims(jwt.SigningMethodPS256, jwt.MapClaims{
		"iss": a.subAccount, "aud": a.audience, "iat": now.Unix(), "exp": expiry.Unix(),
	})
	token.Header["kid"] = a.keyID
	value, err := token.SignedString(a.key)
	if err != nil {
		return bearer.Bearer{}, errors.New("huawei: the service account's private_key cannot sign")
	}
	return bearer.Bearer{Value: value, Expiry: expiry}, nil
}

// requestGrant asks for a bearer with the app's secret.
func (p *parsed) requestGrant(ctx context.Context, via *courier.Client) (bearer.Bearer, error) {
	now := time.Now()
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {p.AppID}, "client_secret": {p.AppSecret}}
	header := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	a, err := via.Post(ctx, p.AuthEndpoint+tokenPath, header, []byte(form.Encode()))
	if err != nil {
		return bearer.Bearer{}, fmt.Errorf("huawei: OAuth endpoint: %w", err)
	}
	return readGrant(a, now)
}

// readGrant: a bearer's life counts from now, when it was asked for.
func readGrant(a courier.Answer, now time.Time) (bearer.Bearer, error) {
	var body struct {
		AccessToken string `json:"access_token"`
		ExpiresIn   int64  `json:"expires_in"` // seconds
	}
	if a.Status != http.StatusOK || json.Unmarshal(a.Body, &body) != nil || !visible(body.AccessToken) || body.ExpiresIn <= 0 {
		return bearer.Bearer{}, &refusedError{classifyGrant(a)}
	}
	life := time.Duration(min(body.ExpiresIn, int64(maxBearerLife/time.Second))) * time.Second
	return bearer.Bearer{Value: body.AccessToken, Expiry: now.Add(life)}, nil
}

// badApp are the sub errors of OAuth error 1101 that an operator must mend:
// wrong client_secret, client_id malformed, client_id unknown (HMS Core
// reference, OAuth 2.0 server error codes).
var badApp = []string{"12304", "20002", "20003"}

const grantFlow = "1302" // flow control of the OAuth endpoint (same source)

func classifyGrant(a courier.Answer) vendors.Result {
	var body struct {
		Error    scalar `json:"error"`
		SubError scalar `json:"sub_error"`
	}
	_ = json.Unmarshal(a.Body, &body) // not JSON: no codes either
	result := vendors.Result{Outcome: vendors.Transient, Code: "oauth " + httpCode(a.Status), RetryAfter: a.RetryAfter}
	switch {
	case a.Status >= 400 && a.Status < 500 && body.Error == "1101" && slices.Contains(badApp, string(body.SubError)):
		return vendors.Result{Outcome: vendors.CredentialBad, Code: "oauth 1101/" + string(body.SubError)}
	case body.Error == grantFlow, a.Status == http.StatusTooManyRequests, a.Status == http.StatusServiceUnavailable:
		result.Outcome = vendors.Throttled
	}
	return result
}

// scalar is a JSON string or number: Huawei's codes are documented as the
// former and have been seen as the latter. Anything else is empty.
type scalar string

// UnmarshalJSON never fails.
func (s *scalar) UnmarshalJSON(raw []byte) error {
	text := strings.Trim(string(raw), `" `)
	*s = ""
	if len(text) <= 20 && visible(text) && !strings.ContainsAny(text, `\{[`) && text != "null" {
		*s = scalar(text)
	}
	return nil
}
