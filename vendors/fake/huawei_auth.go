package fake

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const (
	huaweiAudience   = "https://oauth-login.cloud.huawei.com/oauth2/v3/token"
	huaweiBearerLife = time.Hour
	huaweiMaxJWTLife = 24 * time.Hour
)

// HuaweiAccount is a service account of one project (HarmonyOS 5).
type HuaweiAccount struct {
	Project, KeyID, SubAccount string
	Public                     *rsa.PublicKey
	// Private is the key's PEM.
	Private []byte
}

// NewHuaweiAccount makes a service account with a new key.
func NewHuaweiAccount(project string) (HuaweiAccount, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return HuaweiAccount{}, fmt.Errorf("fake huawei key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return HuaweiAccount{}, fmt.Errorf("fake huawei key: %w", err)
	}
	return HuaweiAccount{
		Project: project, KeyID: rand.Text(), SubAccount: "103" + project, Public: &key.PublicKey,
		Private: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}),
	}, nil
}

// JSON is the service-account file as AppGallery Connect gives it.
func (a HuaweiAccount) JSON() []byte {
	raw, err := json.MarshalIndent(map[string]string{
		"project_id":             a.Project,
		"key_id":                 a.KeyID,
		"private_key":            string(a.Private),
		"sub_account":            a.SubAccount,
		"auth_uri":               "https://oauth-login.cloud.huawei.com/oauth2/v3/authorize",
		"token_uri":              huaweiAudience,
		"auth_provider_cert_uri": "https://oauth-login.cloud.huawei.com/oauth2/v3/certs",
		"client_cert_uri":        "https://oauth-login.cloud.huawei.com/oauth2/v3/x509?client_id=",
	}, "", "  ")
	if err != nil {
		return nil // strings always encode
	}
	return raw
}

// huaweiAuth knows the apps and accounts, the bearers given to the former and
// the JWTs seen from the latter.
type huaweiAuth struct {
	mu       sync.Mutex
	secrets  map[string]string        // app secret by app id
	accounts map[string]HuaweiAccount // by project
	bearers  map[string]huaweiBearer
	jwts     map[string]bool // false = revoked
	given    int64
}

type huaweiBearer struct {
	app    string
	expiry time.Time
}

// AddApp lets the app ask for bearers and send to HMS tokens.
func (h *Huawei) AddApp(app, secret string) {
	h.auth.mu.Lock()
	defer h.auth.mu.Unlock()
	h.auth.secrets[app] = secret
}

// AddAccount lets the account sign JWTs and send to HarmonyOS 5 tokens.
func (h *Huawei) AddAccount(account HuaweiAccount) {
	h.auth.mu.Lock()
	defer h.auth.mu.Unlock()
	h.auth.accounts[account.Project] = account
}

// RevokeBearers ends all bearers given and all JWTs seen so far: they are
// answered as expired.
func (h *Huawei) RevokeBearers() {
	h.auth.mu.Lock()
	defer h.auth.mu.Unlock()
	for value, b := range h.auth.bearers {
		h.auth.bearers[value] = huaweiBearer{app: b.app}
	}
	for value := range h.auth.jwts {
		h.auth.jwts[value] = false
	}
}

var (
	huaweiAuthFailed  = &huaweiAnswer{http.StatusUnauthorized, "80200001", "OAuth authentication error"}
	huaweiAuthExpired = &huaweiAnswer{http.StatusUnauthorized, "80200003", "OAuth token expired"}
	huaweiJWTExpired  = &huaweiAnswer{http.StatusUnauthorized, "80200005", "The JWT is expired"}
	huaweiJWTTooLong  = &huaweiAnswer{http.StatusBadRequest, "80300036", "The JWT is valid for more than one day"}
)

// allowBearer returns nil when the header's bearer may send for app.
func (a *huaweiAuth) allowBearer(header, app string, now time.Time) *huaweiAnswer {
	a.mu.Lock()
	defer a.mu.Unlock()
	value, _ := strings.CutPrefix(header, "Bearer ")
	b, known := a.bearers[value]
	switch {
	case !known || b.app != app:
		return huaweiAuthFailed
	case !now.Before(b.expiry):
		return huaweiAuthExpired
	}
	return nil
}

// allowJWT returns nil when the header's JWT is of the project's account.
func (a *huaweiAuth) allowJWT(header, project string, now time.Time) *huaweiAnswer {
	a.mu.Lock()
	defer a.mu.Unlock()
	value, _ := strings.CutPrefix(header, "Bearer ")
	live, seen := a.jwts[value]
	if seen && !live {
		return huaweiJWTExpired
	}
	account, known := a.accounts[project]
	if !known {
		return huaweiAuthFailed
	}
	claims := jwt.MapClaims{}
	_, err := jwt.ParseWithClaims(value, claims, func(t *jwt.Token) (any, error) {
		if t.Header["kid"] != account.KeyID {
			return nil, errors.New("unknown key")
		}
		return account.Public, nil
	}, jwt.WithValidMethods([]string{"PS256"}), jwt.WithAudience(huaweiAudience), jwt.WithIssuer(account.SubAccount),
		jwt.WithIssuedAt(), jwt.WithExpirationRequired(), jwt.WithTimeFunc(func() time.Time { return now }))
	if errors.Is(err, jwt.ErrTokenExpired) {
		return huaweiJWTExpired
	}
	if err != nil {
		return huaweiAuthFailed
	}
	issued, _ := claims.GetIssuedAt()
	expires, _ := claims.GetExpirationTime()
	if issued == nil || expires.Sub(issued.Time) > huaweiMaxJWTLife {
		return huaweiJWTTooLong
	}
	if !seen {
		if len(a.jwts) >= maxBearers {
			clear(a.jwts)
		}
		a.jwts[value] = true
		a.given++
	}
	return nil
}

func (h *Huawei) serveToken(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	h.stats.grants.Add(1)
	usual := func() { h.grant(w, r, body) }
	if fault, hit := h.OAuthFaults.Take(""); hit {
		h.server.Fail(fault, w, r, func() {}, usual)
		return
	}
	usual()
}

// grant answers a client credentials grant.
func (h *Huawei) grant(w http.ResponseWriter, r *http.Request, body []byte) {
	form, err := url.ParseQuery(string(body))
	h.auth.mu.Lock()
	defer h.auth.mu.Unlock()
	secret, known := h.auth.secrets[form.Get("client_id")]
	refuse := func(sub int, why string) {
		w.Header().Set("content-type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		_, _ = fmt.Fprintf(w, `{"error":1101,"sub_error":%d,"error_description":%q}`, sub, why)
	}
	switch {
	case err != nil || r.Header.Get("Content-Type") != "application/x-www-form-urlencoded",
		form.Get("grant_type") != "client_credentials":
		refuse(20001, "invalid request")
	case !known:
		refuse(20003, "client_id does not exist")
	case form.Get("client_secret") != secret:
		refuse(12304, "invalid client_secret")
	default:
		if len(h.auth.bearers) >= maxBearers {
			clear(h.auth.bearers)
		}
		value := "DQEBAfake/" + rand.Text()
		h.auth.bearers[value] = huaweiBearer{form.Get("client_id"), time.Now().Add(huaweiBearerLife)}
		h.auth.given++
		w.Header().Set("content-type", "application/json")
		// Huawei escapes the slashes of its bearers.
		_, _ = fmt.Fprintf(w, `{"access_token":"%s","expires_in":%d,"token_type":"Bearer"}`,
			strings.ReplaceAll(value, "/", `\/`), int(huaweiBearerLife/time.Second))
	}
}
