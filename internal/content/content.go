// Package content decides what a notification says: which of the templates and
// texts that sender, receiver and app have a say in comes first, what stands in
// for its placeholders, and in which language. It is pure, apart from what it
// remembers of languages.
package content

import (
	"slices"
	"strings"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

// Bounds of what is rendered, in bytes; those of rouse.v1.Content. Longer texts
// are cut between two characters.
const (
	maxTitle = 1024
	maxBody  = 4096
)

// Rule is the level that a text came from. The first that holds wins.
type Rule uint8

// Rules in the order in which they are tried.
const (
	// RuleHidden: the receiver hides contents, and the sender does not insist.
	RuleHidden Rule = iota + 1
	RuleDirected
	RuleSender
	RuleReceiver
	RuleGiven // Content of the message
	RuleMention
	RuleDefault // "default" or "detail" as the app has put them
	RuleStyle
)

var ruleNames = [...]string{
	RuleHidden: "hide_content", RuleDirected: "directed_template", RuleSender: "template of the message",
	RuleReceiver: "template of the user", RuleGiven: "content", RuleMention: "mention",
	RuleDefault: "template of the style", RuleStyle: "style",
}

func (r Rule) String() string { return ruleNames[r] }

// Text is what a notification says.
type Text struct {
	Title, Body string
	Rule        Rule
}

// Viewer is who reads a notification.
type Viewer struct {
	User string
	// Language is BCP 47 or a device's locale; empty or unknown = English.
	Language string
	// Template of the viewer's choice; empty = none.
	Template string
	Style    rousev1.DisplayStyle // UNSPECIFIED = SIMPLE
	// Hide: neither sender nor text are shown.
	Hide bool
	// Remark is what the viewer calls the sender, empty = nothing. It is asked
	// only when a name is shown; nil = there is none.
	Remark func() string
}

// Render says what a viewer is shown of a message. A template that is not known
// or that says nothing when it is filled is passed over. t may be nil: no
// template has an effect.
func (t *Templates) Render(m *rousev1.MessageEvent, v *Viewer) Text {
	r := reading{m: m, v: v, words: wordsOf(v.Language)}
	if v.Hide && !m.GetShowContent() {
		return Text{r.words.news, r.words.tap, RuleHidden}
	}
	if d := m.GetDirectedTemplate(); d != nil && slices.Contains(d.GetTargets(), v.User) {
		if text, ok := t.use(&r, d.GetTemplate(), RuleDirected); ok {
			return text
		}
	}
	if text, ok := t.use(&r, m.GetTemplate(), RuleSender); ok {
		return text
	}
	if text, ok := r.fill(t.find(v.Template), nil, nil, RuleReceiver); ok {
		return text
	}
	if c := m.GetContent(); !blank(c.GetTitle()) || !blank(c.GetBody()) {
		return Text{c.GetTitle(), c.GetBody(), RuleGiven}
	}
	summary := v.Style == rousev1.DisplayStyle_DISPLAY_STYLE_SUMMARY
	if summary && !m.GetNoMentionText() {
		if body := r.mention(); body != "" {
			return Text{r.words.news, body, RuleMention}
		}
	}
	if text, ok := r.fill(t.standard(summary), nil, nil, RuleDefault); ok {
		return text
	}
	return r.plain(summary)
}

func (t *Templates) use(r *reading, u *rousev1.TemplateUse, rule Rule) (Text, bool) {
	return r.fill(t.find(u.GetName()), u.GetTitleArgs(), u.GetContentArgs(), rule)
}

// reading is one message as one viewer reads it.
type reading struct {
	m     *rousev1.MessageEvent
	v     *Viewer
	words *words
	// name is what dynamicFrom found; asked says that it did.
	name  string
	asked bool
}

func (r *reading) fill(t *template, titleArgs, bodyArgs []string, rule Rule) (Text, bool) {
	if t == nil {
		return Text{}, false
	}
	p := t.in(r.v.Language)
	text := Text{r.write(p.title, titleArgs, maxTitle), r.write(p.body, bodyArgs, maxBody), rule}
	return text, !blank(text.Title) || !blank(text.Body)
}

// plain is the text of a style. What a message without any text shows in SIMPLE
// is a body alone, as it always was.
func (r *reading) plain(summary bool) Text {
	msg := r.msg()
	if summary && !blank(msg) {
		body := line{limit: maxBody}
		if from := r.dynamicFrom(); from != "" {
			body.add(from)
			body.add(": ")
		}
		body.add(msg)
		return Text{r.words.news, body.String(), RuleStyle}
	}
	if blank(msg) {
		return Text{"", r.words.news, RuleStyle}
	}
	return Text{r.words.news, r.words.tap, RuleStyle}
}

// mention says that the viewer, or everybody, is mentioned; empty when not.
func (r *reading) mention() string {
	pattern := ""
	switch group := r.m.GetConversationType() == rousev1.ConversationType_CONVERSATION_TYPE_GROUP; {
	case slices.Contains(r.m.GetMentions(), r.v.User) && group:
		pattern = r.words.mentionInGroup
	case slices.Contains(r.m.GetMentions(), r.v.User):
		pattern = r.words.mention
	case r.m.GetMentionAll() && group:
		pattern = r.words.mentionAll
	}
	from := r.dynamicFrom()
	if pattern == "" || from == "" {
		return ""
	}
	return strings.Replace(pattern, "{0}", from, 1)
}

// fromNickname is the sender's push nickname, else his id.
func (r *reading) fromNickname() string {
	if name := r.m.GetSenderNickname(); name != "" {
		return name
	}
	return r.m.GetSender()
}

// dynamicFrom is the first of the viewer's remark, the name in the group, the
// push nickname and the id.
func (r *reading) dynamicFrom() string {
	if r.asked {
		return r.name
	}
	r.asked = true
	if r.v.Remark != nil {
		r.name = r.v.Remark()
	}
	if r.name == "" && r.m.GetConversationType() == rousev1.ConversationType_CONVERSATION_TYPE_GROUP {
		r.name = r.m.GetSenderGroupNickname()
	}
	if r.name == "" {
		r.name = r.fromNickname()
	}
	return r.name
}

// msg is what the message says: in the viewer's language if it was translated,
// else as it was written; else a word for its type; else the body it was given.
func (r *reading) msg() string {
	if text := translation(r.m.GetTranslations(), r.v.Language); text != "" {
		return text
	}
	if r.m.GetText() != "" {
		return r.m.GetText()
	}
	if word := r.words.kinds[kindOf(r.m)]; word != "" {
		return word
	}
	return r.m.GetContent().GetBody()
}

// kindOf is TEXT for types that this program does not know.
func kindOf(m *rousev1.MessageEvent) rousev1.ContentType {
	if k := m.GetContentType(); k > 0 && int(k) < contentTypes {
		return k
	}
	return rousev1.ContentType_CONTENT_TYPE_TEXT
}

func blank(s string) bool { return strings.TrimSpace(s) == "" }

// Recalled says, in a language, that a message was withdrawn.
func Recalled(lang string) string { return wordsOf(lang).recalled }

// Trim is the part of a message that says something to one viewer in these
// languages: of translations and directed templates the rest is left out.
func Trim(m, into *rousev1.MessageEvent, user string, languages ...string) {
	for _, lang := range languages {
		if text := translation(m.GetTranslations(), lang); text != "" {
			if into.Translations == nil {
				into.Translations = make(map[string]string, 1)
			}
			into.Translations[lang] = text
		}
	}
	if d := m.GetDirectedTemplate(); d != nil && slices.Contains(d.GetTargets(), user) {
		into.DirectedTemplate = &rousev1.DirectedTemplate{Targets: []string{user}, Template: d.GetTemplate()}
	}
	if slices.Contains(m.GetMentions(), user) {
		into.Mentions = []string{user}
	}
}
