package fake

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const fcmOrigin = "https://fcm.test"

var fcmAccount = sync.OnceValues(func() (FCMAccount, error) { return NewFCMAccount("demo") })

// fcmRig talks to a fake by hand: no client of ours, no SDK.
type fcmRig struct {
	*FCM
	t       *testing.T
	account FCMAccount
	client  *http.Client
	bearer  string
}

// fcmBubble runs f with a rig inside a bubble.
func fcmBubble(t *testing.T, o FCMOptions, f func(r *fcmRig)) {
	t.Helper()
	account, err := fcmAccount()
	if err != nil {
		t.Fatal(err)
	}
	ca, err := NewCA()
	if err != nil {
		t.Fatal(err)
	}
	if o.Cert, err = ca.Server("fcm.test"); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		l := NewPipeListener()
		transport := &http.Transport{DialContext: l.DialContext, TLSClientConfig: &tls.Config{RootCAs: ca.Pool()}, ForceAttemptHTTP2: true}
		r := &fcmRig{FCM: NewFCM(o), t: t, account: account, client: &http.Client{Transport: transport}}
		r.AddAccount(account)
		served := make(chan error, 1)
		go func() { served <- r.Serve(l) }()
		r.bearer = r.grant(nil)
		f(r)
		transport.CloseIdleConnections()
		_ = r.Close()
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
}

// post returns status, answer and header.
func (r *fcmRig) post(path, contentType, body string) (int, map[string]any, http.Header) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, fcmOrigin+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("Authorization", "Bearer "+r.bearer)
	res, err := r.client.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	var tree map[string]any
	_ = json.Unmarshal(raw, &tree)
	return res.StatusCode, tree, res.Header
}

// grant asks for a bearer with claims as changed; it is empty when refused.
func (r *fcmRig) grant(change func(*jwt.Token)) string {
	r.t.Helper()
	now := time.Now()
	token := jwt.NewWithClaims(jwt.SigningMethodRS256, jwt.MapClaims{
		"iss": r.account.Email, "aud": fcmOrigin + "/token", "iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
		"scope": "https://www.googleapis.com/auth/firebase.messaging",
	})
	token.Header["kid"] = r.account.KeyID
	if change != nil {
		change(token)
	}
	key, err := jwt.ParseRSAPrivateKeyFromPEM(r.account.Private)
	if err != nil {
		r.t.Fatal(err)
	}
	assertion, err := token.SignedString(key)
	if err != nil {
		r.t.Fatal(err)
	}
	form := url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"}, "assertion": {assertion}}
	_, tree, _ := r.post("/token", "application/x-www-form-urlencoded", form.Encode())
	bearer, _ := tree["access_token"].(string)
	return bearer
}

// send returns the status and the code as FCMStats names it.
func (r *fcmRig) send(message string) (int, string) {
	r.t.Helper()
	status, tree, _ := r.post("/v1/projects/demo/messages:send", "application/json", message)
	object, _ := tree["error"].(map[string]any)
	if object == nil {
		return status, ""
	}
	details, _ := object["details"].([]any)
	for _, d := range details {
		if code, ok := d.(map[string]any)["errorCode"].(string); ok {
			return status, code
		}
	}
	code, _ := object["status"].(string)
	return status, code
}

func TestFCMGrants(t *testing.T) {
	claim := func(name string, value any) func(*jwt.Token) {
		return func(t *jwt.Token) { t.Claims.(jwt.MapClaims)[name] = value }
	}
	fcmBubble(t, FCMOptions{}, func(r *fcmRig) {
		now := time.Now().Unix()
		for name, change := range map[string]func(*jwt.Token){
			"kid":    func(t *jwt.Token) { t.Header["kid"] = "other" },
			"issuer": claim("iss", "nobody"),
			"aud":    claim("aud", "https://oauth2.googleapis.com/token"),
			"exp":    claim("exp", now+3601),
			"past":   claim("exp", now-1),
			"future": claim("iat", now+600),
			"scope":  claim("scope", ""),
		} {
			if r.grant(change) != "" {
				t.Errorf("a bearer for a wrong %s", name)
			}
		}
		if got := r.Stats(); got.Grants != 8 || got.Bearers != 1 {
			t.Errorf("got %+v", got)
		}
		r.bearer = r.grant(claim("scope", "https://www.googleapis.com/auth/devstorage"))
		if status, code := r.send(`{}`); status != 403 || code != "PERMISSION_DENIED" {
			t.Errorf("without the scope: %d %s", status, code)
		}
	})
}

