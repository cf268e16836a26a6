package fake

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"
)

const (
	oppoTokenLife = 24 * time.Hour
	oppoClock     = 10 * time.Minute // how far clocks may differ
)

// oppoAuth knows the apps and the tokens given to them.
type oppoAuth struct {
	mu     sync.Mutex
	apps   map[string]OPPOApp // by app key
	tokens map[string]oppoToken
	given  int
}

type oppoToken struct {
	app    string
	expiry time.Time
}

// AddApp lets app ask for auth tokens.
func (f *OPPO) AddApp(app OPPOApp) {
	f.auth.mu.Lock()
	defer f.auth.mu.Unlock()
	f.auth.apps[app.AppKey] = app
}

// RevokeTokens ends all auth tokens given so far.
func (f *OPPO) RevokeTokens() {
	f.auth.mu.Lock()
	defer f.auth.mu.Unlock()
	clear(f.auth.tokens)
}

// Tokens counts the auth tokens given so far.
func (f *OPPO) Tokens() int {
	f.auth.mu.Lock()
	defer f.auth.mu.Unlock()
	return f.auth.given
}

func (f *OPPO) serveAuth(w http.ResponseWriter, r *http.Request) {
	form, ok := oppoForm(r)
	if !ok {
		return
	}
	usual := func() {
		w.Header().Set("content-type", "application/json;charset=UTF-8")
		_, _ = w.Write(f.auth.grant(form, f.opts.TokenLife, time.Now()).body())
	}
	if fault, hit := f.AuthFaults.Take(""); hit {
		f.server.Fail(fault, w, r, func() {}, usual)
		return
	}
	usual()
}

func (a *oppoAuth) grant(form url.Values, life time.Duration, now time.Time) oppoAnswer {
	a.mu.Lock()
	defer a.mu.Unlock()
	app, known := a.apps[form.Get("app_key")]
	timestamp := form.Get("timestamp")
	ms, err := strconv.ParseInt(timestamp, 10, 64)
	sum := sha256.Sum256([]byte(app.AppKey + timestamp + app.MasterSecret))
	switch {
	case form.Get("app_key") == "":
		return oppoAnswer{Code: 14, Message: "app_key missing"}
	case !known:
		return oppoAnswer{Code: 15, Message: "app_key invalid"}
	case form.Get("sign") == "":
		return oppoAnswer{Code: 16, Message: "sign missing"}
	case form.Get("sign") != hex.EncodeToString(sum[:]):
		return oppoAnswer{Code: 17, Message: "sign invalid"}
	case timestamp == "":
		return oppoAnswer{Code: 18, Message: "timestamp missing"}
	case err != nil || now.Sub(time.UnixMilli(ms)).Abs() > oppoClock:
		return oppoAnswer{Code: 19, Message: "timestamp invalid"}
	}
	if len(a.tokens) >= maxBearers {
		clear(a.tokens)
	}
	raw := make([]byte, 12)
	_, _ = rand.Read(raw) // never fails
	value := hex.EncodeToString(raw)
	a.tokens[value] = oppoToken{app: app.AppKey, expiry: now.Add(life)}
	a.given++
	return oppoAnswer{Message: "success", Data: map[string]any{
		"auth_token": value, "create_time": now.Add(life - oppoTokenLife).UnixMilli(),
	}}
}

// allow finds the app of the request's token, in the form or the header.
func (a *oppoAuth) allow(r *http.Request, form url.Values, now time.Time) (OPPOApp, *oppoAnswer) {
	value := form.Get("auth_token")
	if value == "" {
		value = r.Header.Get("auth_token")
	}
	if value == "" {
		return OPPOApp{}, &oppoAnswer{Code: 29, Message: "auth_token missing"}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	token, known := a.tokens[value]
	if !known || !now.Before(token.expiry) {
		return OPPOApp{}, &oppoAnswer{Code: 11, Message: "auth_token invalid"}
	}
	app := a.apps[token.app]
	if app.Disabled {
		return app, &oppoAnswer{Code: 28, Message: "the app is disabled"}
	}
	return app, nil
}
