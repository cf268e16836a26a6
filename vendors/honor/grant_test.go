package honor

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rouse-im/rouse/vendors"
	"github.com/rouse-im/rouse/vendors/courier"
	"github.com/rouse-im/rouse/vendors/fake"
	"github.com/rouse-im/rouse/vendors/vendortest"
)

func TestWrongClient(t *testing.T) {
	for want, change := range map[string]func(*Config){
		"oauth unauthorized_client": func(c *Config) { c.ClientSecret = "other" },
		"oauth invalid_client":      func(c *Config) { c.ClientID = "other" },
		"403":                       func(c *Config) { c.AppID = "999" },
	} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, func(c *Config, _ *fake.HonorOptions) { change(c) })
			if res := r.got(t, r.push()); res.Outcome != vendors.CredentialBad || res.Code != want {
				t.Errorf("got %+v, want %s", res, want)
			}
		})
	}
}

func TestOutageOfOAuth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.fake.OAuthFaults.Script(fake.HTML(502))
		if res := r.got(t, r.push()); res != (vendors.Result{Outcome: vendors.Transient, Code: "oauth HTTP 502"}) {
			t.Errorf("got %+v", res)
		}
		r.fake.OAuthFaults.Clear()
		r.fake.OAuthFaults.Script(fake.Fault{Kind: fake.Cut})
		<-time.After(2 * time.Second)
		if res, err := r.Send(t.Context(), r.push()); err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("got %+v, %v", res, err)
		}
		r.fake.OAuthFaults.Clear()
		<-time.After(2 * time.Second)
		r.took(t, r.push())
	})
}

func TestReadGrant(t *testing.T) {
	now := time.Now()
	refused := func(o vendors.Outcome, code string) vendors.Result { return vendors.Result{Outcome: o, Code: code} }
	for _, c := range []struct {
		status int
		body   string
		life   time.Duration
		want   vendors.Result
	}{
		{200, `{"access_token":"a","expires_in":7200,"token_type":"Bearer"}`, 2 * time.Hour, vendors.Result{}},
		{200, `{"access_token":"a","expires_in":"7200"}`, 2 * time.Hour, vendors.Result{}},
		{200, `{"access_token":"a"}`, time.Hour, vendors.Result{}},
		{200, `{"access_token":"a","expires_in":99999999999}`, 24 * time.Hour, vendors.Result{}},
		{200, `{"access_token":"a b"}`, 0, refused(vendors.Transient, "oauth HTTP 200")},
		{400, `{"error":"invalid_grant"}`, 0, refused(vendors.CredentialBad, "oauth invalid_grant")},
		{400, `{"error":"something_new"}`, 0, refused(vendors.Transient, "oauth HTTP 400")},
		{503, `{"error":"invalid_client"}`, 0, refused(vendors.Throttled, "oauth HTTP 503")},
		{401, `<html>`, 0, refused(vendors.Transient, "oauth HTTP 401")},
	} {
		b, err := readGrant(courier.Answer{Status: c.status, Body: []byte(c.body)}, now)
		var got vendors.Result
		if refusal, ok := errors.AsType[*refusedError](err); ok {
			got = refusal.result
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", c.body, diff)
		}
		if c.life > 0 && (b.Value != "a" || b.Expiry.Sub(now) != c.life) {
			t.Errorf("%s: %v, want %v", c.body, b.Expiry.Sub(now), c.life)
		}
	}
}

func FuzzGrant(f *testing.F) {
	vendortest.FuzzGrant(f, func(status int, body []byte, now time.Time) vendortest.Granted {
		b, err := readGrant(courier.Answer{Status: status, Body: body}, now)
		if refused, ok := errors.AsType[*refusedError](err); ok {
			return vendortest.Granted{Refusal: refused.result}
		}
		return vendortest.Granted{Value: b.Value, Expiry: b.Expiry}
	}, `{"access_token":"ya29.x","expires_in":3599}`, `{"access_token":"a b","expires_in":3599}`, `{"error":1101,"sub_error":12304}`, `{"error":1302}`)
}
