package oppo

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/rouse-im/rouse/vendors"
	"github.com/rouse-im/rouse/vendors/bearer"
	"github.com/rouse-im/rouse/vendors/courier"
)

const (
	// bearerLife counts from create_time (OPPO PUSH server API, "Authentication").
	bearerLife = 24 * time.Hour
	// clockSlack is how far OPPO lets clocks differ; no bearer is given a
	// shorter life than that.
	clockSlack = 10 * time.Minute
)

// refusedError is the auth call's answer when that is not a bearer.
type refusedError struct{ result vendors.Result }

func (e *refusedError) Error() string { return "oppo: auth refused: " + e.result.Code }

// key signs requests for bearers.
type key struct{ app, secret string }

// sign is the lower-case hex SHA-256 of app key, timestamp and master secret.
func (k key) sign(timestamp string) string {
	sum := sha256.Sum256([]byte(k.app + timestamp + k.secret))
	return hex.EncodeToString(sum[:])
}

// grant asks origin for a bearer. A timestamp that OPPO calls off gets one
// more try: it may have waited for a connection.
func (k key) grant(ctx context.Context, client *courier.Client, origin string) (bearer.Bearer, error) {
	for last := false; ; last = true {
		now := time.Now()
		timestamp := strconv.FormatInt(now.UnixMilli(), 10)
		form := url.Values{"app_key": {k.app}, "timestamp": {timestamp}, "sign": {k.sign(timestamp)}}
		got, err := client.Post(ctx, origin+"/server/v1/auth", formHeader, []byte(form.Encode()))
		if err != nil {
			return bearer.Bearer{}, fmt.Errorf("oppo: auth: %w", err)
		}
		a := read(got)
		if a.code.given && a.code.value == codeTimestamp && !last {
			continue
		}
		return a.bearer(now)
	}
}

var formHeader = http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}

// bearer reads {"auth_token":"…","create_time":ms}.
func (a *answer) bearer(now time.Time) (bearer.Bearer, error) {
	var data struct {
		Token   string `json:"auth_token"`
		Created number `json:"create_time"`
	}
	if a.Status != http.StatusOK || !a.code.given || a.code.value != 0 ||
		json.Unmarshal(a.data, &data) != nil || !visible(data.Token, 1024) {
		result := a.result(now, true)
		if result.Outcome != vendors.CredentialBad && result.Outcome != vendors.Throttled {
			result.Outcome = vendors.Transient
		}
		result.Code, result.VendorID = "auth "+result.Code, ""
		return bearer.Bearer{}, &refusedError{result}
	}
	expiry := now.Add(bearerLife)
	if data.Created.given {
		if told := time.UnixMilli(int64(data.Created.value)).Add(bearerLife); told.Before(expiry) {
			expiry = told
		}
	}
	if soonest := now.Add(clockSlack); expiry.Before(soonest) {
		expiry = soonest
	}
	return bearer.Bearer{Value: data.Token, Expiry: expiry}, nil
}
