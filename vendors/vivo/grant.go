package vivo

import (
	"context"
	"crypto/md5" // which vivo signs with
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/rouse-im/rouse/vendors"
	"github.com/rouse-im/rouse/vendors/bearer"
	"github.com/rouse-im/rouse/vendors/courier"
)

// bearerLife is well below vivo's 24 hours: vivo advises to ask for a new token
// every hour or two, and old ones stay good (PUSH-UPS-API, "Authentication").
const bearerLife = time.Hour

// refusedError is the auth call's answer when that is not a bearer.
type refusedError struct{ result vendors.Result }

func (e *refusedError) Error() string { return "vivo: auth refused: " + e.result.Code }

// key signs requests for bearers.
type key struct{ id, app, secret string }

// sign is the lower-case hex MD5 of app id, app key, timestamp and app secret.
func (k key) sign(timestamp string) string {
	sum := md5.Sum([]byte(k.id + k.app + timestamp + k.secret))
	return hex.EncodeToString(sum[:])
}

var jsonHeader = http.Header{"Content-Type": {"application/json;charset=UTF-8"}}

// grant asks origin for a bearer. A timestamp that vivo calls off gets one
// more try: it may have waited for a connection.
func (k key) grant(ctx context.Context, client *courier.Client, origin string) (bearer.Bearer, error) {
	for last := false; ; last = true {
		now := time.Now()
		timestamp := strconv.FormatInt(now.UnixMilli(), 10)
		got, err := client.Post(ctx, origin+"/message/auth", jsonHeader, courier.JSON(struct {
			AppID     json.Number `json:"appId"`
			AppKey    string      `json:"appKey"`
			Timestamp json.Number `json:"timestamp"`
			Sign      string      `json:"sign"`
		}{json.Number(k.id), k.app, json.Number(timestamp), k.sign(timestamp)}))
		if err != nil {
			return bearer.Bearer{}, fmt.Errorf("vivo: auth: %w", err)
		}
		a := read(got)
		if a.is(codeTimestamp) && !last {
			continue
		}
		if a.Status == http.StatusOK && a.is(0) && visible(a.bearer, 1024) {
			return bearer.Bearer{Value: a.bearer, Expiry: now.Add(bearerLife)}, nil
		}
		return bearer.Bearer{}, &refusedError{a.refusal(now)}
	}
}

// refusal is what an answer without a bearer says.
func (a *answer) refusal(now time.Time) vendors.Result {
	result := a.whole(now, true)
	if result.Outcome != vendors.CredentialBad && result.Outcome != vendors.Throttled {
		result.Outcome = vendors.Transient
	}
	result.Code, result.VendorID = "auth "+result.Code, ""
	return result
}
