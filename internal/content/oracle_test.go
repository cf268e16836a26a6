package content

import (
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/internal/oracle"
)

// A content of spaces says nothing: the next level does.
func TestBlankContent(t *testing.T) {
	m := &rousev1.MessageEvent{Sender: "ann", Text: "hi", Content: &rousev1.Content{Title: " ", Body: "\n"}}
	if got := NewTemplates(nil).Render(m, &Viewer{User: "bob", Style: summary}); got.Body != "ann: hi" {
		t.Errorf("shows %+v", got)
	}
}

// What notifications say, 50 messages a case, is what the second implementation of the rules says.
func TestAgainstOracle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		for range 50 {
			compareText(t)
		}
	})
}

func compareText(t *rapid.T) {
	templates := map[string]*rousev1.Template{}
	for _, name := range []string{"a", "b", "default", "detail"} {
		if !rapid.Bool().Draw(t, "kept") {
			continue
		}
		x := &rousev1.Template{Name: name, Texts: map[string]*rousev1.TemplateText{"": drawPattern(t)}}
		if rapid.Bool().Draw(t, "in Chinese too") {
			x.Texts["zh"] = drawPattern(t)
		}
		templates[name] = x
	}
	m := drawReadable(t)
	r := oracle.Reader{
		User: "bob", Language: rapid.SampledFrom([]string{"", "en", "zh"}).Draw(t, "language"),
		Template: drawName(t), Remark: rapid.SampledFrom([]string{"", "", "Sis"}).Draw(t, "remark"),
		Style: rapid.SampledFrom([]rousev1.DisplayStyle{0, simple, summary, summary}).Draw(t, "style"),
		Hide:  rapid.IntRange(0, 5).Draw(t, "hide") == 5,
	}
	title, body := oracle.Text(templates, m, r)
	v := &Viewer{User: r.User, Language: r.Language, Template: r.Template, Style: r.Style, Hide: r.Hide, Remark: remark(r.Remark)}
	got := NewTemplates(slices.Collect(maps.Values(templates))).Render(m, v)
	if got.Title != title || got.Body != body {
		t.Fatalf("%v\n%+v\ngot  %q, %q by %s\nwant %q, %q", m, r, got.Title, got.Body, got.Rule, title, body)
	}
}

func drawName(t *rapid.T) string {
	return rapid.SampledFrom([]string{"", "", "a", "b", "default", "detail", "unknown"}).Draw(t, "name")
}

func drawText(t *rapid.T) string {
	return rapid.SampledFrom([]string{
		"", " ", "hi", "{0}", "{1} {0}", "{$msg}", "{$fromNickname}", "<{$dynamicFrom}>", "{$x} {} {", "{12}{$msg}", "{{0}}", "{0}{$dynamicFrom}{$msg}",
	}).Draw(t, "text")
}

func drawPattern(t *rapid.T) *rousev1.TemplateText {
	return &rousev1.TemplateText{TitlePattern: drawText(t), ContentPattern: drawText(t)}
}

func drawUse(t *rapid.T) *rousev1.TemplateUse {
	u := &rousev1.TemplateUse{Name: drawName(t)}
	for range rapid.IntRange(0, 2).Draw(t, "args") {
		u.TitleArgs, u.ContentArgs = append(u.TitleArgs, drawText(t)), append(u.ContentArgs, drawText(t))
	}
	return u
}

// drawReadable draws a message that says something: a text, or an image.
func drawReadable(t *rapid.T) *rousev1.MessageEvent {
	m := &rousev1.MessageEvent{
		Sender: "ann", ConversationType: rapid.SampledFrom([]rousev1.ConversationType{direct, group}).Draw(t, "type"),
		Text: "hello {0}", MentionAll: rapid.Bool().Draw(t, "all"), NoMentionText: rapid.IntRange(0, 3).Draw(t, "no mention") == 3,
		SenderNickname:      rapid.SampledFrom([]string{"", "Ann"}).Draw(t, "nickname"),
		SenderGroupNickname: rapid.SampledFrom([]string{"", "Captain"}).Draw(t, "group nickname"),
		ShowContent:         rapid.Bool().Draw(t, "show"),
	}
	if rapid.Bool().Draw(t, "named") {
		m.Mentions = []string{"carl", "bob"}
	}
	if rapid.Bool().Draw(t, "image") {
		m.Text, m.ContentType = "", rousev1.ContentType_CONTENT_TYPE_IMAGE
	}
	if rapid.Bool().Draw(t, "translated") {
		m.Translations = map[string]string{"zh": "你好"}
	}
	switch rapid.IntRange(0, 4).Draw(t, "levels") {
	case 0:
		m.Content = &rousev1.Content{Title: drawText(t), Body: drawText(t)}
	case 1:
		m.Template = drawUse(t)
	case 2:
		m.DirectedTemplate = &rousev1.DirectedTemplate{Targets: []string{rapid.SampledFrom([]string{"bob", "carl"}).Draw(t, "target")}, Template: drawUse(t)}
		m.Template = drawUse(t)
	}
	return m
}
