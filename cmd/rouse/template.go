package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/internal/rpc"
)

type templateVerb struct {
	Put    templatePut    `cmd:"" help:"Create or replace a template of notification texts."`
	List   templateList   `cmd:"" help:"List the templates of an app, the built-in ones included."`
	Delete templateDelete `cmd:"" help:"Delete a template; a built-in one is as it was at first."`
}

type templatePut struct {
	remote
	Name    string   `arg:"" help:"1-64 letters and digits; default and detail are the built-in templates of the styles simple and summary."`
	Title   []string `help:"Pattern of the title, or LANGUAGE=PATTERN; may be given once for each language." placeholder:"PATTERN" sep:"none"`
	Content []string `help:"Pattern of the text, likewise." placeholder:"PATTERN" sep:"none"`
	File    string   `help:"JSON of a rouse.v1.Template with all its texts, instead." placeholder:"FILE"`
}

// Help teaches by example.
func (*templatePut) Help() string {
	return `Placeholders: {0}, {1}, … are arguments of the sender; {$fromNickname}, {$dynamicFrom} and {$msg} say who sent what (docs/content.md).

Examples:

    rouse template put --app chat order --title "Order {0}" --content "{1} is on its way"
    rouse template put --app chat detail --title '{$dynamicFrom}' --content '{$msg}'
    rouse template put --app chat call --content 'Call from {$dynamicFrom}' --content 'zh-Hans={$dynamicFrom}来电'`
}

// Run puts the template.
func (v *templatePut) Run(c *call) error {
	t, err := v.template()
	if err != nil {
		return err
	}
	return ask(c, &v.remote, func(s *rpc.Services) (*rousev1.PutTemplateResponse, error) {
		return s.Admin.PutTemplate(c.ctx, &rousev1.PutTemplateRequest{Template: t})
	}, func(*rousev1.PutTemplateResponse) error {
		return c.say("put the template %s", v.Name)
	})
}

func (v *templatePut) template() (*rousev1.Template, error) {
	t := &rousev1.Template{Name: v.Name, Texts: map[string]*rousev1.TemplateText{}}
	if v.File != "" {
		if len(v.Title)+len(v.Content) > 0 {
			return nil, errors.New("--file holds all texts; give either it or --title and --content")
		}
		text, err := os.ReadFile(v.File)
		if err != nil {
			return nil, err
		}
		if err := protojson.Unmarshal(text, t); err != nil {
			return nil, fmt.Errorf("%s is no JSON of a template; fields are those of rouse.v1.Template: %w", v.File, err)
		}
		t.Name = v.Name
		return t, nil
	}
	in := func(lang string) *rousev1.TemplateText {
		if t.Texts[lang] == nil {
			t.Texts[lang] = &rousev1.TemplateText{}
		}
		return t.Texts[lang]
	}
	for _, title := range v.Title {
		lang, pattern := byLanguage(title)
		in(lang).TitlePattern = pattern
	}
	for _, content := range v.Content {
		lang, pattern := byLanguage(content)
		in(lang).ContentPattern = pattern
	}
	return t, nil
}

// byLanguage splits LANGUAGE=PATTERN; a pattern alone is for all other languages.
func byLanguage(s string) (lang, pattern string) {
	lang, pattern, ok := strings.Cut(s, "=")
	if !ok || lang == "" || strings.ContainsFunc(lang, func(r rune) bool {
		return r != '-' && r != '_' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	}) {
		return "", s
	}
	return lang, pattern
}

type templateList struct{ remote }

// Run lists templates.
func (v *templateList) Run(c *call) error {
	return ask(c, &v.remote, func(s *rpc.Services) (*rousev1.ListTemplatesResponse, error) {
		return s.Admin.ListTemplates(c.ctx, &rousev1.ListTemplatesRequest{})
	}, func(r *rousev1.ListTemplatesResponse) error {
		var rows [][]string
		for _, t := range r.GetTemplates() {
			for _, lang := range slices.Sorted(maps.Keys(t.GetTexts())) {
				text := t.GetTexts()[lang]
				rows = append(rows, []string{t.GetName(), dash(lang), dash(text.GetTitlePattern()), dash(text.GetContentPattern())})
			}
		}
		return c.table([]string{"TEMPLATE", "LANGUAGE", "TITLE", "TEXT"}, rows)
	})
}

type templateDelete struct {
	remote
	Name string `arg:""`
}

// Run deletes the template.
func (v *templateDelete) Run(c *call) error {
	return ask(c, &v.remote, func(s *rpc.Services) (*rousev1.DeleteTemplateResponse, error) {
		return s.Admin.DeleteTemplate(c.ctx, &rousev1.DeleteTemplateRequest{Name: v.Name})
	}, func(*rousev1.DeleteTemplateResponse) error {
		return c.say("deleted the template %s", v.Name)
	})
}
