package oppo

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rouse-im/rouse/vendors"
	"github.com/rouse-im/rouse/vendors/courier"
	"github.com/rouse-im/rouse/vendors/fake"
	"github.com/rouse-im/rouse/vendors/vendortest"
)

func TestSign(t *testing.T) {
	const want = "c1b773eb3b16513e47db837710b98804978820d71bcb2b30856fd806fe8c2f4c"
	if got := (key{appKey, secret}).sign("1700000000000"); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestGrantRefused(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Config, *fake.OPPOOptions, *fake.OPPOApp)
		fault  fake.Fault
		want   vendors.Result
	}{
		{"unknown app", func(c *Config, _ *fake.OPPOOptions, _ *fake.OPPOApp) { c.AppKey = "other" }, fake.Fault{}, vendors.Result{Outcome: vendors.CredentialBad, Code: "auth 15"}},
		{"other secret", func(c *Config, _ *fake.OPPOOptions, _ *fake.OPPOApp) { c.MasterSecret = "other" }, fake.Fault{}, vendors.Result{Outcome: vendors.CredentialBad, Code: "auth 17"}},
		{"down", nil, fake.OPPORefusal(-1, "down"), vendors.Result{Outcome: vendors.Transient, Code: "auth -1"}},
		{"page", nil, fake.HTML(502), vendors.Result{Outcome: vendors.Transient, Code: "auth HTTP 502"}},
		{"too often", nil, fake.OPPORefusal(13, "limit"), vendors.Result{Outcome: vendors.Throttled, Code: "auth 13"}},
		{"no token in it", nil, fake.Fault{Kind: fake.Answer, Status: 200, Body: `{"code":0,"data":{"auth_token":""}}`}, vendors.Result{Outcome: vendors.Transient, Code: "auth "}},
		{"code about a token", nil, fake.OPPORefusal(10000, "?"), vendors.Result{Outcome: vendors.Transient, Code: "auth 10000"}},
		{"clock off", nil, fake.OPPORefusal(19, "timestamp"), vendors.Result{Outcome: vendors.CredentialBad, Code: "auth 19"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				change := c.change
				if change == nil {
					change = func(*Config, *fake.OPPOOptions, *fake.OPPOApp) {}
				}
				r := newRig(t, change)
				if c.fault.Kind == fake.Answer {
					r.fake.AuthFaults.Script(c.fault)
				}
				if got := r.must(t, r.push(), c.want.Outcome); got != c.want {
					t.Errorf("got %+v, want %+v", got, c.want)
				}
				if got := r.fake.Stats().Requests; got != 0 {
					t.Errorf("%d pushes were sent without a bearer", got)
				}
				r.fake.AuthFaults.Clear()
				if c.change == nil {
					<-time.After(time.Minute)
					r.must(t, r.push(), vendors.Accepted)
				}
			})
		})
	}
}

// TestClockSecondTry: one answer about the timestamp is survived.
func TestClockSecondTry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		f := fake.OPPORefusal(19, "timestamp")
		f.Times = 1
		r.fake.AuthFaults.Script(f)
		r.must(t, r.push(), vendors.Accepted)
	})
}

// TestBearerLife: a day from create_time, renewed ahead, without any refusal.
func TestBearerLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		for range 3 * 24 {
			r.must(t, r.push(), vendors.Accepted)
			<-time.After(time.Hour)
		}
		s := r.fake.Stats()
		if r.fake.Tokens() != 4 || s.Requests != 72 {
			t.Errorf("%d bearers for %d requests, want 4 for 72", r.fake.Tokens(), s.Requests)
		}
	})
}

// TestNoAnswerFromAuth: an error, which shows no address.
func TestNoAnswerFromAuth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.fake.AuthFaults.Script(fake.Fault{Kind: fake.Refuse})
		res, err := r.Send(t.Context(), r.push())
		if err == nil || res != (vendors.Result{}) || strings.Contains(err.Error(), "https:") {
			t.Errorf("got %+v, %v", res, err)
		}
	})
}

func FuzzGrant(f *testing.F) {
	vendortest.FuzzGrant(f, func(status int, body []byte, now time.Time) vendortest.Granted {
		a := read(courier.Answer{Status: status, Body: body})
		b, err := a.bearer(now)
		if refused, ok := errors.AsType[*refusedError](err); ok {
			return vendortest.Granted{Refusal: refused.result}
		}
		return vendortest.Granted{Value: b.Value, Expiry: b.Expiry}
	}, `{"code":0,"data":{"auth_token":"x","create_time":1700000000000}}`, `{"code":0,"data":{"auth_token":"x","create_time":"9e99"}}`, `{"code":14}`)
}
