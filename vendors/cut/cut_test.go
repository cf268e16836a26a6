package cut

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/rivo/uniseg"
	"pgregory.net/rapid"
)

const family = "👨‍👩‍👧‍👦" // 25 bytes, 7 code points, 11 UTF-16 units

var rulers = map[string]Ruler{"runes": Runes, "utf16": UTF16, "wide": Wide, "json": JSON, "html": HTML}

func TestText(t *testing.T) {
	for _, tt := range []struct {
		text, ruler string
		most        int
		want        string
	}{
		{"hello", "runes", 5, "hello"},
		{"hello", "runes", 4, "hel…"},
		{"hello", "runes", 1, "…"},
		{"hello", "runes", 0, ""},
		{"hello", "runes", -7, ""},
		{"", "runes", 0, ""},
		{"hello", "json", 4, "h…"},
		{"hello", "json", 3, "…"},
		{"hello", "json", 2, ""},
		{"你好世界", "runes", 3, "你好…"},
		{"你好世界", "utf16", 3, "你好…"},
		{"你好世界", "wide", 6, "你好…"},
		{"你好世界", "wide", 5, "你…"},
		{"你好世界", "json", 9, "你好…"},
		{"你好世界", "json", 8, "你…"},
		{"😀😀😀", "runes", 2, "😀…"},
		{"😀😀😀", "utf16", 4, "😀…"},
		{"😀😀😀", "utf16", 2, "…"},
		{"ab " + family, "json", 20, "ab…"},
		{family + family, "runes", 8, family + "…"},
		{family + family, "runes", 7, "…"},
		{family + family, "utf16", 12, family + "…"},
		{family + family, "json", 28, family + "…"},
		{"🇨🇳🇸🇪", "runes", 3, "🇨🇳…"},
		{"e\u0301e\u0301", "runes", 3, "e\u0301…"},
		{"e\u0301e\u0301", "runes", 2, "…"},
		{"a<b", "json", 3, "a<b"},
		{"a<b", "html", 7, "a…"},
		{"a\n\n b", "runes", 4, "a…"},
		{"a\xffb", "runes", 3, "a\uFFFDb"},
		{"a\xffbc", "runes", 3, "a\uFFFD…"},
		{"a" + strings.Repeat("\u0301", 10_000), "utf16", 50, "…"},
	} {
		if got := Text(tt.text, Limit{rulers[tt.ruler], tt.most}); got != tt.want {
			t.Errorf("%.40q within %d %s: %q, want %q", tt.text, tt.most, tt.ruler, got, tt.want)
		}
	}
	if got := Text("你好世界", Limit{JSON, 100}, Limit{Runes, 3}); got != "你好…" {
		t.Errorf("of two limits the second did not hold: %q", got)
	}
	if got := Text("你好世界", Limit{JSON, 6}, Limit{Runes, 3}); got != "你…" {
		t.Errorf("of two limits the first did not hold: %q", got)
	}
}

var texts = rapid.OneOf(
	rapid.String(),
	rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) }),
	rapid.Map(rapid.SliceOf(rapid.SampledFrom([]string{
		"你", family, "🇨🇳", "e\u0301", "<", "\"", "\x00", "\u2028", "\n", " ", "한", "👍🏽", "\u200d", "\xff", "a",
	})), func(parts []string) string { return strings.Join(parts, "") }),
)

// TestTextFits: the most that fits, in whole characters, and no more than that.
func TestTextFits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := texts.Draw(t, "text")
		ruler := rulers[rapid.SampledFrom([]string{"runes", "utf16", "wide", "json", "html"}).Draw(t, "ruler")]
		most := rapid.IntRange(0, 60).Draw(t, "most")
		got := Text(text, Limit{ruler, most})
		valid := strings.ToValidUTF8(text, "\uFFFD")
		switch {
		case !utf8.ValidString(got):
			t.Fatalf("no UTF-8: %q", got)
		case ruler(got) > most:
			t.Fatalf("%q counts %d, beyond %d", got, ruler(got), most)
		case ruler(valid) <= most && got != valid:
			t.Fatalf("%q fits and became %q", valid, got)
		case got == valid || got == "":
			return
		}
		kept, marked := strings.CutSuffix(got, Ellipsis)
		if !marked || !strings.HasPrefix(valid, kept) {
			t.Fatalf("%q was not cut but changed: %q", valid, got)
		}
		end, next, rest, state := 0, "", valid, -1
		for end <= len(kept) {
			end += len(next)
			if next, rest, _, state = uniseg.FirstGraphemeClusterInString(rest, state); end >= len(kept) {
				break
			}
		}
		if end != len(kept) {
			t.Fatalf("%q was cut within a character: %q", valid, got)
		}
		for strings.Trim(next, " \n") == "" && rest != "" { // spaces before the ellipsis go
			var more string
			more, rest, _, state = uniseg.FirstGraphemeClusterInString(rest, state)
			next += more
		}
		if ruler(kept+next+Ellipsis) <= most && strings.Trim(next, " \n") != "" {
			t.Fatalf("%q within %d: %q, but %q fits too", valid, most, got, kept+next+Ellipsis)
		}
	})
}

// TestRulers compares with what writes the texts, and holds each to adding up.
func TestRulers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := strings.ToValidUTF8(texts.Draw(t, "text"), "\uFFFD")
		var plain bytes.Buffer
		e := json.NewEncoder(&plain)
		e.SetEscapeHTML(false)
		if err := e.Encode(text); err != nil {
			t.Fatal(err)
		}
		html, err := json.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := JSON(text), plain.Len()-len("\"\"\n"); got != want {
			t.Fatalf("JSON(%q) is %d, encoding/json writes %d", text, got, want)
		}
		if got, want := HTML(text), len(html)-len(`""`); got != want {
			t.Fatalf("HTML(%q) is %d, encoding/json writes %d", text, got, want)
		}
		if got, want := UTF16(text), len(utf16.Encode([]rune(text))); got != want {
			t.Fatalf("UTF16(%q) is %d, want %d", text, got, want)
		}
		for name, ruler := range rulers {
			sum := 0
			for g := uniseg.NewGraphemes(text); g.Next(); {
				sum += ruler(g.Str())
			}
			if sum != ruler(text) {
				t.Fatalf("%s counts %q for %d, its characters for %d", name, text, ruler(text), sum)
			}
		}
	})
}

func TestEnds(t *testing.T) {
	text := "ab" + family + "🇨🇳c"
	if got, want := Ends(text, 100), []int{1, 2, 2 + len(family), 2 + len(family) + 8}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got, want := Ends(text, 10), []int{1, 2}; !slices.Equal(got, want) { // within the family
		t.Errorf("got %v, want %v", got, want)
	}
	if got := Ends("", 10); got != nil {
		t.Errorf("got %v", got)
	}
}
