package rpc

import (
	"strings"
	"testing"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

func TestWords(t *testing.T) {
	for value, name := range rousev1.SessionState_name {
		e := rousev1.SessionState(value)
		got, err := Value[rousev1.SessionState](Word(e))
		if value != 0 && (err != nil || got != e) {
			t.Errorf("%s: word %q, back %v, %v", name, Word(e), got, err)
		}
	}
	if w := Word(rousev1.SessionState_SESSION_STATE_LOGGED_OUT); w != "logged-out" {
		t.Error(w)
	}
	if w := Word(rousev1.Reason(999)); w != "999" {
		t.Error(w)
	}
	if _, err := Value[rousev1.Role]("boss"); err == nil || err.Error() != `"boss" is none of intake, admin, viewer, operator` {
		t.Error(err)
	}
	if r, err := Value[rousev1.Role](""); err != nil || r != 0 {
		t.Error(r, err)
	}
}

func TestOpenRefuses(t *testing.T) {
	for url, want := range map[string]string{
		"127.0.0.1:7700":       "is no address",
		"ftp://127.0.0.1":      "is no address",
		"http://10.0.0.1:7700": "in the clear; use https",
		"http://[::1]:7700":    "",
		"http://localhost":     "",
		"https://10.0.0.1":     "",
	} {
		_, err := Open(Options{URL: url})
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v", url, err)
		}
	}
	if _, err := Open(Options{URL: "https://10.0.0.1", CAPEM: []byte("no PEM")}); err == nil {
		t.Error("a file without certificates was taken")
	}
}
