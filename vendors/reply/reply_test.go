package reply

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func one(t *testing.T, hidden, path, body string) Reply {
	t.Helper()
	l := &Log{}
	to, err := url.Parse("https://push.example" + path)
	if err != nil {
		t.Fatal(err)
	}
	l.Note(to, time.Now(), 400, http.Header{"Apns-Id": {"x"}, "Set-Cookie": {"session"}}, []byte(body), nil)
	l.Hide(hidden)
	return l.Replies()[0]
}

func TestSecretsAreMasked(t *testing.T) {
	const secret = `k/8+"s\e=cret`
	in, err := json.Marshal(map[string]string{"why": secret})
	if err != nil {
		t.Fatal(err)
	}
	twice, err := json.Marshal(map[string]string{"msg": string(in)})
	if err != nil {
		t.Fatal(err)
	}
	for _, body := range []string{
		"bad: " + secret, string(in), string(twice), "sent a=" + url.QueryEscape(secret), strings.ToUpper(secret),
		"b " + base64.StdEncoding.EncodeToString([]byte(secret)),
	} {
		r := one(t, secret, "/3/device/"+url.PathEscape(secret), body)
		for _, v := range spellings(secret) {
			if strings.Contains(r.Body+r.Address, v) {
				t.Errorf("%q shows in %+v", v, r)
			}
		}
		if !strings.Contains(r.Body, masked) || len(r.Header) != 1 || r.Header["apns-id"] != "x" {
			t.Errorf("%q became %+v", body, r)
		}
	}
}

// In base64 a secret looks different after each number of bytes.
func TestSecretsWithinBase64AreMasked(t *testing.T) {
	const secret = "c?n>ry-s?cret>valu?"
	for _, e := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding, base64.RawStdEncoding, base64.RawURLEncoding} {
		for _, before := range []string{"", "u", "us", "use", "user:"} {
			in, err := json.Marshal(e.EncodeToString([]byte(before + secret + ":more")))
			if err != nil {
				t.Fatal(err)
			}
			for _, body := range []string{string(in), strings.ReplaceAll(string(in), "/", `\/`)} {
				// Three characters of a neighbour may be left on each side.
				if r := one(t, secret, "/", body); !strings.Contains(r.Body, masked) || len(r.Body) > len(`""`)+len(masked)+2*8 {
					t.Errorf("%q after %q became %q", body, before, r.Body)
				}
			}
		}
	}
}

// What no one has hidden is masked by its name or form.
func TestUnknownSecretsAreMasked(t *testing.T) {
	for _, body := range []string{
		`{"access_token":"T0psecret","expires_in":3600}`, `{"authToken" : "T0psecret"}`, `{"data":{"auth_token":"T0psecret`,
		`{"msg":"{\"access_token\":\"T0psecret\"}"}`, `access_token=T0psecret&expires_in=1`,
		`assertion eyJhbGciOiJSUzI1NiJ9.T0psecret.T0psecret is old`, "-----BEGIN PRIVATE KEY-----\nT0psecret\n-----END PRIVATE KEY-----",
	} {
		if r := one(t, "", "/", body); strings.Contains(r.Body, "T0psecret") {
			t.Errorf("%s became %s", body, r.Body)
		}
	}
	const plain = `{"code":200,"message":"the token is illegal","requestId":"r-1"}`
	if r := one(t, "", "/v1/projects/demo/messages:send", plain); r.Body != plain || r.Address != "push.example/v1/projects/demo/messages:send" {
		t.Errorf("became %+v", r)
	}
	if r := one(t, "", "/v1/100000001/messages:send", ""); r.Address != "push.example/v1/…/messages:send" {
		t.Error(r.Address)
	}
}

// Wherever a body is cut, no part of a secret that is longer than a few bytes
// is left at the cut.
func TestCutLeavesNoPart(t *testing.T) {
	const secret = "0123456789abcdefghijklmnopqrstuv"
	rapid.Check(t, func(rt *rapid.T) {
		before := rapid.IntRange(maxRaw-len(secret), maxRaw).Draw(rt, "before")
		filler := rapid.SampledFrom([]string{"é", "x", secret}).Draw(rt, "filler")
		body := strings.Repeat(filler, before/len(filler))
		body += strings.Repeat("y", before-len(body)) + secret
		r := one(t, secret, "/", body)
		if strings.Contains(r.Body, secret[:8]) || len(r.Body) > MaxBody || !utf8.ValidString(r.Body) {
			rt.Fatalf("%d bytes, end %q", len(r.Body), r.Body[max(0, len(r.Body)-40):])
		}
	})
}

func TestBounds(t *testing.T) {
	l := &Log{}
	ctx := With(context.Background(), l)
	for range 2 * MaxReplies {
		From(ctx).Note(&url.URL{Host: "h"}, time.Now(), 0, nil, nil, errors.New("no route"))
	}
	if r := l.Replies(); len(r) != MaxReplies || r[0].Body != "no route" || r[0].Status != 0 {
		t.Errorf("%d replies, first %+v", len(r), r[0])
	}
	From(context.Background()).Hide("nothing") // a call without a Log
	From(context.Background()).Note(&url.URL{}, time.Now(), 200, nil, nil, nil)
}
