package content

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

const (
	simple  = rousev1.DisplayStyle_DISPLAY_STYLE_SIMPLE
	summary = rousev1.DisplayStyle_DISPLAY_STYLE_SUMMARY
	group   = rousev1.ConversationType_CONVERSATION_TYPE_GROUP
	direct  = rousev1.ConversationType_CONVERSATION_TYPE_DIRECT
)

func named(name, title, body string) *rousev1.Template {
	return &rousev1.Template{Name: name, Texts: map[string]*rousev1.TemplateText{"": {TitlePattern: title, ContentPattern: body}}}
}

func remark(name string) func() string { return func() string { return name } }

// Each level beats all below it (low to high: style, template of the style,
// mention, given content, the receiver's, the sender's, the directed template),
// and hiding beats all of them.
func TestPrecedence(t *testing.T) {
	set := NewTemplates([]*rousev1.Template{
		named("directed", "", "directed"), named("sender", "", "sender"), named("receiver", "", "receiver"), named("detail", "", "detail of the app"),
	})
	m := &rousev1.MessageEvent{
		Sender: "ann", Text: "hi", ConversationType: group, Mentions: []string{"bob"},
		Content:          &rousev1.Content{Body: "given"},
		Template:         &rousev1.TemplateUse{Name: "sender"},
		DirectedTemplate: &rousev1.DirectedTemplate{Targets: []string{"bob"}, Template: &rousev1.TemplateUse{Name: "directed"}},
	}
	v := &Viewer{User: "bob", Style: summary, Template: "receiver", Hide: true}
	for _, level := range []struct {
		want   Text
		remove func()
	}{
		{Text{"You have a new message", "Tap to view", RuleHidden}, func() { v.Hide = false }},
		{Text{"", "directed", RuleDirected}, func() { m.DirectedTemplate.Targets = []string{"carl"} }},
		{Text{"", "sender", RuleSender}, func() { m.Template = nil }},
		{Text{"", "receiver", RuleReceiver}, func() { v.Template = "" }},
		{Text{"", "given", RuleGiven}, func() { m.Content = nil }},
		{Text{"You have a new message", "ann mentioned you in the group", RuleMention}, func() { m.Mentions = nil }},
		{Text{"", "detail of the app", RuleDefault}, func() { set = NewTemplates(nil) }},
		{Text{"You have a new message", "ann: hi", RuleStyle}, func() {}},
	} {
		if diff := cmp.Diff(level.want, set.Render(m, v)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", level.want.Rule, diff)
		}
		level.remove()
	}
}

// Row 34 of the settings: the sender can insist.
func TestHiddenUnlessTheSenderInsists(t *testing.T) {
	m := &rousev1.MessageEvent{Sender: "ann", Text: "hi", Content: &rousev1.Content{Title: "Ann", Body: "hi"}}
	v := &Viewer{User: "bob", Hide: true, Language: "zh-CN"}
	if got := NewTemplates(nil).Render(m, v); got != (Text{"您有一条新消息", "请点击查看", RuleHidden}) {
		t.Errorf("hidden: %+v", got)
	}
	m.ShowContent = true
	if got := NewTemplates(nil).Render(m, v); got != (Text{"Ann", "hi", RuleGiven}) {
		t.Errorf("shown: %+v", got)
	}
}

func TestRow51DisplayStyle(t *testing.T) {
	m := &rousev1.MessageEvent{Sender: "ann", SenderNickname: "Ann", Text: "hi"}
	for style, want := range map[rousev1.DisplayStyle]Text{
		0:       {"You have a new message", "Tap to view", RuleStyle},
		simple:  {"You have a new message", "Tap to view", RuleStyle},
		summary: {"You have a new message", "Ann: hi", RuleStyle},
	} {
		if got := NewTemplates(nil).Render(m, &Viewer{Style: style}); got != want {
			t.Errorf("%s: %+v, want %+v", style, got, want)
		}
	}
}

