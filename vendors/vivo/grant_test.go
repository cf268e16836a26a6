package vivo

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rouse-im/rouse/vendors"
	"github.com/rouse-im/rouse/vendors/fake"
)

func TestSign(t *testing.T) {
	const want = "8bbaee860c238453f723b6ddb24cb1e8"
	if got := (key{appID, appKey, secret}).sign("1700000000000"); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestGrantRefused(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Config, *fake.VivoOptions, *fake.VivoApp)
		fault  fake.Fault
		want   vendors.Result
	}{
		{"unknown app", func(c *Config, _ *fake.VivoOptions, _ *fake.VivoApp) { c.AppID = "7" }, fake.Fault{}, vendors.Result{Outcome: vendors.CredentialBad, Code: "auth 10205"}},
		{"other secret", func(c *Config, _ *fake.VivoOptions, _ *fake.VivoApp) { c.AppSecret = "other" }, fake.Fault{}, vendors.Result{Outcome: vendors.CredentialBad, Code: "auth 10206"}},
		{"page", nil, fake.HTML(502), vendors.Result{Outcome: vendors.Transient, Code: "auth HTTP 502"}},
		{"too often", nil, fake.VivoRefusal(10093, "limit"), vendors.Result{Outcome: vendors.Throttled, Code: "auth 10093"}},
		{"no token in it", nil, fake.Fault{Kind: fake.Answer, Status: 200, Body: `{"result":0}`}, vendors.Result{Outcome: vendors.Transient, Code: "auth "}},
		{"code about a regId", nil, fake.VivoRefusal(10302, "?"), vendors.Result{Outcome: vendors.Transient, Code: "auth 10302"}},
		{"clock off", nil, fake.VivoRefusal(10207, "timestamp"), vendors.Result{Outcome: vendors.CredentialBad, Code: "auth 10207"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				change := c.change
				if change == nil {
					change = func(*Config, *fake.VivoOptions, *fake.VivoApp) {}
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
		f := fake.VivoRefusal(10207, "timestamp")
		f.Times = 1
		r.fake.AuthFaults.Script(f)
		r.must(t, r.push(), vendors.Accepted)
	})
}

// TestOldBearerServes: while auth is refused, the bearer in hand is used.
func TestOldBearerServes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.must(t, r.push(), vendors.Accepted)
		r.fake.AuthFaults.Script(fake.VivoRefusal(10093, "limit"))
		<-time.After(bearerLife - time.Minute)
		r.must(t, r.push(), vendors.Accepted)
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
