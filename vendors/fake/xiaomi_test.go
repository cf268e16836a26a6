package fake

import (
	"crypto/tls"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// xiaomiBubble runs f with a fake and a way to send forms to it by hand.
func xiaomiBubble(t *testing.T, o XiaomiOptions, f func(x *Xiaomi, send func(change map[string]string) (int, xiaomiAnswer))) {
	t.Helper()
	ca, err := NewCA()
	if err != nil {
		t.Fatal(err)
	}
	if o.Cert, err = ca.Server("xiaomi.test"); err != nil {
		t.Fatal(err)
	}
	o.Secret, o.Package = "s3cret", "com.example"
	synctest.Test(t, func(t *testing.T) {
		l := NewPipeListener()
		transport := &http.Transport{DialContext: l.DialContext, TLSClientConfig: &tls.Config{RootCAs: ca.Pool()}}
		x := NewXiaomi(o)
		served := make(chan error, 1)
		go func() { served <- x.Serve(l) }()
		f(x, func(change map[string]string) (int, xiaomiAnswer) {
			t.Helper()
			form := url.Values{
				"registration_id": {"r1"}, "restricted_package_name": {"com.example"}, "title": {"T"}, "description": {"D"},
				"payload": {`{"m":"1"}`}, "notify_id": {"7"},
			}
			header := http.Header{"Authorization": {"key=s3cret"}, "Content-Type": {"application/x-www-form-urlencoded;charset=UTF-8"}}
			address := "https://xiaomi.test/v3/message/regid"
			for key, value := range change {
				switch key {
				case "Authorization", "Content-Type":
					header.Set(key, value)
				case "path":
					address = "https://xiaomi.test" + value
				default:
					form.Set(key, value)
				}
			}
			r, err := http.NewRequest(http.MethodPost, address, strings.NewReader(form.Encode()))
			if err != nil {
				t.Fatal(err)
			}
			r.Header = header
			res, err := (&http.Client{Transport: transport}).Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			var a xiaomiAnswer
			raw, err := io.ReadAll(res.Body)
			if err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(raw, &a); err != nil {
				t.Fatalf("%v in %s", err, raw)
			}
			return res.StatusCode, a
		})
		transport.CloseIdleConnections()
		_ = x.Close()
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
}

func TestXiaomiRefuses(t *testing.T) {
	o := XiaomiOptions{Channels: map[string]XiaomiChannel{"im": {Templates: map[string][]string{"T": {"a"}}}, "news": {}}}
	xiaomiBubble(t, o, func(x *Xiaomi, send func(map[string]string) (int, xiaomiAnswer)) {
		x.AddDevice("r1")
		for _, tt := range []struct {
			code   int
			change map[string]string
		}{
			{0, nil},
			{0, map[string]string{"path": "/v4/message/regid", "title": strings.Repeat("你", 49)}},
			{0, map[string]string{"extra.channel_id": "news"}},
			{0, map[string]string{"extra.channel_id": "im", "extra.template_id": "T", "extra.template_param": `{"a":"x"}`}},
			{21301, map[string]string{"Authorization": "key=other"}},
			{21301, map[string]string{"Authorization": "Key=s3cret"}},
			{10017, map[string]string{"Content-Type": "application/json"}},
			{10020, map[string]string{"path": "/v9/message/regid"}},
			{22022, map[string]string{"restricted_package_name": "com.other"}},
			{10016, map[string]string{"registration_id": ""}},
			{10017, map[string]string{"registration_id": "r1,"}},
			{10017, map[string]string{"registration_id": strings.Repeat("r,", 1000) + "r"}},
			{10017, map[string]string{"title": " "}},
			{10017, map[string]string{"title": strings.Repeat("你", 50)}},
			{10017, map[string]string{"description": strings.Repeat("x", 128)}},
			{10017, map[string]string{"description": ""}},
			{10017, map[string]string{"notify_id": "2147483648"}},
			{10017, map[string]string{"pass_through": "1"}},
			{10017, map[string]string{"time_to_live": "0"}},
			{10017, map[string]string{"token": "x"}},
			{10017, map[string]string{"extra.jobkey": "_x"}},
			{10017, map[string]string{"extra.notify_effect": "2"}},
			{65015, map[string]string{"extra.x": strings.Repeat("x", 2047)}},
			{27001, map[string]string{"extra.channel_id": "unknown"}},
			{10017, map[string]string{"extra.channel_id": "im"}},
			{10017, map[string]string{"extra.channel_id": "im", "extra.template_id": "T", "extra.template_param": `{"a":"👍"}`}},
			{10017, map[string]string{"extra.channel_id": "im", "extra.template_id": "T", "extra.template_param": `{"b":"x"}`}},
			{20301, map[string]string{"registration_id": "unknown"}},
		} {
			if status, a := send(tt.change); status != 200 || a.Code != tt.code || (a.Result == "ok") != (tt.code == 0) {
				t.Errorf("%.60v: got %d %+v, want %d", tt.change, status, a, tt.code)
			}
		}
	})
}

func TestXiaomiTakes(t *testing.T) {
	xiaomiBubble(t, XiaomiOptions{}, func(x *Xiaomi, send func(map[string]string) (int, xiaomiAnswer)) {
		x.AddDevice("r1")
		x.AddDevice("r2")
		x.Unregister("r2")
		_, a := send(map[string]string{"registration_id": "r2,r1,r3", "time_to_live": "60000"})
		if a.Data["bad_regids"] != "r2,r3" || a.Data["id"] == "" {
			t.Errorf("%+v", a)
		}
		d, _ := x.Device("r1")
		if len(d.Received) != 1 || d.Received[0].MessageID != "1" || !d.Received[0].Expires.Equal(time.Now().Add(time.Minute)) {
			t.Errorf("%+v", d.Received)
		}
		if got := x.Stats(); got.Requests != 1 || got.Accepted != 1 || got.Codes["bad_regids"] != 2 {
			t.Errorf("%+v", got)
		}
	})
}

func TestXiaomiQuotas(t *testing.T) {
	o := XiaomiOptions{AnyDevice: true, PerSecond: 3, Channels: map[string]XiaomiChannel{"news": {PerDay: 3}}}
	xiaomiBubble(t, o, func(_ *Xiaomi, send func(map[string]string) (int, xiaomiAnswer)) {
		news := map[string]string{"extra.channel_id": "news", "registration_id": "a,b"}
		for i, want := range []int{0, 200001, 200001, 200002, 200002} {
			if _, a := send(news); a.Code != want {
				t.Errorf("request %d: %+v, want %d", i, a, want)
			}
		}
		<-time.After(16 * time.Hour) // midnight in China
		if _, a := send(news); a.Code != 0 {
			t.Errorf("the next day: %+v", a)
		}
	})
}
