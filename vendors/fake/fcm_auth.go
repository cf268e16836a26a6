package fake

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// fcmBearerLife is what Google gives, in seconds.
const fcmBearerLife = 3599

// FCMAccount is a service account of one project.
type FCMAccount struct {
	Project, Email, KeyID string
	Public                *rsa.PublicKey
	// Private is the key's PEM.
	Private []byte
}

// NewFCMAccount makes a service account with a new key.
func NewFCMAccount(project string) (FCMAccount, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return FCMAccount{}, fmt.Errorf("fake fcm key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return FCMAccount{}, fmt.Errorf("fake fcm key: %w", err)
	}
	return FCMAccount{
		Project: project,
		Email:   "push@" + project + ".iam.gserviceaccount.com",
		KeyID:   rand.Text(),
		Public:  &key.PublicKey,
		Private: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}),
	}, nil
}

// JSON is the service-account file, for a fake reached at origin ("https://host:port").
func (a FCMAccount) JSON(origin string) []byte {
	raw, err := json.MarshalIndent(map[string]string{
		"type":           "service_account",
		"project_id":     a.Project,
		"private_key_id": a.KeyID,
		"private_key":    string(a.Private),
		"client_email":   a.Email,
		"token_uri":      origin + "/token",
	}, "", "  ")
	if err != nil {
		return nil // strings always encode
	}
	return raw
}

// fcmAuth knows the accounts and the bearers given to them.
type fcmAuth struct {
	mu       sync.Mutex
	accounts map[string]FCMAccount // by email
	bearers  map[string]fcmBearer
	given    int64
}

type fcmBearer struct {
	project string
	expiry  time.Time
	scoped  bool
}

// AddAccount lets account ask for bearers; its project exists from now on.
func (f *FCM) AddAccount(account FCMAccount) {
	f.auth.mu.Lock()
	defer f.auth.mu.Unlock()
	f.auth.accounts[account.Email] = account
}

// RevokeBearers ends all bearers given so far, as a key rotation does.
func (f *FCM) RevokeBearers() {
	f.auth.mu.Lock()
	defer f.auth.mu.Unlock()
	clear(f.auth.bearers)
}

// Bearers lists the bearers that are not revoked, in no order.
func (f *FCM) Bearers() []string {
	f.auth.mu.Lock()
	defer f.auth.mu.Unlock()
	var all []string
	for value := range f.auth.bearers {
		all = append(all, value)
	}
	return all
}

// allow returns nil when the header's bearer may send for project.
func (a *fcmAuth) allow(header, project string, now time.Time) *fcmError {
	a.mu.Lock()
	defer a.mu.Unlock()
	value, _ := strings.CutPrefix(header, "Bearer ")
	b, known := a.bearers[value]
	if !known || !now.Before(b.expiry) {
		return &fcmError{
			http: 401, status: "UNAUTHENTICATED",
			message: "Request had invalid authentication credentials. Expected OAuth 2 access token, " +
				"login cookie or other valid authentication credential.",
		}
	}
	exists := slices.ContainsFunc(a.projects(), func(p string) bool { return p == project })
	switch {
	case !exists:
		return &fcmError{http: 404, status: "NOT_FOUND", message: "Requested entity was not found."}
	case b.project != project:
		return &fcmError{
			http: 403, status: "PERMISSION_DENIED",
			message: "Permission 'cloudmessaging.messages.create' denied on resource '//cloudresourcemanager.googleapis.com/projects/" + project + "'.",
		}
	case !b.scoped:
		return &fcmError{http: 403, status: "PERMISSION_DENIED", message: "Request had insufficient authentication scopes."}
	}
	return nil
}

func (a *fcmAuth) projects() []string {
	var all []string
	for _, account := range a.accounts {
		all = append(all, account.Project)
	}
	return all
}

func (f *FCM) serveToken(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	f.stats.grants.Add(1)
	usual := func() { f.grant(w, r, body) }
	if fault, hit := f.OAuthFaults.Take(""); hit {
		f.server.Fail(fault, w, r, func() {}, usual)
		return
	}
	usual()
}

func (f *FCM) grant(w http.ResponseWriter, r *http.Request, body []byte) {
	w.Header().Set("content-type", "application/json; charset=utf-8")
	value, code, why := f.auth.grant(r, body, time.Now())
	reply := map[string]any{"access_token": value, "expires_in": fcmBearerLife, "token_type": "Bearer"}
	if code != "" {
		w.WriteHeader(http.StatusBadRequest)
		reply = map[string]any{"error": code, "error_description": why}
	}
	_ = json.NewEncoder(w).Encode(reply)
}

// grant checks a JWT bearer grant (RFC 7523) as Google does and returns a new
// bearer, or OAuth's error code and description.
func (a *fcmAuth) grant(r *http.Request, body []byte, now time.Time) (value, code, why string) {
	form, err := url.ParseQuery(string(body))
	if err != nil || r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" {
		return "", "invalid_request", "Could not parse the form."
	}
	if form.Get("grant_type") != "urn:ietf:params:oauth:grant-type:jwt-bearer" {
		return "", "unsupported_grant_type", "Invalid grant_type: " + form.Get("grant_type")
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	var account FCMAccount
	claims := jwt.MapClaims{}
	_, err = jwt.ParseWithClaims(form.Get("assertion"), claims, func(t *jwt.Token) (any, error) {
		email, _ := claims.GetIssuer()
		known := false
		if account, known = a.accounts[email]; !known || t.Header["kid"] != account.KeyID {
			return nil, fmt.Errorf("account not found")
		}
		return account.Public, nil
	}, jwt.WithValidMethods([]string{"RS256"}), jwt.WithAudience("https://"+r.Host+"/token"),
		jwt.WithIssuedAt(), jwt.WithExpirationRequired(), jwt.WithTimeFunc(func() time.Time { return now }))
	if err != nil {
		return "", "invalid_grant", "Invalid JWT: " + err.Error()
	}
	issued, err := claims.GetIssuedAt()
	expires, _ := claims.GetExpirationTime()
	if err != nil || issued == nil || expires.Sub(issued.Time) > time.Hour {
		return "", "invalid_grant", "Invalid JWT: Token must be a short-lived token (60 minutes)"
	}
	scopes, _ := claims["scope"].(string)
	if scopes == "" {
		return "", "invalid_scope", "Empty or missing scope not allowed."
	}
	return a.issue(account.Project, scopes, now), "", ""
}

func (a *fcmAuth) issue(project, scopes string, now time.Time) string {
	if len(a.bearers) >= maxBearers {
		clear(a.bearers)
	}
	raw := make([]byte, 16)
	_, _ = rand.Read(raw) // never fails
	value := "ya29.fake-" + hex.EncodeToString(raw)
	scoped := slices.ContainsFunc(strings.Fields(scopes), func(s string) bool {
		return s == "https://www.googleapis.com/auth/firebase.messaging" || s == "https://www.googleapis.com/auth/cloud-platform"
	})
	a.bearers[value] = fcmBearer{project: project, expiry: now.Add(fcmBearerLife * time.Second), scoped: scoped}
	a.given++
	return value
}
