package fake

import (
	"crypto/md5"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	vivoTokenLife = 24 * time.Hour
	vivoClock     = 10 * time.Minute // how far clocks may differ
	vivoAuthRate  = 10               // auth requests of one app per second
)

// vivoAuth knows the apps and the tokens given to them.
type vivoAuth struct {
	mu     sync.Mutex
	apps   map[int]VivoApp
	tokens map[string]vivoToken
	rate   span
	given  int
}

type vivoToken struct {
	app    int
	expiry time.Time
}

// AddApp lets app ask for auth tokens.
func (f *Vivo) AddApp(app VivoApp) {
	f.auth.mu.Lock()
	defer f.auth.mu.Unlock()
	f.auth.apps[app.ID] = app
}

// RevokeTokens ends all auth tokens given so far.
func (f *Vivo) RevokeTokens() {
	f.auth.mu.Lock()
	defer f.auth.mu.Unlock()
	clear(f.auth.tokens)
}

// Tokens counts the auth tokens given so far.
func (f *Vivo) Tokens() int {
	f.auth.mu.Lock()
	defer f.auth.mu.Unlock()
	return f.auth.given
}

// vivoNumber is a number, or its text.
type vivoNumber string

// UnmarshalJSON takes both.
func (n *vivoNumber) UnmarshalJSON(raw []byte) error {
	*n = vivoNumber(strings.Trim(string(raw), `"`))
	return nil
}

func (f *Vivo) serveAuth(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	usual := func() {
		var q struct {
			AppID     vivoNumber `json:"appId"`
			AppKey    string     `json:"appKey"`
			Timestamp vivoNumber `json:"timestamp"`
			Sign      string     `json:"sign"`
		}
		if json.Unmarshal(body, &q) != nil {
			http.Error(w, "malformed", http.StatusBadRequest)
			return
		}
		w.Header().Set("content-type", vivoJSON)
		f.auth.grant(string(q.AppID), q.AppKey, string(q.Timestamp), q.Sign, time.Now()).write(w)
	}
	if fault, hit := f.AuthFaults.Take(""); hit {
		f.server.Fail(fault, w, r, func() {}, usual)
		return
	}
	usual()
}

func (a *vivoAuth) grant(appID, appKey, timestamp, sign string, now time.Time) vivoAnswer {
	a.mu.Lock()
	defer a.mu.Unlock()
	id, _ := strconv.Atoi(appID)
	app, known := a.apps[id]
	ms, err := strconv.ParseInt(timestamp, 10, 64)
	sum := md5.Sum([]byte(appID + appKey + timestamp + app.AppSecret))
	switch {
	case appID == "":
		return vivoAnswer{Result: 10200}
	case appKey == "":
		return vivoAnswer{Result: 10202}
	case timestamp == "":
		return vivoAnswer{Result: 10203}
	case sign == "":
		return vivoAnswer{Result: 10204}
	case !known || appKey != app.AppKey:
		return vivoAnswer{Result: 10205}
	case sign != hex.EncodeToString(sum[:]):
		return vivoAnswer{Result: 10206}
	case err != nil || now.Sub(time.UnixMilli(ms)).Abs() > vivoClock:
		return vivoAnswer{Result: 10207}
	case !a.rate.spend(vivoAuthRate, time.Second, now):
		return vivoAnswer{Result: 10093}
	}
	if len(a.tokens) >= maxBearers {
		clear(a.tokens)
	}
	raw := make([]byte, 16)
	_, _ = rand.Read(raw) // never fails
	value := hex.EncodeToString(raw)
	value = value[:8] + "-" + value[8:]
	a.tokens[value] = vivoToken{app: id, expiry: now.Add(vivoTokenLife)}
	a.given++
	return vivoAnswer{Desc: "请求成功", AuthToken: value}
}

// allow returns the token's app, or a result code.
func (a *vivoAuth) allow(value string, app int, now time.Time) (VivoApp, int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	token, known := a.tokens[value]
	switch {
	case !known || !now.Before(token.expiry):
		return VivoApp{}, 10000
	case token.app != app:
		return VivoApp{}, 10094
	}
	return a.apps[app], 0
}
