package main

import (
	"bytes"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rouse-im/rouse/internal/demo"
)

// Both languages say the same: the same keys, with the same verbs in the same
// order, and every breach.
func TestLanguagesSayTheSame(t *testing.T) {
	verb := regexp.MustCompile(`%[sd]|\t`)
	for w := range lastWord {
		en, zh := english.words[w], chinese.words[w]
		if en == "" || zh == "" {
			t.Errorf("text %d: %q, %q", w, en, zh)
		}
		if a, b := verb.FindAllString(en, -1), verb.FindAllString(zh, -1); !slices.Equal(a, b) {
			t.Errorf("%q has %q, %q has %q", en, a, zh, b)
		}
	}
	if a, b := slices.Sorted(maps.Keys(english.breaches)), slices.Sorted(maps.Keys(chinese.breaches)); !slices.Equal(a, b) {
		t.Errorf("%v, %v", a, b)
	}
}

func TestSpeakFollowsTheLocale(t *testing.T) {
	for _, c := range []struct {
		env  map[string]string
		want string
	}{
		{nil, "woken"},
		{map[string]string{"LANG": "zh_CN.UTF-8"}, "已唤醒"},
		{map[string]string{"LANG": "zh_CN.UTF-8", "LC_ALL": "C"}, "woken"},
		{map[string]string{"LANG": "en_US.UTF-8", "LC_ALL": "zh_TW"}, "已唤醒"},
	} {
		if got := speak(func(name string) string { return c.env[name] }).words[wordWoken]; got != c.want {
			t.Errorf("%v: %q", c.env, got)
		}
	}
}

// What the check finds is shown, and makes the demo fail.
func TestFindingsFailTheDemo(t *testing.T) {
	var out bytes.Buffer
	c := &call{out: &out, speech: english}
	r := &demo.Report{}
	if err := c.report(r); err != nil || !strings.Contains(out.String(), "Nothing is missing") {
		t.Fatalf("%v\n%s", err, out.String())
	}
	for range maxShown + 2 {
		r.Findings = append(r.Findings, demo.Finding{Breach: demo.Missing, Where: "user ann, message m-1"})
	}
	out.Reset()
	err := c.report(r)
	if err == nil || !strings.Contains(err.Error(), "22 findings") {
		t.Error(err)
	}
	for _, want := range []string{"no outcome: user ann, message m-1", "and 2 more"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	if strings.Contains(out.String(), "Nothing is missing") {
		t.Error("all is well, it says")
	}
}

// Cells stand below each other whatever they are written in.
func TestColumns(t *testing.T) {
	var out bytes.Buffer
	c := &call{out: &out}
	if err := c.columns([][]string{{"消息", "1", "a"}, {"events", "22", "b"}}); err != nil {
		t.Fatal(err)
	}
	if got, want := out.String(), "消息    1   a\nevents  22  b\n"; got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}
