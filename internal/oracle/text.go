package oracle

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

// Reader of a notification. Language is "zh", or anything else for English.
type Reader struct {
	User, Language, Template, Remark string
	Style                            rousev1.DisplayStyle
	Hide                             bool
}

// phrase in English and Chinese; {0} is the sender.
type phrase [2]string

func (p phrase) in(language string) string {
	if language == "zh" {
		return p[1]
	}
	return p[0]
}

var (
	news        = phrase{"You have a new message", "您有一条新消息"}
	tap         = phrase{"Tap to view", "请点击查看"}
	namedDirect = phrase{"{0} mentioned you", "{0}提到了您"}
	namedGroup  = phrase{"{0} mentioned you in the group", "{0}在群组中提到了您"}
	allGroup    = phrase{"{0} mentioned everyone in the group", "{0}在群组中提到了所有人"}
	image       = phrase{"[Image]", "[图片]"}
)

// Text that a reader is shown, by the seven levels: the first that says
// something wins. Of words for messages without text it knows that of images.
func Text(templates map[string]*rousev1.Template, m *rousev1.MessageEvent, r Reader) (title, body string) {
	styled := []string{news.in(r.Language), tap.in(r.Language)}
	summary := []string{news.in(r.Language), from(m, r) + ": " + says(m, r)}
	if r.Hide && !m.GetShowContent() {
		return styled[0], styled[1]
	}
	fill := func(use *rousev1.TemplateUse) []string {
		texts := templates[use.GetName()].GetTexts()
		switch {
		case texts == nil && use.GetName() == "default":
			return styled
		case texts == nil && use.GetName() == "detail":
			return summary
		}
		text := texts[""]
		if own := texts[r.Language]; own != nil {
			text = own
		}
		return []string{write(text.GetTitlePattern(), use.GetTitleArgs(), m, r), write(text.GetContentPattern(), use.GetContentArgs(), m, r)}
	}
	var levels [][]string
	if d := m.GetDirectedTemplate(); slices.Contains(d.GetTargets(), r.User) {
		levels = append(levels, fill(d.GetTemplate()))
	}
	levels = append(levels, fill(m.GetTemplate()), fill(&rousev1.TemplateUse{Name: r.Template}),
		[]string{m.GetContent().GetTitle(), m.GetContent().GetBody()})
	if r.Style == rousev1.DisplayStyle_DISPLAY_STYLE_SUMMARY {
		levels = append(levels, mention(m, r), fill(&rousev1.TemplateUse{Name: "detail"}), summary)
	} else {
		levels = append(levels, fill(&rousev1.TemplateUse{Name: "default"}), styled)
	}
	for _, l := range levels {
		if strings.TrimSpace(l[0]+l[1]) != "" {
			return l[0], l[1]
		}
	}
	return "", ""
}

func mention(m *rousev1.MessageEvent, r Reader) []string {
	inGroup, named := m.GetConversationType() == group, slices.Contains(m.GetMentions(), r.User)
	var p phrase
	switch {
	case m.GetNoMentionText():
	case named && inGroup:
		p = namedGroup
	case named:
		p = namedDirect
	case m.GetMentionAll() && inGroup:
		p = allGroup
	}
	if p.in(r.Language) == "" {
		return []string{"", ""}
	}
	return []string{news.in(r.Language), strings.Replace(p.in(r.Language), "{0}", from(m, r), 1)}
}

// from is the remark, the name in the group, the push nickname, or the id.
func from(m *rousev1.MessageEvent, r Reader) string {
	switch {
	case r.Remark != "":
		return r.Remark
	case m.GetConversationType() == group && m.GetSenderGroupNickname() != "":
		return m.GetSenderGroupNickname()
	}
	return nickname(m)
}

func nickname(m *rousev1.MessageEvent) string {
	if m.GetSenderNickname() != "" {
		return m.GetSenderNickname()
	}
	return m.GetSender()
}

func says(m *rousev1.MessageEvent, r Reader) string {
	switch {
	case r.Language != "" && m.GetTranslations()[r.Language] != "":
		return m.GetTranslations()[r.Language]
	case m.GetText() != "":
		return m.GetText()
	case m.GetContentType() == rousev1.ContentType_CONTENT_TYPE_IMAGE:
		return image.in(r.Language)
	}
	return m.GetContent().GetBody()
}

var (
	placeholder = regexp.MustCompile(`\{[0-9]{1,2}\}|\{\$(fromNickname|msg|dynamicFrom)\}`)
	builtIn     = regexp.MustCompile(`\{\$(fromNickname|msg|dynamicFrom)\}`)
)

// write fills placeholders once; built-in ones in arguments, too.
func write(pattern string, args []string, m *rousev1.MessageEvent, r Reader) string {
	value := func(name string) string {
		switch name {
		case "{$fromNickname}":
			return nickname(m)
		case "{$msg}":
			return says(m, r)
		}
		return from(m, r)
	}
	return placeholder.ReplaceAllStringFunc(pattern, func(p string) string {
		n, err := strconv.Atoi(strings.Trim(p, "{}"))
		switch {
		case err != nil:
			return value(p)
		case n < len(args):
			return builtIn.ReplaceAllStringFunc(args[n], value)
		}
		return ""
	})
}
