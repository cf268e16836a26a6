package demo

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestPushLogIsBounded(t *testing.T) {
	l := pushLog{keep: 10}
	now := time.Unix(1_700_000_000, 0)
	for i := range maxDevices + 100 {
		l.add(Pushed{Vendor: Vivo, Token: fmt.Sprint(i), Badge: -1, Raw: make([]byte, 2*maxBodyShown)}, now)
	}
	all := l.since(0, "", "")
	if len(all) != 10 || all[9].Number != maxDevices+100 || len(all[9].Body) != maxBodyShown || all[9].Badge != nil {
		t.Errorf("%d pushes are kept", len(all))
	}
	if got := len(l.seen); got != maxDevices {
		t.Errorf("%d devices are kept", got)
	}
	if got := len(l.devices(Vivo)); got != maxListed {
		t.Errorf("%d devices are listed", got)
	}
	if got := l.since(maxDevices+98, Vivo, ""); len(got) != 2 {
		t.Errorf("%d pushes after the last but two", len(got))
	}
	if l.count(Vivo) != maxDevices+100 || l.count(FCM) != 0 {
		t.Errorf("%d pushes are counted", l.count(Vivo))
	}
	l.clear()
	l.add(Pushed{Vendor: Vivo, Token: "1", Badge: 3}, now)
	if all = l.since(0, Vivo, "1"); len(all) != 1 || all[0].Number != maxDevices+101 || *all[0].Badge != 3 {
		t.Errorf("after clear: %+v", all)
	}
}

// TestControlIsForThisMachine: neither a name that points here nor a form in a
// page gives orders.
func TestControlIsForThisMachine(t *testing.T) {
	v, err := StartVendors(VendorsOptions{Keep: 10})
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	control := v.Control()
	for _, tt := range []struct {
		method, path, host, media, body string
		want                            int
	}{
		{"GET", "/v1/fakes", "127.0.0.1:7709", "", "", 200},
		{"GET", "/v1/fakes", "[::1]:7709", "", "", 200},
		{"GET", "/v1/fakes", "localhost", "", "", 200},
		{"GET", "/v1/fakes", "evil.example:7709", "", "", 403},
		{"GET", "/v1/fakes", "10.0.0.1:7709", "", "", 403},
		{"GET", "/v1/pushes?after=x", "localhost", "", "", 400},
		{"GET", "/v1/nothing", "localhost", "", "", 404},
		{"GET", "/v1/heal", "localhost", "", "", 405},
		{"POST", "/v1/heal", "localhost", "application/json; charset=utf-8", `{"vendor":"apns"}`, 200},
		{"POST", "/v1/heal", "localhost", "text/plain", `{"vendor":"apns"}`, 400},
		{"POST", "/v1/heal", "localhost", "application/x-www-form-urlencoded", `{"vendor":"apns"}`, 400},
		{"POST", "/v1/heal", "evil.example", "application/json", `{"vendor":"apns"}`, 403},
		{"POST", "/v1/heal", "localhost", "application/json", `{"vendor":"` + strings.Repeat("x", maxOrder) + `"}`, 400},
		{"POST", "/v1/heal", "localhost", "application/json", `{"vendor":`, 400},
		{"POST", "/v1/devices", "localhost", "application/json", `{"vendor":"apns","token":"ab","state":"offline"}`, 200},
		{"POST", "/v1/devices", "localhost", "application/json", `{"vendor":"apns","token":"","state":"offline"}`, 400},
		{"POST", "/v1/faults", "localhost", "application/json", `{"vendor":"meizu","fault":"huge","times":1}`, 200},
		{"POST", "/v1/faults", "localhost", "application/json", `{"vendor":"meizu","fault":"huge","delay_ms":3600001}`, 400},
		{"POST", "/v1/faults", "localhost", "application/json", `{"vendor":"meizu","fault":"huge","retry_after":-1}`, 400},
	} {
		r := httptest.NewRequestWithContext(t.Context(), tt.method, tt.path, strings.NewReader(tt.body))
		r.Host = tt.host
		r.Header.Set("Content-Type", tt.media)
		w := httptest.NewRecorder()
		control.ServeHTTP(w, r)
		if w.Code != tt.want {
			t.Errorf("%s %s of %s as %q with %.60s: HTTP %d %.200s, want %d", tt.method, tt.path, tt.host, tt.media, tt.body, w.Code, w.Body, tt.want)
		}
		if w.Code == http.StatusBadRequest {
			var said struct{ Error string }
			if err := json.Unmarshal(w.Body.Bytes(), &said); err != nil || said.Error == "" {
				t.Errorf("%s %s: %q says no reason", tt.method, tt.path, w.Body)
			}
		}
	}
}

// TestKnobs: each fake has the states and faults that it lists.
func TestKnobs(t *testing.T) {
	v, err := StartVendors(VendorsOptions{Keep: 10})
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	for _, s := range v.stations {
		for _, fault := range s.known() {
			if err := v.orderFault(faultOrder{Vendor: s.vendor, Fault: fault, Times: 1}); err != nil {
				t.Error(err)
			}
		}
		for state := range s.states {
			if err := v.orderDevice(deviceOrder{s.vendor, "ab", state}); err != nil {
				t.Error(err)
			}
		}
		one := 1
		if err := v.orderRate(rateOrder{s.vendor, &one}); err != nil {
			t.Error(err)
		}
		for _, kind := range []string{"good", "wrong-host", "expired", "unknown"} {
			if err := v.orderCertificate(certificateOrder{s.vendor, kind}); err != nil {
				t.Error(err)
			}
		}
	}
}