func TestFCMAuthorization(t *testing.T) {
	fcmBubble(t, FCMOptions{AnyDevice: true}, func(r *fcmRig) {
		const push = `{"message":{"token":"t"}}`
		r.AddAccount(FCMAccount{Project: "other", Email: "x", KeyID: "y"})
		for path, want := range map[string]int{
			"/v1/projects/demo/messages:send":   200,
			"/v1/projects/other/messages:send":  403,
			"/v1/projects/nobody/messages:send": 404,
			"/v1/projects/demo/messages:other":  404,
		} {
			if got, _, _ := r.post(path, "application/json", push); got != want {
				t.Errorf("%s: got %d, want %d", path, got, want)
			}
		}
		<-time.After(fcmBearerLife*time.Second - time.Second)
		if got, _ := r.send(push); got != 200 {
			t.Errorf("a second before expiry: %d", got)
		}
		<-time.After(time.Second)
		if got, code := r.send(push); got != 401 || code != "UNAUTHENTICATED" {
			t.Errorf("at expiry: %d %s", got, code)
		}
		r.bearer = r.grant(nil)
		r.RevokeBearers()
		if got, _ := r.send(push); got != 401 {
			t.Errorf("revoked: %d", got)
		}
	})
}

func TestFCMChecks(t *testing.T) {
	fcmBubble(t, FCMOptions{AnyDevice: true}, func(r *fcmRig) {
		for _, message := range []string{
			`"token":"t","data":{"a":"b"},"android":{"ttl":"2419200s","priority":"high","notification":{"notification_count":0}}`,
			`"fid":"t","notification":{"title":"t","image":"https://x.test/i.png"}`,
			`"token":"t","android":{"ttl":"1.5s","notification":{"visibility":"PRIVATE","color":"#a0B1c2"}}`,
			`"token":"t","apns":{"headers":{"apns-priority":"5","apns-expiration":"0","apns-push-type":"background"},"payload":{"aps":{"content-available":1}}}`,
			`"token":"t","data":{"a":"` + strings.Repeat("x", 4095) + `"}`,
		} {
			if status, code := r.send(`{"message":{` + message + `}}`); status != 200 {
				t.Errorf("%.80s: %d %s", message, status, code)
			}
		}
		for _, body := range []string{
			``, `[]`, `{"message":{"token":"t"}} {}`, `{"message":{}}`, `{"msg":{"token":"t"}}`,
			`{"message":{"token":"t","topic":"x"}}`, `{"message":{"topic":"x"}}`,
			`{"message":{"token":"t","data":{"a":1}}}`,
			`{"message":{"token":"t","data":{"from":"a"}}}`, `{"message":{"token":"t","data":{"google.a":"a"}}}`,
			`{"message":{"token":"t","android":{"data":{"gcm.a":"a"}}}}`,
			`{"message":{"token":"t","android":{"ttl":"2419201s"}}}`, `{"message":{"token":"t","android":{"ttl":"1h"}}}`,
			`{"message":{"token":"t","android":{"ttl":"-1s"}}}`, `{"message":{"token":"t","android":{"priority":"5"}}}`,
			`{"message":{"token":"t","android":{"notification":{"notification_count":-1}}}}`,
			`{"message":{"token":"t","android":{"notification":{"color":"red"}}}}`,
			`{"message":{"token":"t","android":{"notification":{"visibility":"SOME"}}}}`,
			`{"message":{"token":"t","notification":{"image":"x.png"}}}`,
			`{"message":{"token":"t","notification":{"subtitle":"x"}}}`,
			`{"message":{"token":"t","apns":{"headers":{"apns-priority":"7"}}}}`,
			`{"message":{"token":"t","apns":{"headers":{"apns-priority":"10"},"payload":{"aps":{"content-available":1}}}}}`,
			`{"message":{"token":"t","apns":{"payload":{"aps":1}}}}`,
			`{"message":{"token":"t","data":{"a":"` + strings.Repeat("x", 4096) + `"}}}`,
		} {
			if status, code := r.send(body); status != 400 || code != "INVALID_ARGUMENT" {
				t.Errorf("%.80s: %d %s", body, status, code)
			}
		}
		if status, _, _ := r.post("/v1/projects/demo/messages:send", "text/plain", `{"message":{"token":"t"}}`); status != 400 {
			t.Errorf("text/plain: %d", status)
		}
		if got := r.Stats(); got.Accepted != 5 || got.Codes["INVALID_ARGUMENT"] != 25 {
			t.Errorf("got %+v", got)
		}
	})
}

