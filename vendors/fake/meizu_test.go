package fake

import (
	"crypto/tls"
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

// TestMeizuSign: the README's example, and one with several ids.
func TestMeizuSign(t *testing.T) {
	for want, tt := range map[string]struct{ appID, ids, message, secret string }{
		"ac076ff25d9900015a681cb5172aa53b": {
			"10000", "RA50c6348036344485d01776773577c64740465480a6b",
			`{"title":"title","content":"content","pushTimeInfo":{"offLine":1,"validTime":24}}`, "<APP_SECRET>",
		},
		"7d9a0c55831fc60341e13d27ed83893c": {
			"100999", "id1,id2", `{"noticeBarInfo":{"title":"t","content":"c"}}`, "app-secret-1",
		},
	} {
		form := url.Values{"sign": {"x"}, "appId": {tt.appID}, "pushIds": {tt.ids}, "messageJson": {tt.message}}
		if got := meizuSign(form, tt.secret); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

const meizuText = `{"noticeBarInfo":{"noticeMsgType":1,"title":"T","content":"C"}}`

// meizuBubble runs f with a fake and a way to send forms to it by hand; send
// signs with the secret that is in force unless sign is given.
func meizuBubble(t *testing.T, o MeizuOptions, f func(m *Meizu, send func(change map[string]string) meizuAnswer)) {
	t.Helper()
	ca, err := NewCA()
	if err != nil {
		t.Fatal(err)
	}
	if o.Cert, err = ca.Server("meizu.test"); err != nil {
		t.Fatal(err)
	}
	o.AppID, o.Secret = "7", "s3cret"
	synctest.Test(t, func(t *testing.T) {
		l := NewPipeListener()
		transport := &http.Transport{DialContext: l.DialContext, TLSClientConfig: &tls.Config{RootCAs: ca.Pool()}}
		m := NewMeizu(o)
		served := make(chan error, 1)
		go func() { served <- m.Serve(l) }()
		f(m, func(change map[string]string) meizuAnswer {
			t.Helper()
			form := url.Values{"appId": {"7"}, "pushIds": {"p1"}, "messageJson": {meizuText}}
			for key, value := range change {
				form.Set(key, value)
			}
			if !form.Has("sign") {
				form.Set("sign", meizuSign(form, "s3cret"))
			}
			res, err := (&http.Client{Transport: transport}).PostForm("https://meizu.test/garcia/api/server/push/varnished/pushByPushId", form)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			raw, err := io.ReadAll(res.Body)
			if err != nil {
				t.Fatal(err)
			}
			var a meizuAnswer
			if err := json.Unmarshal(raw, &a); err != nil || res.StatusCode != 200 {
				t.Fatalf("%d %v in %s", res.StatusCode, err, raw)
			}
			return a
		})
		transport.CloseIdleConnections()
		_ = m.Close()
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
}

func TestMeizuRefuses(t *testing.T) {
	meizuBubble(t, MeizuOptions{UnfoldedPerMinute: 100}, func(m *Meizu, send func(map[string]string) meizuAnswer) {
		m.AddDevice("p1")
		bar := func(title, content string) string {
			return `{"noticeBarInfo":{"title":"` + title + `","content":"` + content + `"}}`
		}
		with := func(member string) string {
			return `{"noticeBarInfo":{"title":"T","content":"C"},` + member + `}`
		}
		for _, tt := range []struct{ code, key, value string }{
			{"200", "appId", "7"},
			{"200", "messageJson", bar(strings.Repeat("你", 32), strings.Repeat("x", 100))},
			{"200", "messageJson", with(`"pushTimeInfo":{"offLine":1,"validTime":72}`)},
			{"200", "messageJson", with(`"extra":{"callback":"https://x","callback.type":3}`)},
			{"110000", "appId", "8"},
			{"110004", "appId", ""},
			{"110004", "messageJson", ""},
			{"1006", "sign", "0000"},
			{"1005", "more", "x"},
			{"1005", "pushIds", "p1,"},
			{"1005", "pushIds", strings.Repeat("p,", 100) + "p"},
			{"1005", "messageJson", `{"title":"x"}`},
			{"1005", "messageJson", meizuText + "{}"},
			{"1005", "messageJson", bar("", "C")},
			{"1005", "messageJson", bar("T", " ")},
			{"1005", "messageJson", bar(strings.Repeat("你", 33), "C")},
			{"1005", "messageJson", bar("T", strings.Repeat("x", 101))},
			{"1005", "messageJson", with(`"pushTimeInfo":{"offLine":1,"validTime":0}`)},
			{"1005", "messageJson", with(`"pushTimeInfo":{"validTime":73}`)},
			{"1005", "messageJson", with(`"pushTimeInfo":{"validTime":1.5}`)},
			{"1005", "messageJson", with(`"advanceInfo":{"notifyKey":"123456789"}`)},
			{"1005", "messageJson", with(`"clickTypeInfo":{"clickType":1}`)},
			{"1005", "messageJson", with(`"clickTypeInfo":{"parameters":"x"}`)},
		} {
			a := send(map[string]string{tt.key: tt.value})
			if a.Code != tt.code || (string(a.Value) == `""`) != (tt.code != "200") {
				t.Errorf("%s=%.60s: got %+v, want %s", tt.key, tt.value, a, tt.code)
			}
		}
	})
}

func TestMeizuTakes(t *testing.T) {
	meizuBubble(t, MeizuOptions{PublicPerDay: 1}, func(m *Meizu, send func(map[string]string) meizuAnswer) {
		for _, token := range []string{"live", "gone", "muted"} {
			m.AddDevice(token)
		}
		m.Unregister("gone")
		m.SwitchOff("muted")
		all := map[string]string{"pushIds": "gone,live,muted,unknown"}
		if got := string(send(all).Value); got != `{"110002":["gone"],"110003":["unknown"],"110010":["muted"]}` {
			t.Error(got)
		}
		all["messageJson"] = `{"noticeBarInfo":{"title":"T","content":"C"},"advanceInfo":{"notifyKey":"k"},"pushTimeInfo":{"validTime":2}}`
		send(all)
		d, _ := m.Device("live")
		if len(d.Received) != 2 || d.Received[1].Private || !d.Received[1].Expires.Equal(time.Now().Add(2*time.Hour)) {
			t.Errorf("%+v", d.Received)
		}
		if got := string(send(map[string]string{"pushIds": "live", "messageJson": all["messageJson"]}).Value); got != `{"110011":["live"]}` {
			t.Errorf("beyond the public quota: %s", got)
		}
		if got := m.Stats(); got.Requests != 3 || got.Accepted != 2 || got.Codes["110002"] != 2 {
			t.Errorf("%+v", got)
		}
	})
}

func TestMeizuLimits(t *testing.T) {
	meizuBubble(t, MeizuOptions{AnyDevice: true, PerSecond: 7}, func(m *Meizu, send func(map[string]string) meizuAnswer) {
		for i := range 8 {
			a := send(map[string]string{"messageJson": `{"noticeBarInfo":{"title":"T` + strconv.Itoa(i) + `","content":"C"}}`})
			want := [...]string{5: `{"520":["p1"]}`, 6: `{"520":["p1"]}`, 7: `""`}
			if i >= 5 && string(a.Value) != want[i] || (a.Code == "110010") != (i == 7) {
				t.Errorf("push %d: %+v", i, a)
			}
		}
		if d, _ := m.Device("p1"); len(d.Received) != 7 || len(d.Shown) != 5 {
			t.Errorf("%d received, %d shown", len(d.Received), len(d.Shown))
		}
	})
}
