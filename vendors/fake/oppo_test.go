package fake

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

const oppoID = "CN_0123456789abcdef0123456789abcdef"

// oppoRig talks to a fake by hand: no client of ours.
type oppoRig struct {
	*OPPO
	t      *testing.T
	client *http.Client
	token  string
}

func oppoBubble(t *testing.T, o OPPOOptions, f func(r *oppoRig)) {
	t.Helper()
	ca, err := NewCA()
	if err != nil {
		t.Fatal(err)
	}
	if o.Cert, err = ca.Server("oppo.test"); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		l := NewPipeListener()
		transport := &http.Transport{DialContext: l.DialContext, TLSClientConfig: &tls.Config{RootCAs: ca.Pool()}, ForceAttemptHTTP2: true}
		r := &oppoRig{OPPO: NewOPPO(o), t: t, client: &http.Client{Transport: transport}}
		r.AddApp(OPPOApp{AppKey: "k", MasterSecret: "s", ID: "3000"})
		r.AddDevice(oppoID)
		served := make(chan error, 1)
		go func() { served <- r.Serve(l) }()
		r.token = r.auth("k", "s", time.Now())
		f(r)
		transport.CloseIdleConnections()
		_ = r.Close()
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
}

func (r *oppoRig) post(path string, form url.Values) map[string]any {
	r.t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, "https://oppo.test/server/v1"+path, strings.NewReader(form.Encode()))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
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
	if err := json.Unmarshal(raw, &tree); err != nil {
		r.t.Fatalf("%v: %s", err, raw)
	}
	return tree
}

// auth returns the token, or the code as text.
func (r *oppoRig) auth(appKey, secret string, at time.Time) string {
	r.t.Helper()
	timestamp := strconv.FormatInt(at.UnixMilli(), 10)
	sum := sha256.Sum256([]byte(appKey + timestamp + secret))
	tree := r.post("/auth", url.Values{"app_key": {appKey}, "timestamp": {timestamp}, "sign": {hex.EncodeToString(sum[:])}})
	data, _ := tree["data"].(map[string]any)
	token, _ := data["auth_token"].(string)
	if token == "" {
		return strconv.FormatFloat(tree["code"].(float64), 'f', -1, 64)
	}
	return token
}

// send returns the code of one message to token.
func (r *oppoRig) send(token, notification string) int {
	r.t.Helper()
	tree := r.post("/message/notification/unicast", url.Values{
		"auth_token": {r.token},
		"message":    {`{"target_type":2,"target_value":"` + token + `","notification":` + notification + `}`},
	})
	return int(tree["code"].(float64))
}

func TestOPPOAuth(t *testing.T) {
	oppoBubble(t, OPPOOptions{}, func(r *oppoRig) {
		now := time.Now()
		for name, c := range map[string]struct {
			app, secret string
			at          time.Time
			want        string
		}{
			"unknown app": {"x", "s", now, "15"},
			"app secret":  {"k", "x", now, "17"},
			"late":        {"k", "s", now.Add(-11 * time.Minute), "19"},
			"early":       {"k", "s", now.Add(11 * time.Minute), "19"},
		} {
			if got := r.auth(c.app, c.secret, c.at); got != c.want {
				r.t.Errorf("%s: got %s, want %s", name, got, c.want)
			}
		}
		if r.send(oppoID, `{"title":"t","content":"c"}`) != 0 {
			r.t.Error("a good message was refused")
		}
		<-time.After(24 * time.Hour)
		if got := r.send(oppoID, `{"title":"t","content":"c"}`); got != 11 {
			r.t.Errorf("after a day: %d, want 11", got)
		}
		r.token = ""
		if got := r.send(oppoID, `{"title":"t","content":"c"}`); got != 29 {
			r.t.Errorf("without a token: %d, want 29", got)
		}
	})
}

func TestOPPOChecks(t *testing.T) {
	oppoBubble(t, OPPOOptions{PerSecond: 100}, func(r *oppoRig) {
		long := strings.Repeat("界", 51)
		for notification, want := range map[string]int{
			`{"title":"` + long[3:] + `","content":"` + long[3:] + `"}`:      0,
			`{"title":"` + long + `","content":"c"}`:                         41,
			`{"title":"t","content":"` + long + `"}`:                         41,
			`{"title":"t","content":"` + long + `","style":2}`:               0,
			`{"title":"t","content":"c","style":3}`:                          41,
			`{"content":"c"}`:                                                40,
			`{"title":"t"}`:                                                  40,
			`{"title":"t","content":"c","click_action_type":4}`:              41,
			`{"title":"t","content":"c","action_parameters":{"a":"b"}}`:      41,
			`{"title":"t","content":"c","category":"im"}`:                    67,
			`{"title":"t","content":"c","category":"IM","notify_level":2}`:   0,
			`{"title":"t","content":"c","category":"NEWS","notify_level":2}`: 67,
			`{"title":"t","content":"c","category":"IM","notify_level":16}`:  67,
			`{"title":"t","content":"c","badge_operation_type":0}`:           41,
			`{"title":"t","content":"c","sub_title":"01234567890"}`:          41,
		} {
			if got := r.send(oppoID, notification); got != want {
				r.t.Errorf("%s: got %d, want %d", notification, got, want)
			}
		}
		for token, want := range map[string]int{"CN_xyz": 10000, "CN_" + strings.Repeat("0", 32): 10000, "": 40} {
			if got := r.send(token, `{"title":"t","content":"c"}`); got != want {
				r.t.Errorf("%q: got %d, want %d", token, got, want)
			}
		}
		for range 100 {
			r.send(oppoID, `{"title":"t","content":"c"}`)
		}
		if got := r.send(oppoID, `{"title":"t","content":"c"}`); got != 55 {
			r.t.Errorf("beyond the rate: %d, want 55", got)
		}
	})
}

func TestOPPODevice(t *testing.T) {
	oppoBubble(t, OPPOOptions{}, func(r *oppoRig) {
		for i, notification := range []string{
			`{"app_message_id":"1","title":"a","content":"c","notify_id":7,"badge_operation_type":0,"badge_message_count":4}`,
			`{"app_message_id":"1","title":"a","content":"c","notify_id":8}`,
			`{"app_message_id":"2","title":"b","content":"c","notify_id":7}`,
		} {
			if got := r.send(oppoID, notification); got != 0 {
				r.t.Errorf("message %d: %d", i, got)
			}
		}
		d, ok := r.Device(oppoID)
		if !ok || d.Badge != 4 || len(d.Received) != 3 || !d.Received[1].Repeat || len(d.Shown) != 1 || d.Shown[0].Title != "b" {
			r.t.Errorf("%+v", d)
		}
		r.SetCode(oppoID, 10001)
		if got := r.send(oppoID, `{"title":"t","content":"c"}`); got != 10001 {
			r.t.Errorf("muted device: %d", got)
		}
	})
}
