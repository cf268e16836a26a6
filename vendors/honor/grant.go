package honor

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/rouse-im/rouse/vendors"
	"github.com/rouse-im/rouse/vendors/bearer"
	"github.com/rouse-im/rouse/vendors/courier"
)

const (
	// defaultBearerLife is what Honor's public clients assume when the answer
	// does not say.
	defaultBearerLife = time.Hour
	maxBearerLife     = 24 * time.Hour
)

// refusedError is the OAuth endpoint's answer when that is not a bearer.
type refusedError struct{ result vendors.Result }

func (e *refusedError) Error() string { return "honor: OAuth endpoint refused: " + e.result.Code }

// requestGrant asks for a bearer with the client's secret.
func (c *Config) requestGrant(ctx context.Context, via *courier.Client) (bearer.Bearer, error) {
	now := time.Now()
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {c.ClientID}, "client_secret": {c.ClientSecret}}
	header := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	a, err := via.Post(ctx, c.AuthEndpoint, header, []byte(form.Encode()))
	if err != nil {
		return bearer.Bearer{}, fmt.Errorf("honor: OAuth endpoint: %w", err)
	}
	return readGrant(a, now)
}

// readGrant: a bearer's life counts from now, when it was asked for.
func readGrant(a courier.Answer, now time.Time) (bearer.Bearer, error) {
	var body struct {
		AccessToken string `json:"access_token"`
		ExpiresIn   scalar `json:"expires_in"` // seconds
	}
	if a.Status != http.StatusOK || json.Unmarshal(a.Body, &body) != nil || !visible(body.AccessToken) {
		return bearer.Bearer{}, &refusedError{classifyGrant(a)}
	}
	life := defaultBearerLife
	if seconds, err := strconv.ParseInt(string(body.ExpiresIn), 10, 64); err == nil && seconds > 0 {
		life = time.Duration(min(seconds, int64(maxBearerLife/time.Second))) * time.Second
	}
	return bearer.Bearer{Value: body.AccessToken, Expiry: now.Add(life)}, nil
}

// badClient are OAuth's own words for a wrong id or secret (RFC 6749 §5.2),
// which Honor uses.
var badClient = []string{"unauthorized_client", "invalid_client", "invalid_grant"}

func classifyGrant(a courier.Answer) vendors.Result {
	var body struct {
		Error scalar `json:"error"`
	}
	_ = json.Unmarshal(a.Body, &body) // not JSON: no code either
	result := vendors.Result{Outcome: vendors.Transient, Code: "oauth " + httpCode(a.Status), RetryAfter: a.RetryAfter}
	switch {
	case a.Status >= 400 && a.Status < 500 && slices.Contains(badClient, string(body.Error)):
		return vendors.Result{Outcome: vendors.CredentialBad, Code: "oauth " + string(body.Error)}
	case a.Status == http.StatusTooManyRequests, a.Status == http.StatusServiceUnavailable:
		result.Outcome = vendors.Throttled
	}
	return result
}
