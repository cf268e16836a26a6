package content

import (
	"strings"
	"testing"
	"unicode/utf8"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

// Long texts end between two characters, and nothing follows the end.
func TestRenderIsBounded(t *testing.T) {
	long := strings.Repeat("长", 4096/3)
	set := NewTemplates([]*rousev1.Template{named("t", "{0}{0}{0}x", strings.Repeat("{$msg}", 100)+"x")})
	m := &rousev1.MessageEvent{Text: long, Template: &rousev1.TemplateUse{Name: "t", TitleArgs: []string{long}}}
	got := set.Render(m, &Viewer{})
	for _, c := range []struct {
		text  string
		limit int
	}{{got.Title, maxTitle}, {got.Body, maxBody}} {
		if len(c.text) > c.limit || len(c.text) < c.limit-2 || !utf8.ValidString(c.text) || strings.Contains(c.text, "x") {
			t.Errorf("%d bytes, limit %d, valid %v", len(c.text), c.limit, utf8.ValidString(c.text))
		}
	}
}

func FuzzRender(f *testing.F) {
	f.Add("{$dynamicFrom}: {$msg}", "{0} {1}", "{$msg}{$msg}", "hi", "zh-TW")
	f.Add("{{0}}{$", "{}", "{0}{0}", "{$msg}", "en_US")
	f.Add(strings.Repeat("{0}", 85), strings.Repeat("{$msg}", 170), strings.Repeat("{$msg}", 85), strings.Repeat("长", 1365), "x-y-z")
	f.Fuzz(func(t *testing.T, title, body, arg, msg, lang string) {
		if !utf8.ValidString(title + body + arg + msg) {
			return
		}
		set := NewTemplates([]*rousev1.Template{named("t", title, body)})
		m := &rousev1.MessageEvent{
			Sender: msg, Text: msg, Translations: map[string]string{lang: arg},
			Template: &rousev1.TemplateUse{Name: "t", TitleArgs: []string{arg, msg}, ContentArgs: []string{msg}},
		}
		v := &Viewer{Language: lang, Style: summary}
		got := set.Render(m, v)
		if got != set.Render(m, v) {
			t.Fatal("two renders differ")
		}
		if len(got.Title) > maxTitle || len(got.Body) > maxBody {
			t.Fatalf("%d and %d bytes", len(got.Title), len(got.Body))
		}
		if !utf8.ValidString(got.Title) || !utf8.ValidString(got.Body) {
			t.Fatal("cut within a character")
		}
		if plain := title + body; !strings.Contains(plain, "{") && !blank(plain) && len(title) <= maxTitle && len(body) <= maxBody && (got.Title != title || got.Body != body) {
			t.Fatalf("%q became %q, %q became %q", title, got.Title, body, got.Body)
		}
	})
}

// A pattern's pieces make up the pattern again.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"", "{", "}{", "{0}{$msg}a{b}", "{{99}}", "{$dynamicFrom"} {
		f.Add(s)
	}
	names := map[kind]string{}
	for name, k := range builtIns {
		names[k] = name
	}
	f.Fuzz(func(t *testing.T, s string) {
		var b strings.Builder
		for rest := s; rest != ""; {
			was := rest
			var p piece
			p, rest = cut(rest)
			whole := was[:len(was)-len(rest)]
			if len(whole) == 0 {
				t.Fatal("no step forward")
			}
			switch {
			case p.kind == literal && p.text != whole, names[p.kind] != "" && names[p.kind] != whole, p.kind == argument && whole[0] != '{':
				t.Fatalf("%+v is %q", p, whole)
			}
			b.WriteString(whole)
		}
		if b.String() != s {
			t.Fatalf("%q became %q", s, b.String())
		}
		for i, p := range parse(s) {
			if p.kind == literal && p.text == "" {
				t.Fatalf("piece %d is empty", i)
			}
		}
	})
}

func BenchmarkRender(b *testing.B) {
	set := NewTemplates([]*rousev1.Template{{Name: "t", Texts: map[string]*rousev1.TemplateText{
		"": {TitlePattern: "{0}", ContentPattern: "{$dynamicFrom}: {$msg}"}, "zh-Hans": {TitlePattern: "{0}", ContentPattern: "{$dynamicFrom}：{$msg}"},
	}}})
	for name, v := range map[string]*Viewer{
		"template": {User: "bob", Language: "zh-CN"},
		"given":    {User: "bob", Language: "en"},
		"summary":  {User: "bob", Language: "zh-CN", Style: summary},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			m := &rousev1.MessageEvent{
				Sender: "ann", SenderNickname: "Ann", Text: "See you at eight?", ConversationType: group,
				Translations: map[string]string{"zh-Hans": "八点见？", "en": "See you at eight?"},
			}
			switch name {
			case "template":
				m.Template = &rousev1.TemplateUse{Name: "t", TitleArgs: []string{"Sailing club"}}
			case "given":
				m.Content = &rousev1.Content{Title: "Ann", Body: "See you at eight?"}
			}
			for b.Loop() {
				set.Render(m, v)
			}
		})
	}
}