// A message without any text never was silent.
func TestMessageWithoutText(t *testing.T) {
	for lang, want := range map[string]string{"": "You have a new message", "xx": "You have a new message", "en_GB": "You have a new message", "zh_CN": "您有一条新消息"} {
		for _, style := range []rousev1.DisplayStyle{simple, summary} {
			if got := (*Templates)(nil).Render(&rousev1.MessageEvent{Sender: "ann"}, &Viewer{Language: lang, Style: style}); got != (Text{"", want, RuleStyle}) {
				t.Errorf("%q, %s: %+v", lang, style, got)
			}
		}
	}
}

func TestRow52PushNickname(t *testing.T) {
	set := NewTemplates([]*rousev1.Template{named("t", "", "{$fromNickname}")})
	m := &rousev1.MessageEvent{Sender: "ann", Template: &rousev1.TemplateUse{Name: "t"}}
	if got := set.Render(m, &Viewer{}).Body; got != "ann" {
		t.Errorf("without: %q", got)
	}
	m.SenderNickname = "Ann"
	if got := set.Render(m, &Viewer{}).Body; got != "Ann" {
		t.Errorf("with: %q", got)
	}
}

func TestRow53BuiltInPair(t *testing.T) {
	m := &rousev1.MessageEvent{Sender: "ann", Text: "hi"}
	own := NewTemplates([]*rousev1.Template{named("default", "News", "look"), named("detail", "{$fromNickname}", "{$msg}")})
	for _, c := range []struct {
		set   *Templates
		style rousev1.DisplayStyle
		want  Text
	}{
		{own, simple, Text{"News", "look", RuleDefault}},
		{own, summary, Text{"ann", "hi", RuleDefault}},
		{NewTemplates(nil), simple, Text{"You have a new message", "Tap to view", RuleStyle}},
		{NewTemplates(nil), summary, Text{"You have a new message", "ann: hi", RuleStyle}},
	} {
		if got := c.set.Render(m, &Viewer{Style: c.style}); got != c.want {
			t.Errorf("%+v, want %+v", got, c.want)
		}
	}
	// By name they are there for everybody.
	m.Template = &rousev1.TemplateUse{Name: "detail"}
	if got := NewTemplates(nil).Render(m, &Viewer{}); got != (Text{"You have a new message", "ann: hi", RuleSender}) {
		t.Errorf("by name: %+v", got)
	}
}

