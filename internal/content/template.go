package content

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"golang.org/x/text/language"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

// Names of the built-in templates, of the styles SIMPLE and SUMMARY.
const (
	Default = "default"
	Detail  = "detail"
)

// Templates of an app. They never change and may be used by many at once.
type Templates struct {
	byName map[string]*template
	// replaced are the built-in ones that the app has put itself.
	replaced [2]*template
}

// template is a Template that was parsed.
type template struct {
	languages *chooser
	texts     []patterns // by what languages picks
}

type patterns struct{ title, body pattern }

// NewTemplates parses the templates that an app has put.
func NewTemplates(put []*rousev1.Template) *Templates {
	t := &Templates{byName: maps.Clone(builtIn)}
	for _, p := range put {
		parsed := newTemplate(p)
		t.byName[p.GetName()] = parsed
		switch p.GetName() {
		case Default:
			t.replaced[0] = parsed
		case Detail:
			t.replaced[1] = parsed
		}
	}
	return t
}

// newTemplate takes languages in order, so that ties are the same everywhere;
// what is in none of them is in "", else in English, else in the first.
func newTemplate(p *rousev1.Template) *template {
	t := &template{}
	var tags []language.Tag
	fallback := 0
	for i, lang := range slices.Sorted(maps.Keys(p.GetTexts())) {
		text := p.GetTexts()[lang]
		t.texts = append(t.texts, patterns{parse(text.GetTitlePattern()), parse(text.GetContentPattern())})
		tag, err := language.Parse(lang)
		if err != nil {
			tag = language.Und
		}
		tags = append(tags, tag)
		if tag == language.English && !hasOther(p) {
			fallback = i
		}
	}
	if len(tags) > 0 {
		t.languages = newChooser(tags, fallback)
	}
	return t
}

// hasOther tells that there is a text for all other languages; its name, empty,
// is the first.
func hasOther(p *rousev1.Template) bool {
	_, ok := p.GetTexts()[""]
	return ok
}

func (t *template) in(lang string) patterns {
	if len(t.texts) == 0 {
		return patterns{}
	}
	return t.texts[t.languages.pick(lang)]
}

// find is nil for what is not known.
func (t *Templates) find(name string) *template {
	if t == nil || name == "" {
		return nil
	}
	return t.byName[name]
}

// standard is the template of a style if the app has put it.
func (t *Templates) standard(summary bool) *template {
	switch {
	case t == nil:
		return nil
	case summary:
		return t.replaced[1]
	}
	return t.replaced[0]
}

// Check says what is wrong with a template, beyond the rules of the contract.
func Check(t *rousev1.Template) error {
	seen := map[language.Tag]string{}
	for _, lang := range slices.Sorted(maps.Keys(t.GetTexts())) {
		if err := checkText(t.GetTexts()[lang]); err != nil {
			return fmt.Errorf("template.texts[%q].%w", lang, err)
		}
		if lang == "" {
			continue
		}
		tag, err := language.Parse(lang)
		if err != nil {
			return fmt.Errorf("template.texts[%q]: no language; write BCP 47 such as en, zh-Hans or pt-BR", lang)
		}
		if other, ok := seen[tag]; ok {
			return fmt.Errorf("template.texts[%q]: the same language as %q; keep one of them", lang, other)
		}
		seen[tag] = lang
	}
	return nil
}

func checkText(t *rousev1.TemplateText) error {
	if err := checkPattern(t.GetTitlePattern()); err != nil {
		return fmt.Errorf("title_pattern: %w", err)
	}
	if err := checkPattern(t.GetContentPattern()); err != nil {
		return fmt.Errorf("content_pattern: %w", err)
	}
	if blank(t.GetTitlePattern()) && blank(t.GetContentPattern()) {
		return errors.New("content_pattern: title and content say nothing; write one of them")
	}
	return nil
}

// BuiltIn are the templates that every app has, by name.
func BuiltIn() []*rousev1.Template {
	simple := &rousev1.Template{Name: Default, Texts: map[string]*rousev1.TemplateText{}}
	detail := &rousev1.Template{Name: Detail, Texts: map[string]*rousev1.TemplateText{}}
	add := func(lang string, w *words) {
		simple.Texts[lang] = &rousev1.TemplateText{TitlePattern: w.news, ContentPattern: w.tap}
		detail.Texts[lang] = &rousev1.TemplateText{TitlePattern: w.news, ContentPattern: "{$dynamicFrom}: {$msg}"}
	}
	for i := range vocabulary {
		add(vocabulary[i].lang, &vocabulary[i])
	}
	add("", &vocabulary[english])
	return []*rousev1.Template{simple, detail}
}

var builtIn = func() map[string]*template {
	all := map[string]*template{}
	for _, t := range BuiltIn() {
		all[t.GetName()] = newTemplate(t)
	}
	return all
}()