func TestFCMDevices(t *testing.T) {
	var seen []FCMPush
	o := FCMOptions{KeepPerDevice: 2, DevicePerMinute: 4, OnPush: func(p FCMPush) { seen = append(seen, p) }}
	fcmBubble(t, o, func(r *fcmRig) {
		push := func(token, pushID, body, count string) (int, string) {
			return r.send(`{"message":{"token":"` + token + `","data":{"m":"m1","rouse_push_id":"` + pushID + `"},
				"notification":{"body":"` + body + `"},"android":{"notification":{"tag":"t"` + count + `}}}}`)
		}
		if status, code := push("a", "p", "", ""); status != 400 || code != "INVALID_ARGUMENT" {
			t.Errorf("unknown token: %d %s", status, code)
		}
		r.AddDevice("a", "demo")
		r.AddDevice("b", "other")
		if status, code := push("b", "p", "", ""); status != 403 || code != "SENDER_ID_MISMATCH" {
			t.Errorf("token of another project: %d %s", status, code)
		}
		push("a", "p1", "one", `,"notification_count":4`)
		push("a", "p1", "two", "")
		push("a", "p2", "three", "")
		r.send(`{"message":{"token":"a","data":{"m":"m2"}}}`)
		d, _ := r.Device("a")
		if d.Badge != 6 || len(d.Received) != 2 || len(d.Shown) != 1 || d.Shown[0].Body != "three" {
			t.Errorf("got badge %d, %d received, shown %+v", d.Badge, len(d.Received), d.Shown)
		}
		if len(seen) != 4 || !seen[3].DataOnly || seen[0].PushID != "p1" || r.Stats().Doubled != 1 {
			t.Errorf("got %d pushes, %d doubled", len(seen), r.Stats().Doubled)
		}
		if status, code := push("a", "p", "", ""); status != 429 || code != "QUOTA_EXCEEDED" {
			t.Errorf("fifth in a minute: %d %s", status, code)
		}
		<-time.After(time.Minute)
		if status, _ := r.send(`{"validate_only":true,"message":{"token":"a"}}`); status != 200 || len(seen) != 4 {
			t.Errorf("validate only: %d, %d pushes", status, len(seen))
		}
		r.Unregister("a")
		if status, code := push("a", "p", "", ""); status != 404 || code != "UNREGISTERED" {
			t.Errorf("dead token: %d %s", status, code)
		}
	})
}

func TestFCMProjectQuotaAndLight(t *testing.T) {
	fcmBubble(t, FCMOptions{Light: true, PerMinute: 3}, func(r *fcmRig) {
		for i := range 4 {
			status, _, header := r.post("/v1/projects/demo/messages:send", "application/json", "not even JSON")
			if want := map[bool]int{true: 200, false: 429}[i < 3]; status != want || status == 429 && header.Get("retry-after") == "" {
				t.Errorf("request %d: got %d", i, status)
			}
		}
		if got := r.Stats(); got.Accepted != 3 || got.Codes["QUOTA_EXCEEDED"] != 1 {
			t.Errorf("got %+v", got)
		}
	})
}
