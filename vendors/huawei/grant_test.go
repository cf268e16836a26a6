package huawei

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"

	"github.com/rouse-im/rouse/vendors"
	"github.com/rouse-im/rouse/vendors/courier"
	"github.com/rouse-im/rouse/vendors/fake"
	"github.com/rouse-im/rouse/vendors/vendortest"
)

func TestWrongSecret(t *testing.T) {
	for change, want := range map[*Config]string{{AppSecret: "other"}: "oauth 1101/12304", {AppID: "999"}: "oauth 1101/20003"} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, HMS, func(c *Config, _ *fake.HuaweiOptions) {
				if change.AppSecret != "" {
					c.AppSecret = change.AppSecret
				} else {
					c.AppID = change.AppID
				}
			})
			if res := r.got(t, r.push()); res != (vendors.Result{Outcome: vendors.CredentialBad, Code: want}) {
				t.Errorf("got %+v, want %s", res, want)
			}
			if r.fake.Stats().Requests != 0 {
				t.Error("a push was sent without a bearer")
			}
		})
	}
}

func TestOutageOfOAuth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, HMS)
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
	for body, want := range map[string]vendors.Result{
		`{"access_token":"a\/b","expires_in":3600,"token_type":"Bearer"}`: {},
		`{"access_token":"a","expires_in":0}`:                             {Outcome: vendors.Transient, Code: "oauth HTTP 200"},
		`{"access_token":"a b","expires_in":3600}`:                        {Outcome: vendors.Transient, Code: "oauth HTTP 200"},
		`<html>`: {Outcome: vendors.Transient, Code: "oauth HTTP 200"},
		`{"error":1302,"error_description":"flow control"}`: {Outcome: vendors.Throttled, Code: "oauth HTTP 200"},
		`{"error":"1302"}`: {Outcome: vendors.Throttled, Code: "oauth HTTP 200"},
	} {
		b, err := readGrant(courier.Answer{Status: 200, Body: []byte(body)}, now)
		if refused, ok := errors.AsType[*refusedError](err); ok {
			if diff := cmp.Diff(want, refused.result); diff != "" {
				t.Errorf("%s: %s", body, diff)
			}
			continue
		}
		if err != nil || want.Outcome != 0 || b.Value != "a/b" || !b.Expiry.Equal(now.Add(time.Hour)) {
			t.Errorf("%s: %+v, %v", body, b, err)
		}
	}
}

// TestJWT: header and claims are Huawei's, and nothing else.
func TestJWT(t *testing.T) {
	p, err := testConfig(t, Harmony).parse()
	if err != nil {
		t.Fatal(err)
	}
	b, err := p.account.sign(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	claims := jwt.MapClaims{}
	token, err := jwt.ParseWithClaims(b.Value, claims, func(*jwt.Token) (any, error) { return theIdentity(t).account.Public, nil })
	if err != nil {
		t.Fatal(err)
	}
	id := theIdentity(t).account
	if diff := cmp.Diff(map[string]any{"alg": "PS256", "typ": "JWT", "kid": id.KeyID}, token.Header); diff != "" {
		t.Error(diff)
	}
	iat, _ := claims["iat"].(float64)
	want := jwt.MapClaims{"iss": id.SubAccount, "aud": defaultAuthEndpoint + tokenPath, "iat": iat, "exp": iat + 3600}
	if diff := cmp.Diff(want, claims); diff != "" {
		t.Error(diff)
	}
	if b.Expiry.Unix() != int64(iat)+3600 {
		t.Errorf("expiry %v", b.Expiry)
	}
}

func TestWrongProject(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Harmony, func(c *Config, _ *fake.HuaweiOptions) { c.ProjectID = "7" })
		if res := r.got(t, r.push()); res.Outcome != vendors.CredentialBad || res.Code != "80200001" {
			t.Errorf("got %+v", res)
		}
		if got := r.fake.Stats().Requests; got != 2 {
			t.Errorf("%d requests, want 2", got)
		}
	})
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