func TestRow54Placeholders(t *testing.T) {
	set := NewTemplates([]*rousev1.Template{named("t", "{1}{0}-{0}", "{$dynamicFrom}|{$fromNickname}|{$msg}|{2}|{x}{}{$}{ 0}{000}")})
	m := &rousev1.MessageEvent{
		Sender: "ann", SenderNickname: "Ann", SenderGroupNickname: "Captain", Text: "hi {0} {$msg}", ConversationType: group,
		Template: &rousev1.TemplateUse{Name: "t", TitleArgs: []string{"a", "b"}, ContentArgs: []string{"no", "no", "<{$msg}{1}{$nothing}>"}},
	}
	want := Text{"ba-a", "Captain|Ann|hi {0} {$msg}|<hi {0} {$msg}{1}{$nothing}>|{x}{}{$}{ 0}{000}", RuleSender}
	if diff := cmp.Diff(want, set.Render(m, &Viewer{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestRow54DynamicFrom(t *testing.T) {
	set := NewTemplates([]*rousev1.Template{named("t", "", "{$dynamicFrom}")})
	m := &rousev1.MessageEvent{Sender: "ann", SenderNickname: "Ann", SenderGroupNickname: "Captain", ConversationType: group, Template: &rousev1.TemplateUse{Name: "t"}}
	v := &Viewer{Remark: remark("Sis")}
	for _, step := range []struct {
		want   string
		remove func()
	}{
		{"Sis", func() { v.Remark = nil }},
		{"Captain", func() { m.ConversationType = direct }},
		{"Ann", func() { m.SenderNickname = "" }},
		{"ann", func() { m.Sender = "" }},
	} {
		if got := set.Render(m, v).Body; got != step.want {
			t.Errorf("got %q, want %q", got, step.want)
		}
		step.remove()
	}
	if got := set.Render(m, v); got.Rule != RuleStyle {
		t.Errorf("a template that says nothing is passed over, got %+v", got)
	}
}

func TestRow55SenderPicks(t *testing.T) {
	set := NewTemplates([]*rousev1.Template{named("t", "{0}", "{0} {1}")})
	m := &rousev1.MessageEvent{Template: &rousev1.TemplateUse{Name: "t", TitleArgs: []string{"x"}, ContentArgs: []string{"y"}}}
	if got := set.Render(m, &Viewer{}); got != (Text{"x", "y ", RuleSender}) {
		t.Errorf("%+v", got)
	}
	m.Template.Name = "unknown"
	if got := set.Render(m, &Viewer{}); got.Rule != RuleStyle {
		t.Errorf("unknown: %+v", got)
	}
}

func TestRow56ReceiverPicks(t *testing.T) {
	set := NewTemplates([]*rousev1.Template{named("mine", "", "{$fromNickname} wrote")})
	m := &rousev1.MessageEvent{Sender: "ann", Text: "hi"}
	if got := set.Render(m, &Viewer{Template: "mine"}); got != (Text{"", "ann wrote", RuleReceiver}) {
		t.Errorf("%+v", got)
	}
	if got := set.Render(m, &Viewer{Template: "unknown"}); got.Rule != RuleStyle {
		t.Errorf("unknown: %+v", got)
	}
}

func TestRow57DirectedTemplate(t *testing.T) {
	set := NewTemplates([]*rousev1.Template{named("at", "", "{0} wants you"), named("t", "", "to all")})
	m := &rousev1.MessageEvent{
		Template: &rousev1.TemplateUse{Name: "t"},
		DirectedTemplate: &rousev1.DirectedTemplate{
			Targets: []string{"bob"}, Template: &rousev1.TemplateUse{Name: "at", ContentArgs: []string{"Ann"}},
		},
	}
	for user, want := range map[string]Text{"bob": {"", "Ann wants you", RuleDirected}, "carl": {"", "to all", RuleSender}} {
		if got := set.Render(m, &Viewer{User: user}); got != want {
			t.Errorf("%s: %+v, want %+v", user, got, want)
		}
	}
	m.DirectedTemplate.Template.Name = "unknown"
	if got := set.Render(m, &Viewer{User: "bob"}); got.Rule != RuleSender {
		t.Errorf("unknown: %+v", got)
	}
}

func TestRow58MentionText(t *testing.T) {
	for _, c := range []struct {
		name string
		m    *rousev1.MessageEvent
		want string // empty: the style's
	}{
		{"by name", &rousev1.MessageEvent{ConversationType: group, Mentions: []string{"x", "bob"}}, "ann mentioned you in the group"},
		{"by name and all", &rousev1.MessageEvent{ConversationType: group, Mentions: []string{"bob"}, MentionAll: true}, "ann mentioned you in the group"},
		{"all", &rousev1.MessageEvent{ConversationType: group, MentionAll: true}, "ann mentioned everyone in the group"},
		{"direct", &rousev1.MessageEvent{ConversationType: direct, Mentions: []string{"bob"}}, "ann mentioned you"},
		{"others", &rousev1.MessageEvent{ConversationType: group, Mentions: []string{"x"}}, ""},
		{"switched off", &rousev1.MessageEvent{ConversationType: group, Mentions: []string{"bob"}, NoMentionText: true}, ""},
	} {
		c.m.Sender, c.m.Text = "ann", "hi"
		want := Text{"You have a new message", c.want, RuleMention}
		if c.want == "" {
			want = Text{"You have a new message", "ann: hi", RuleStyle}
		}
		if got := NewTemplates(nil).Render(c.m, &Viewer{User: "bob", Style: summary}); got != want {
			t.Errorf("%s: %+v, want %+v", c.name, got, want)
		}
		if got := NewTemplates(nil).Render(c.m, &Viewer{User: "bob", Style: simple}); got.Rule != RuleStyle || got.Body != "Tap to view" {
			t.Errorf("%s, simple: %+v", c.name, got)
		}
	}
}

// Row 59 is TestPrecedence.

func TestRow60Language(t *testing.T) {
	m := &rousev1.MessageEvent{Sender: "ann", Text: "bonjour", Translations: map[string]string{"en": "hello", "zh-Hans": "你好", "zh-Hant": "妳好", "pt-BR": "oi", "de": ""}}
	for lang, want := range map[string]string{
		"": "bonjour", "fr": "bonjour", "de": "bonjour", "nonsense!": "bonjour", strings.Repeat("x", 999): "bonjour",
		"en": "hello", "en-US": "hello", "en_AU": "hello", "EN": "hello",
		"zh": "你好", "zh-CN": "你好", "zh_CN": "你好", "zh-Hans-SG": "你好",
		"zh-TW": "妳好", "zh-HK": "妳好", "zh_Hant_MO": "妳好", "pt": "oi",
	} {
		_, body, _ := strings.Cut(NewTemplates(nil).Render(m, &Viewer{Language: lang, Style: summary}).Body, ": ")
		if body != want {
			t.Errorf("%q: %q, want %q", lang, body, want)
		}
	}
	m.Translations = map[string]string{"zh-Hans": "你好"}
	if got := NewTemplates(nil).Render(m, &Viewer{Language: "zh-TW", Style: summary}).Body; got != "ann: bonjour" {
		t.Errorf("another script is no translation: %q", got)
	}
}

func TestTemplatesByLanguage(t *testing.T) {
	texts := func(langs ...string) *Templates {
		p := &rousev1.Template{Name: "t", Texts: map[string]*rousev1.TemplateText{}}
		for _, l := range langs {
			p.Texts[l] = &rousev1.TemplateText{ContentPattern: "in " + l}
		}
		return NewTemplates([]*rousev1.Template{p})
	}
	for _, c := range []struct {
		set        *Templates
		lang, want string
	}{
		{texts("", "en", "zh-Hans", "zh-Hant"), "zh-HK", "in zh-Hant"},
		{texts("", "en", "zh-Hans", "zh-Hant"), "zh_CN", "in zh-Hans"},
		{texts("", "en", "zh-Hans"), "zh-TW", "in zh-Hans"},
		{texts("", "en", "zh-Hans"), "fr", "in "},
		{texts("", "en", "zh-Hans"), "", "in "},
		{texts("de", "en", "fr"), "ja", "in en"},
		{texts("de", "fr"), "ja", "in de"},
		{texts("de", "fr"), "fr-CA", "in fr"},
		{texts("de"), "fr", "in de"},
		{texts(""), "fr", "in "},
	} {
		for range 2 { // found, and remembered
			m := &rousev1.MessageEvent{Template: &rousev1.TemplateUse{Name: "t"}}
			if got := c.set.Render(m, &Viewer{Language: c.lang}).Body; got != c.want {
				t.Errorf("%q: %q, want %q", c.lang, got, c.want)
			}
		}
	}
}

func TestWordsForTypes(t *testing.T) {
	for lang, want := range map[string]string{"en": "[Image]", "zh-CN": "[图片]", "zh-TW": "[圖片]", "ja": "[画像]"} {
		m := &rousev1.MessageEvent{ContentType: rousev1.ContentType_CONTENT_TYPE_IMAGE}
		if got := NewTemplates(nil).Render(m, &Viewer{Language: lang, Style: summary}).Body; got != want {
			t.Errorf("%s: %q, want %q", lang, got, want)
		}
		m.Text = "a dog"
		if got := NewTemplates(nil).Render(m, &Viewer{Language: lang, Style: summary}).Body; got != "a dog" {
			t.Errorf("%s, with text: %q", lang, got)
		}
	}
	for i := range vocabulary {
		w := &vocabulary[i]
		for k, word := range w.kinds[rousev1.ContentType_CONTENT_TYPE_IMAGE:] {
			if word == "" {
				t.Errorf("%s has no word for type %d", w.lang, k)
			}
		}
		for _, mention := range []string{w.mention, w.mentionInGroup, w.mentionAll} {
			if strings.Count(mention, "{0}") != 1 {
				t.Errorf("%s: %q names nobody", w.lang, mention)
			}
		}
		if wordsOf(w.lang) != w {
			t.Errorf("%s is not found", w.lang)
		}
	}
}

// A type of a later version of the contract is as TEXT.
func TestUnknownType(t *testing.T) {
	if got := NewTemplates(nil).Render(&rousev1.MessageEvent{ContentType: 99, Text: "hi"}, &Viewer{Style: summary}).Body; got != "hi" {
		t.Errorf("%q", got)
	}
}

// What is kept of a message says the same to its viewer.
func TestTrim(t *testing.T) {
	m := &rousev1.MessageEvent{
		Translations: map[string]string{"en": "hello", "zh-Hans": "你好", "fr": "bonjour"}, Mentions: []string{"ann", "bob"},
		DirectedTemplate: &rousev1.DirectedTemplate{Targets: []string{"ann", "bob"}, Template: &rousev1.TemplateUse{Name: "t"}},
	}
	got := &rousev1.MessageEvent{}
	Trim(m, got, "bob", "zh-CN", "", "ko")
	if got.Translations["zh-CN"] != "你好" || len(got.Translations) != 1 || len(got.Mentions) != 1 || len(got.DirectedTemplate.Targets) != 1 {
		t.Errorf("bob: %v", got)
	}
	got = &rousev1.MessageEvent{}
	Trim(m, got, "carl", "")
	if got.Translations != nil || got.Mentions != nil || got.DirectedTemplate != nil {
		t.Errorf("carl: %v", got)
	}
}

// Locales are many; what is remembered of them is bounded.
func TestMemoryIsBounded(t *testing.T) {
	var m memory[int, int]
	for i := range 3 * maxRemembered {
		if m.get(i, func(k int) (int, int) { return k, -k }) != -i || m.get(i, nil) != -i {
			t.Fatal(i)
		}
	}
	if len(m.known) > maxRemembered {
		t.Errorf("%d remembered", len(m.known))
	}
}

func TestCheck(t *testing.T) {
	text := func(title, body string) *rousev1.TemplateText {
		return &rousev1.TemplateText{TitlePattern: title, ContentPattern: body}
	}
	for _, c := range []struct {
		texts map[string]*rousev1.TemplateText
		want  string // part of the error; empty = none
	}{
		{map[string]*rousev1.TemplateText{"": text("{0}{15}", "{$msg} {$fromNickname} {$dynamicFrom} {x} {} {"), "zh-Hans": text("", "a"), "pt_BR": text("a", "")}, ""},
		{map[string]*rousev1.TemplateText{"en": text("", "{16}")}, `texts["en"].content_pattern: {16}`},
		{map[string]*rousev1.TemplateText{"en": text("{$fromNikname}", "")}, `texts["en"].title_pattern: {$`},
		{map[string]*rousev1.TemplateText{"en": text(" ", "")}, "say nothing"},
		{map[string]*rousev1.TemplateText{"english, please": text("a", "b")}, "no language"},
		{map[string]*rousev1.TemplateText{"zh-CN": text("a", "b"), "zh_CN": text("a", "b")}, "the same language"},
	} {
		err := Check(&rousev1.Template{Name: "t", Texts: c.texts})
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("got %v, want %q", err, c.want)
		}
	}
	for _, b := range BuiltIn() {
		if err := Check(b); err != nil {
			t.Error(err)
		}
		if n := len(b.GetTexts()); n > 32 {
			t.Errorf("%s has %d texts; the contract allows 32", b.GetName(), n)
		}
	}
}
