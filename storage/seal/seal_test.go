package seal

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// secret is a key of one repeated byte.
func secret(b byte) string {
	return base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{b}, keyBytes))
}

func mustParse(t testing.TB, text string) *Ring {
	t.Helper()
	r, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

var (
	oldRing = "index:" + secret(9) + "\n1:" + secret(1) + "\n"
	newRing = "index:" + secret(9) + "\n2:" + secret(2) + "\n1:" + secret(1) + "\n"
)

func TestSealAndOpen(t *testing.T) {
	r := mustParse(t, oldRing)
	for _, plain := range []string{"", "token", strings.Repeat("x", 10_000)} {
		sealed := r.Seal([]byte("head"), []byte("app|ann"), []byte(plain))
		if len(sealed) != len("head")+Overhead+len(plain) || Overhead > 33 {
			t.Errorf("%d bytes became %d", len(plain), len(sealed))
		}
		sealed = sealed[len("head"):]
		if bytes.Contains(sealed, []byte("token")) {
			t.Error("the plain text shows")
		}
		got, err := r.Open([]byte("head"), []byte("app|ann"), sealed)
		if err != nil || string(got) != "head"+plain {
			t.Errorf("got %q, %v", got, err)
		}
		if again := r.Seal(nil, []byte("app|ann"), []byte(plain)); bytes.Equal(again, sealed) {
			t.Error("two values with one nonce")
		}
	}
}

// TestEveryDamageIsNoticed flips each bit, cuts at each length and moves the
// value elsewhere.
func TestEveryDamageIsNoticed(t *testing.T) {
	r := mustParse(t, newRing)
	aad := []byte("app|ann")
	sealed := r.Seal(nil, aad, []byte("token"))
	for i := range len(sealed) * 8 {
		damaged := bytes.Clone(sealed)
		damaged[i/8] ^= 1 << (i % 8)
		plain, err := r.Open(nil, aad, damaged)
		if want := i/8 >= 1 && i/8 < headBytes; plain != nil || !errors.Is(err, ErrTampered) && !(want && errors.Is(err, ErrUnknownKey)) {
			t.Errorf("bit %d: got %q, %v", i, plain, err)
		}
	}
	for n := range sealed {
		if plain, err := r.Open(nil, aad, sealed[:n]); plain != nil || !errors.Is(err, ErrTampered) {
			t.Errorf("first %d bytes: got %q, %v", n, plain, err)
		}
	}
	for _, elsewhere := range []string{"", "app|bob", "app|ann|"} {
		if _, err := r.Open(nil, []byte(elsewhere), sealed); !errors.Is(err, ErrTampered) {
			t.Errorf("moved to %q: %v", elsewhere, err)
		}
	}
}

func TestRotation(t *testing.T) {
	before, after := mustParse(t, oldRing), mustParse(t, newRing)
	sealed := before.Seal(nil, nil, []byte("token"))
	if got, err := after.Open(nil, nil, sealed); err != nil || string(got) != "token" {
		t.Errorf("the new ring does not open old values: %q, %v", got, err)
	}
	fresh := after.Seal(nil, nil, []byte("token"))
	if _, err := before.Open(nil, nil, fresh); !errors.Is(err, ErrUnknownKey) || !strings.Contains(err.Error(), "key id 2") {
		t.Errorf("the old ring answers %v", err)
	}
	if before.Sum("token", []byte("x")) != after.Sum("token", []byte("x")) {
		t.Error("sums changed with the sealing key")
	}
}

func TestSum(t *testing.T) {
	r := mustParse(t, oldRing)
	b := func(s string) []byte { return []byte(s) }
	sums := map[[32]byte]string{}
	for name, sum := range map[string][32]byte{
		"domain and data":  r.Sum("token", b("apns"), b("abc")),
		"other split":      r.Sum("token", b("apnsa"), b("bc")),
		"other domain":     r.Sum("tokena", b("pns"), b("abc")),
		"domain as data":   r.Sum("", b("token"), b("apns"), b("abc")),
		"an empty part":    r.Sum("token", b("apns"), b("abc"), nil),
		"other index key":  mustParse(t, strings.Replace(oldRing, secret(9), secret(8), 1)).Sum("token", b("apns"), b("abc")),
		"index is sealing": mustParse(t, "index:"+secret(1)+"\n9:"+secret(9)).Sum("token", b("apns"), b("abc")),
	} {
		if other, ok := sums[sum]; ok {
			t.Errorf("%s and %s have one sum", name, other)
		}
		sums[sum] = name
	}
	// Pinned: token sums are keys on disk.
	const want = "2213692d81c70880000dfca0f5b66d9b6ee7c684ae64cb6bfecd24b739866cad"
	if got := r.Sum("token", b("apns"), b("abc")); hex.EncodeToString(got[:]) != want {
		t.Errorf("the sum changed; token owners on disk would be lost: got %x", got)
	}
}

// TestOpensWhatWasSealedBefore pins the format of sealed values.
func TestOpensWhatWasSealedBefore(t *testing.T) {
	sealed, err := hex.DecodeString("0100000001a076b8eeec8e946417f70ee5cdce01bdfbb5ea0eb6d6df322789652e4b812d6025")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := mustParse(t, oldRing).Open(nil, []byte("app|ann"), sealed); err != nil || string(got) != "token" {
		t.Fatalf("got %q, %v", got, err)
	}
}

func TestRingHidesKeys(t *testing.T) {
	r := mustParse(t, oldRing)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if got := fmt.Sprintf(verb, r); got != "seal.Ring(1 keys)" {
			t.Errorf("%s prints %q", verb, got)
		}
	}
}

func FuzzOpen(f *testing.F) {
	r := mustParse(f, newRing)
	f.Add([]byte("aad"), []byte{})
	f.Add([]byte("aad"), r.Seal(nil, []byte("aad"), []byte("token")))
	f.Add([]byte("aad"), bytes.Repeat([]byte{1}, Overhead))
	f.Fuzz(func(t *testing.T, aad, sealed []byte) {
		plain, err := r.Open(nil, aad, sealed)
		if err != nil && !errors.Is(err, ErrTampered) && !errors.Is(err, ErrUnknownKey) {
			t.Errorf("untyped error %v", err)
		}
		if err != nil && plain != nil {
			t.Errorf("error %v with plain text %q", err, plain)
		}
	})
}

func BenchmarkSeal(b *testing.B) {
	r := mustParse(b, oldRing)
	aad, plain := []byte("app|ann|device"), make([]byte, 200)
	var sealed []byte
	b.ReportAllocs()
	for b.Loop() {
		sealed = r.Seal(sealed[:0], aad, plain)
	}
}

func BenchmarkOpen(b *testing.B) {
	r := mustParse(b, oldRing)
	aad := []byte("app|ann|device")
	sealed := r.Seal(nil, aad, make([]byte, 200))
	var plain []byte
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if plain, err = r.Open(plain[:0], aad, sealed); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSum(b *testing.B) {
	r := mustParse(b, oldRing)
	token := make([]byte, 64)
	b.ReportAllocs()
	for b.Loop() {
		r.Sum("token", token)
	}
}
