package link

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"
)

// What a hello looks like may never change: it is how releases find out what
// they have in common.
func TestHelloIsPinned(t *testing.T) {
	h := hello{kind: kindBulk, from: 0x0102030405060708, to: 0x1112131415161718, cluster: "prod"}
	const want = "524c4e4b" + "01" + "02" + "0102030405060708" + "1112131415161718" + "04" + "70726f64"
	if got := hex.EncodeToString(h.encode()); got != want {
		t.Errorf("hello:\n got %s\nwant %s", got, want)
	}
	a := answer{verdict: stranger, id: 0x2122232425262728}
	if got := hex.EncodeToString(a.encode()); got != "524c4e4b"+"01"+"03"+"2122232425262728" {
		t.Errorf("answer: %s", got)
	}
}

func TestHelloRoundTrip(t *testing.T) {
	for _, name := range []string{"", "a", strings.Repeat("x", 255)} {
		want := hello{version: version, kind: kindFrames, from: 1, to: 1<<64 - 1, cluster: name}
		got, err := readHello(bytes.NewReader(want.encode()))
		if err != nil || got != want {
			t.Errorf("%v, %v; want %v", got, err, want)
		}
		for cut := range want.encode() {
			if _, err := readHello(bytes.NewReader(want.encode()[:cut])); err == nil {
				t.Errorf("%d bytes of a hello were read as a whole one", cut)
			}
		}
	}
	for v := range verdict(len(verdicts) + 2) {
		got, err := readAnswer(bytes.NewReader(answer{verdict: v, id: 7}.encode()))
		if err != nil || got != (answer{version, v, 7}) {
			t.Errorf("%v, %v", got, err)
		}
		if s := (refusal{v, 7}).Error(); s == "" || v.String() == "" {
			t.Errorf("verdict %d has no words", v)
		}
	}
}

func TestHelloOfAnotherProtocol(t *testing.T) {
	text := []byte("GET / HTTP/1.1\r\nHost: example.com\r\n\r\n")
	if _, err := readHello(bytes.NewReader(text)); err == nil || !strings.Contains(err.Error(), "GET") {
		t.Errorf("hello: %v", err)
	}
	if _, err := readAnswer(bytes.NewReader(text)); err == nil || !strings.Contains(err.Error(), "GET") {
		t.Errorf("answer: %v", err)
	}
}
