package fake

import (
	"context"
	"crypto/md5"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// vivoRig talks to a fake by hand: no client of ours.
type vivoRig struct {
	*Vivo
	t      *testing.T
	client *http.Client
	token  string
}

func vivoBubble(t *testing.T, o VivoOptions, f func(r *vivoRig)) {
	t.Helper()
	ca, err := NewCA()
	if err != nil {
		t.Fatal(err)
	}
	if o.Cert, err = ca.Server("vivo.test"); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		l := NewPipeListener()
		transport := &http.Transport{DialContext: l.DialContext, TLSClientConfig: &tls.Config{RootCAs: ca.Pool()}, ForceAttemptHTTP2: true}
		r := &vivoRig{Vivo: NewVivo(o), t: t, client: &http.Client{Transport: transport}}
		r.AddApp(VivoApp{ID: 7, AppKey: "k", AppSecret: "s"})
		r.AddDevice("reg")
		r.AddDevice("two")
		served := make(chan error, 1)
		go func() { served <- r.Serve(l) }()
		r.token = r.auth("7", "k", "s", time.Now()).AuthToken
		f(r)
		transport.CloseIdleConnections()
		_ = r.Close()
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
}

func (r *vivoRig) post(path, body string) vivoAnswer {
	r.t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, "https://vivo.test/message/"+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json;charset=UTF-8")
	req.Header.Set("authToken", r.token)
	res, err := r.client.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	var a vivoAnswer
	if err := json.Unmarshal(raw, &a); err != nil {
		r.t.Fatalf("%v: %s", err, raw)
	}
	return a
}

func (r *vivoRig) auth(id, appKey, secret string, at time.Time) vivoAnswer {
	r.t.Helper()
	timestamp := strconv.FormatInt(at.UnixMilli(), 10)
	sum := md5.Sum([]byte(id + appKey + timestamp + secret))
	return r.post("auth", `{"appId":"`+id+`","appKey":"`+appKey+`","timestamp":`+timestamp+`,"sign":"`+hex.EncodeToString(sum[:])+`"}`)
}

const vivoGood = `{"appId":7,"regId":"reg","notifyType":1,"title":"t","content":"c","skipType":1,"classification":1,"requestId":"1"}`

// send returns the code of vivoGood with one part changed.
func (r *vivoRig) send(from, to string) int {
	r.t.Helper()
	return r.post("send", strings.Replace(vivoGood, from, to, 1)).Result
}

func TestVivoAuth(t *testing.T) {
	vivoBubble(t, VivoOptions{}, func(r *vivoRig) {
		now := time.Now()
		for name, c := range map[string]struct {
			id, app, secret string
			at              time.Time
			want            int
		}{
			"unknown app":  {"8", "k", "s", now, 10205},
			"other key":    {"7", "x", "s", now, 10205},
			"other secret": {"7", "k", "x", now, 10206},
			"late":         {"7", "k", "s", now.Add(-11 * time.Minute), 10207},
		} {
			if got := r.auth(c.id, c.app, c.secret, c.at).Result; got != c.want {
				r.t.Errorf("%s: got %d, want %d", name, got, c.want)
			}
		}
		for range vivoAuthRate {
			r.auth("7", "k", "s", now)
		}
		if got := r.auth("7", "k", "s", now).Result; got != 10093 {
			r.t.Errorf("too often: %d", got)
		}
		if got := r.send("", ""); got != 0 {
			r.t.Errorf("an older token: %d", got)
		}
		if got := r.send(`"appId":7`, `"appId":8`); got != 10094 {
			r.t.Errorf("another app's token: %d", got)
		}
		<-time.After(24 * time.Hour)
		if got := r.send("", ""); got != 10000 {
			r.t.Errorf("after a day: %d", got)
		}
	})
}

func TestVivoChecks(t *testing.T) {
	vivoBubble(t, VivoOptions{PerSecond: 100, SystemPerDay: 150}, func(r *vivoRig) {
		for change, want := range map[[2]string]int{
			{`"title":"t"`, `"title":"` + strings.Repeat("界", 40) + `"`}: 0,
			{`"title":"t"`, `"title":"` + strings.Repeat("界", 41) + `"`}: 10056,
			{`"title":"t",`, ``}: 10055,
			{`"content":"c"`, `"content":"` + strings.Repeat("c", 101) + `"`}:    10058,
			{`"content":"c"`, `"content":" "`}:                                   10057,
			{`"content":"c"`, `"content":"12345"`}:                               10085,
			{`"regId":"reg",`, ``}:                                               10050,
			{`"regId":"reg"`, `"regId":"stranger"`}:                              10302,
			{`"notifyType":1`, `"notifyType":0`}:                                 10054,
			{`"skipType":1`, `"skipType":4`}:                                     10060,
			{`"skipType":1`, `"skipType":1,"timeToLive":59`}:                     10059,
			{`"skipType":1`, `"skipType":1,"networkType":0`}:                     10065,
			{`"skipType":1`, `"skipType":1,"notifyId":0`}:                        10095,
			{`"skipType":1`, `"skipType":1,"category":"im"`}:                     10096,
			{`"skipType":1`, `"skipType":1,"category":"NEWS"`}:                   10097,
			{`"skipType":1`, `"skipType":1,"category":"IM"`}:                     0,
			{`"requestId":"1"`, `"requestId":""`}:                                10352,
			{`"requestId":"1"`, `"requestId":"` + strings.Repeat("1", 65) + `"`}: 10353,
		} {
			if got := r.send(change[0], change[1]); got != want {
				r.t.Errorf("%s: got %d, want %d", change[1], got, want)
			}
		}
		<-time.After(time.Second)
		for range 100 {
			r.send("", "")
		}
		if got := r.send("", ""); got != 10072 {
			r.t.Errorf("beyond the rate: %d", got)
		}
		<-time.After(time.Second)
		for range 50 {
			r.send("", "")
		}
		if got := r.send("", ""); got != 10073 {
			r.t.Errorf("beyond the day: %d", got)
		}
	})
}

func TestVivoLists(t *testing.T) {
	vivoBubble(t, VivoOptions{SavesPerDay: 1}, func(r *vivoRig) {
		saved := r.post("saveListPayload", strings.Replace(vivoGood, `"regId":"reg",`, "", 1))
		list := func(ids, task string) vivoAnswer {
			return r.post("pushToList", `{"appId":7,"regIds":[`+ids+`],"taskId":"`+task+`","requestId":"2"}`)
		}
		r.SetStatus("two", 2)
		got := list(`"reg","two"`, saved.TaskID)
		if got.Result != 0 || len(got.InvalidUsers) != 1 || got.InvalidUsers[0] != (vivoUser{Status: 2, UserID: "two"}) {
			r.t.Errorf("%+v", got)
		}
		if got := list(`"reg"`, saved.TaskID).Result; got != 10153 {
			r.t.Errorf("a list of one: %d", got)
		}
		r.DropSaved()
		if got := list(`"reg","two"`, saved.TaskID).Result; got != 10155 {
			r.t.Errorf("after it was dropped: %d", got)
		}
		if got := r.post("saveListPayload", vivoGood).Result; got != 10252 {
			r.t.Errorf("a second save: %d", got)
		}
		if d, ok := r.Device("reg"); !ok || len(d.Shown) != 1 {
			r.t.Errorf("%+v", d)
		}
	})
}
